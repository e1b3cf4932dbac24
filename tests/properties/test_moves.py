"""Whatever users and weather do in turn, every promise holds after each turn, and all is in order in the end."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from actors.kernel.ports import Command, Connection, Fresh, Known, Verdict
from actors.store.inbox import SqlInbox
from tests.properties.moves import Moves
from tests.properties.strategies import share_of_profile

#: Whole runs, many of them; and what is found is shrunk, which takes its time.
pytestmark = pytest.mark.timeout(900)

TURNS: Final = 25
SHARE: Final = 0.04


def test_users_and_weather_in_any_turns_leave_every_promise_kept() -> None:
    """Orders, crashes, pauses, cuts, losses and failing calls, in any order and at any distance."""
    run_state_machine_as_test(Moves, settings=share_of_profile(SHARE, stateful_step_count=TURNS))


def test_a_participant_that_forgets_what_it_carried_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine can fail: without an inbox it finds a command that is carried out twice."""
    look = SqlInbox.look

    def forget(self: SqlInbox, connection: Connection, command: Command) -> Verdict:
        verdict = look(self, connection, command)
        return Fresh(undoes_nothing=False) if isinstance(verdict, Known) else verdict

    monkeypatch.setattr(SqlInbox, "look", forget)
    hard = settings(
        max_examples=200, stateful_step_count=TURNS, phases=[Phase.generate], derandomize=True, database=None
    )
    with pytest.raises(AssertionError, match="carried_once"):
        run_state_machine_as_test(Moves, settings=hard)
