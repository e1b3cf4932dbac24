"""Planted bugs: each mistake that somebody could have made is found by the invariant that was made to find it."""

from __future__ import annotations

from typing import Final

import pytest

from tests.planted.hunting import all_bugs, clean, hunt
from tests.planted.planting import Bug, Level

CAUGHT: Final = [
    pytest.param(bug, level, wanted, id=f"{level}-{bug.name}-{wanted}")
    for bug in all_bugs()
    for level in bug.levels
    for wanted in bug.caught_by
]


@pytest.mark.parametrize(("bug", "level", "wanted"), CAUGHT)
def test_a_planted_bug_is_found_by_its_name_and_the_clean_code_survives_the_same_seeds(
    bug: Bug, level: Level, wanted: str
) -> None:
    """The named invariant says so within the budget of runs; without the bug, nothing says anything of those runs."""
    assert clean(bug.mix, level, bug.since) == (), "before anything is planted"
    found = hunt(bug, level, wanted)
    assert found.breach is not None, f"{wanted} does not find it in {len(found.seeds)} runs: {bug.breaks}"
    for seed in found.seeds:
        assert clean(bug.mix, level, seed) == (), f"seed {seed} of the mix {bug.mix.name}"
