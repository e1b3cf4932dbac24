"""A fixed sequence of cases reaches every probe, and every kind of fault in it fires and matters.

What is never reached is never tested, however many seeds are hunted.
"""

from __future__ import annotations

from collections import Counter

from sim.commands.levels import Level
from sim.faults import FaultKind
from sim.probes import PROBES, missed
from tests.sim.reach import OUT_OF_REACH, cases


def test_every_probe_is_reached_and_every_kind_of_fault_matters() -> None:
    """One case after the other, until nothing is missed; whatever is then, is named."""
    reached: Counter[str] = Counter()
    mattered: Counter[FaultKind] = Counter()
    for case in cases():
        outcome = Level().run(case).outcome
        reached.update(outcome.probes)
        mattered.update(outcome.mattered)
        if not _missed(reached):
            break
    assert not _missed(reached)
    assert not [kind for kind in FaultKind if not mattered[kind]]


def _missed(reached: Counter[str]) -> list[str]:
    return [f"{probe.name}: {probe.text}" for probe in missed(reached) if probe.name not in OUT_OF_REACH]


def test_what_is_out_of_reach_is_a_probe_and_is_not_reached_all_the_same() -> None:
    """The list of excuses names only what there is, and nothing that the first case reaches."""
    assert set(OUT_OF_REACH) <= {probe.name for probe in PROBES}
    assert not set(OUT_OF_REACH) & {*Level().run(next(cases())).outcome.probes}


def test_a_probe_that_is_not_reached_is_named() -> None:
    """With one probe left out of what was reached, just that one is missed."""
    every = Counter(probe.name for probe in PROBES)
    del every["late_execute"]
    assert [text.partition(":")[0] for text in _missed(every)] == ["late_execute"]
