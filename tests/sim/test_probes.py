"""Probes: each is reached by a history that has what it asks for, and a set of runs that misses one is told which."""

from __future__ import annotations

from typing import Final

import pytest

from sim.chance import Chance
from sim.faults import Fault, FaultKind
from sim.history import Crashed
from sim.injector import Injector
from sim.probes import PROBES, Probes, missed
from tests.sim.histories import CELL, Hand, Story
from tests.sim.stories_probes import NEAR, STORIES

FAULTS: Final = tuple(f"fault:{kind}" for kind in FaultKind)


@pytest.fixture
def hand() -> Hand:
    hand = Hand()
    Probes(hand.history)
    return hand


def test_every_probe_is_declared_once_and_says_what_it_is() -> None:
    """There are enough of them to be worth asking for."""
    names = [probe.name for probe in PROBES]
    assert len(dict.fromkeys(names)) == len(names) >= 40
    assert all(probe.text for probe in PROBES)


def test_every_probe_is_a_fault_or_has_a_history_that_reaches_it() -> None:
    """No probe is there that nothing could ever hit."""
    assert {probe.name for probe in PROBES} == {*FAULTS, *STORIES}


@pytest.mark.parametrize(("probe", "story"), STORIES.items(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_history_reaches_its_probe(hand: Hand, probe: str, story: Story) -> None:
    """What the probe asks for is there."""
    story(hand)
    assert hand.history.probes[probe]


@pytest.mark.parametrize(("probe", "story"), NEAR.items(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_history_that_only_comes_near_a_probe_does_not_reach_it(hand: Hand, probe: str, story: Story) -> None:
    """What the probe asks for is not there, though much of it is."""
    story(hand)
    assert not hand.history.probes[probe]


@pytest.mark.parametrize("kind", FaultKind)
def test_the_probe_of_a_fault_is_reached_when_it_mattered(hand: Hand, kind: FaultKind) -> None:
    """A fault that fired and made no difference proves nothing."""
    fault = Fault(kind=kind, name="f1")
    injector = Injector((fault,), chance=Chance(1), history=hand.history)
    injector.note(fault, mattered=False, text="nobody noticed")
    assert not hand.history.probes[f"fault:{kind}"]
    injector.note(fault, mattered=True, text="somebody did")
    assert hand.history.probes[f"fault:{kind}"] == 1


def test_a_run_set_is_told_what_it_has_missed() -> None:
    """Of the inner level, which has no frames, only what it could have reached is asked."""
    counts = {probe.name: 1 for probe in PROBES if probe.name not in {"undo", "frame_again"}}
    assert [probe.name for probe in missed(counts)] == ["undo", "frame_again"]
    assert [probe.name for probe in missed({**counts, "moved": 0}, is_inner=True)] == ["undo", "moved"]


def test_probes_hear_what_was_before_them() -> None:
    """Attached late, they count all that happened."""
    late = Hand()
    STORIES["crash_of_cell"](late)
    Probes(late.history)
    late.write(Crashed(process=CELL))
    assert late.history.probes["crash_of_cell"] == 2
