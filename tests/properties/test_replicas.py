"""Replicas that are added, drained and killed under load lose nothing."""

from __future__ import annotations

from typing import Any, Final

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from tests.properties.replicas import LAYOUT, SECONDS, Turn, turns, work
from tests.properties.strategies import share_of_profile

#: Each example is the life of a cloud: eight in CI, hundreds in a night.
SHARE: Final = 0.016
#: One replica after the other of both kinds leaves or dies.
PLAYED: Final = tuple(
    Turn(at_s=second, what="drain" if second % 2 else "kill", who=process)
    for second, process in enumerate((*LAYOUT.replicas("cell"), *LAYOUT.replicas("link")), start=1)
)


def complaints(drawn: tuple[Turn, ...], *, seed: int) -> list[str]:
    shift = work(drawn, seed=seed)
    wanted = ["not_found"] * len(LAYOUT.cells) * (SECONDS + 1)
    return [*shift.found, *([] if shift.answers == wanted else [f"calls were answered by {set(shift.answers)}"])]


@pytest.mark.proves("R142", "Q9", "Q10")
@share_of_profile(SHARE)
@given(drawn=turns(), seed=st.integers(0, 9))
def test_replicas_that_come_leave_and_die_lose_no_call_and_no_order(drawn: tuple[Turn, ...], seed: int) -> None:
    """Every call is answered by whom it is for, every order comes to an end, and every promise holds at rest."""
    assert not complaints(drawn, seed=seed)


def test_a_replica_that_throws_away_what_comes_while_it_finishes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property can fail: calls are lost that an actor takes, and does not carry out, while it is about to leave."""
    assert not complaints(PLAYED, seed=3)
    receive = vars(Actor)["_receive"]

    def careless(self: Actor, tasks: Any, delivery: Any) -> None:
        if self._leaving.is_asked:
            delivery.ack()
        else:
            receive(self, tasks, delivery)

    async def slow(self: Mailbox) -> None:
        del self
        await anyio.sleep(2.0)

    monkeypatch.setattr(Actor, "_receive", careless)
    monkeypatch.setattr(Mailbox, "emptied", slow)
    assert any("calls were answered by" in complaint for complaint in complaints(PLAYED, seed=3))
