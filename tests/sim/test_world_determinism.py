"""A seed is one run, in every process and under every hash seed; and the comparison can tell when it is not."""

from __future__ import annotations

from typing import Final

import pytest

from sim.cases.swarm import case_of
from sim.commands.levels import Level
from tests.sim.world_programs import INNER, REAL, differing, first_difference, hashes

#: The seeds of each run of the tests: ranges, so that several cores share them.  A night compares 1,000.
REAL_SEEDS: Final = [(1, 4), (5, 8), (9, 12)]
INNER_SEEDS: Final = [(1, 30)]
#: So many are enough for a planted defect to show.
DEFECT_SEEDS: Final = 3
MINUTES: Final = 2.0
DEFECTS: Final = ("set of strings", "address", "real clock")


@pytest.mark.parametrize(
    ("level", "first", "last"),
    [*((REAL, *seeds) for seeds in REAL_SEEDS), *((INNER, *seeds) for seeds in INNER_SEEDS)],
)
def test_a_seed_leaves_one_trace_in_two_processes_under_two_hash_seeds(level: str, first: int, last: int) -> None:
    """Each process runs all of the seeds; what one run leaves behind in it does not show in the next."""
    parted = differing(first, last, minutes=MINUTES, level=level)
    assert not parted, first_difference(parted[0], minutes=MINUTES, level=level)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_in_the_actors_shows_as_two_traces(defect: str) -> None:
    """Iteration over a set of strings, an address in a sort key and a real clock are each found by that comparison."""
    assert differing(1, DEFECT_SEEDS, minutes=MINUTES, defect=defect)


def test_where_two_traces_part_is_told_with_both_lines() -> None:
    """Whoever looks for the reason begins there."""
    told = first_difference(1, minutes=MINUTES, defect="real clock")
    assert told.startswith("seed 1 parts here:\n  ")
    assert told.count("real_ns=") == 2


def test_each_seed_has_a_trace_of_its_own_and_it_is_the_one_that_this_process_finds() -> None:
    """What is compared holds what the seed decides, and is the hash of a run that happened."""
    found = dict(line.split() for line in hashes("1", "5", str(MINUTES), INNER).splitlines())
    assert len(set(found.values())) == len(found) == 5
    outcome = Level(is_inner=True).run(case_of(3, minutes=MINUTES)).outcome
    assert outcome.moves > 0
    assert found["3"] == outcome.trace_sha256
