"""Each command is carried out, and its answer is lost for longer than anybody is patient."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from sim.cases.case import Case
from sim.exhaustive import STORIES
from sim.faults import Fault, FaultKind
from sim.history import Carried, Line, Phase
from sim.inner.running import run_case
from tests.shares import part

#: Longer than a conductor asks again for what may still fail.
LOST_S: Final = 200.0
MINUTES: Final = 6.0
CONDUCTOR: Final = "api/conductor"
#: By day, one command in so many of each story; stories that are alike come one after the other.
ONE_IN: Final = 2


def commands_of(case: Case) -> list[tuple[str, str]]:
    """List which methods are carried out by whom in the phase with faults of a case, each once, in order."""
    lines: list[Line] = []
    run_case(case, listeners=(lines.append,), is_checked=False, is_hashed=False)
    begun = next(n for n, line in enumerate(lines) if line.what == Phase(name="faults"))
    carried = [line.what for line in lines[begun:] if isinstance(line.what, Carried)]
    return list(dict.fromkeys((each.method, each.process) for each in carried if each.process != CONDUCTOR))


@pytest.mark.parametrize("name", STORIES)
def test_a_command_whose_answer_is_lost_for_long_is_undone_or_done_and_nothing_is_left(name: str) -> None:
    """For each command of each kind of move: the outcome is unknown, and no promise is broken by not knowing it."""
    case = STORIES[name].case
    commands = commands_of(case)
    assert len(commands) > 5
    for method, process in part(commands, ONE_IN, since=list(STORIES).index(name)):
        lost = Fault(kind=FaultKind.LOSE, name="lost", where=process, point=method, for_s=LOST_S, times=0)
        outcome = run_case(attrs.evolve(case, minutes=MINUTES, faults=(*case.faults, lost)), is_hashed=False)
        assert outcome.fired[FaultKind.LOSE], f"{method} of {process} was answered"
        assert outcome.breaches == (), f"{method} of {process}"
