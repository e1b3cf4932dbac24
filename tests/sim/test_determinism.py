"""The same program leaves the same trace in every process, and the comparison can tell when it does not."""

from __future__ import annotations

import pytest

from tests.sim.loop_programs import closing_step, office
from tests.sim.twice import RunFailed, outputs_of

CANCELLED = "tests.sim.loop_programs:cancelled_together"
OFFICE = "tests.sim.loop_programs:office"


def test_a_thousand_children_cancelled_together_end_in_one_order_in_every_process() -> None:
    """Anyio keeps them in sets that it walks by address, unless the loop gives it ordered ones."""
    assert len(set(outputs_of(CANCELLED, "1000", hash_seeds=(1, 2, 3, 4)))) == 1


@pytest.mark.parametrize("strategy", ["fifo", "shuffled", "pct"])
def test_actors_and_mailboxes_leave_one_trace_in_every_process(strategy: str) -> None:
    """Sleeps, timeouts, cancellations and full mailboxes come in one order, under every hash seed and here."""
    assert set(outputs_of(OFFICE, "7", strategy)) == {office("7", strategy)}


def test_another_seed_leaves_another_trace() -> None:
    """What is compared above holds what the seed decides."""
    assert len({office(seed, "shuffled") for seed in "123"}) == 3


def test_another_strategy_leaves_another_trace() -> None:
    """The order of the tasks shows in the trace."""
    assert len({office("1", strategy) for strategy in ("fifo", "shuffled", "pct")}) == 3


@pytest.mark.parametrize("defect", ["set of strings", "address", "real clock"])
def test_a_planted_defect_shows_as_two_traces(defect: str) -> None:
    """Iteration over a set, an address in a sort key and a real clock that evaded the seal are each found out."""
    first, second = outputs_of(OFFICE, "7", "shuffled", defect)
    assert first != second


def test_a_real_clock_that_is_called_openly_ends_the_run() -> None:
    """The seal refuses it, and the error of the other process comes out here."""
    with pytest.raises(RunFailed, match=r"NotSimulated: virtual time has no time\.time_ns"):
        outputs_of(OFFICE, "7", "shuffled", "sealed clock", hash_seeds=(1,))


def test_garbage_is_collected_at_one_step_whatever_lay_around_before() -> None:
    """A generator that only the collector finds is closed at a step that the past of the process does not move."""
    assert len({closing_step(litter) for litter in ("0", "150", "300", "450", "600")}) == 1
