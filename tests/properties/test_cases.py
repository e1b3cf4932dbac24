"""Any list of faults, in any small cloud: when all is healed, every promise has been kept.  On both levels."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import Phase, find, given, note, settings, target

from actors.kernel.ports import Accepted, Fresh
from sim.cases.case import Breach, Case
from sim.cases.places import mistakes
from sim.cases.swarm import ALL_KINDS
from sim.commands.levels import Level
from sim.faults import FaultKind
from sim.inner.memory import Command, Memory, Reply
from sim.shrink import shrink
from tests.properties.strategies import cases, share_of_profile

REAL: Final = Level()
INNER: Final = Level(is_inner=True)
#: A run with the real actors takes some ten times as long as one of the pure cores.
REAL_SHARE: Final = 0.08
INNER_SHARE: Final = 0.3
#: What shrinking may take.
RUNS_MAX: Final = 150


def run(level: Level, case: Case) -> tuple[Breach, ...]:
    outcome = level.run(case).outcome
    note(f"Write this into case.json, and: cellferry sim replay case.json\n{case.to_json()}")
    target(float(sum(outcome.mattered.values())), label="faults that mattered")
    return outcome.breaches


@share_of_profile(REAL_SHARE)
@given(case=cases())
def test_no_list_of_faults_breaks_a_promise_of_the_real_actors(case: Case) -> None:
    """Whatever goes wrong while two users want something of two servers."""
    assert not run(REAL, case)


@share_of_profile(INNER_SHARE)
@given(case=cases())
def test_no_list_of_faults_breaks_a_promise_of_the_pure_cores(case: Case) -> None:
    """The same, and more of it, where it costs less."""
    assert not run(INNER, case)


@share_of_profile(1.0)
@given(case=cases())
def test_a_case_that_is_drawn_names_only_what_is_there(case: Case) -> None:
    """Else faults would never strike, and operations be refused at the door; and it travels as JSON."""
    assert not mistakes(case)
    assert Case.from_json(case.to_json()) == case


def test_every_kind_of_fault_is_drawn() -> None:
    """None is out of reach."""
    drawn: set[FaultKind] = set()

    @settings(max_examples=600, phases=[Phase.generate], derandomize=True, database=None)
    @given(case=cases())
    def collect(case: Case) -> None:
        drawn.update(fault.kind for fault in case.faults)

    collect()
    assert drawn == set(ALL_KINDS)


def test_a_participant_that_forgets_what_it_carried_out_is_found_and_the_case_shrinks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The property can fail: without an inbox a command is carried out twice, for which one fault is enough."""
    look = Memory.look

    def forget(self: Memory, command: Command) -> Fresh | Accepted | Reply:
        verdict = look(self, command)
        return Fresh(undoes_nothing=False) if isinstance(verdict, Reply) else verdict

    monkeypatch.setattr(Memory, "look", forget)
    hard = settings(max_examples=400, derandomize=True, database=None, phases=[Phase.generate])
    bad = cases(kinds=(FaultKind.LOSE, FaultKind.DOUBLE, FaultKind.DOUBLE_LATE, FaultKind.DELAY))

    def fails(case: Case) -> Breach | None:
        return INNER.breach(case, wanted="carried_once")

    # Found by Hypothesis, and made smaller by our own shrinker, which counts runs: that of Hypothesis counts seconds.
    found = find(bad, lambda case: fails(case) is not None, settings=hard)
    breach = fails(found)
    assert breach is not None
    case = shrink(found, fails=fails, within=RUNS_MAX, wanted=breach)
    assert len(case.faults) == 1
    assert len(case.ops) == 1
