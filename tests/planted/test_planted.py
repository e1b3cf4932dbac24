"""Planted bugs: each mistake that somebody could have made is found by the invariant that was made to find it."""

from __future__ import annotations

from typing import Final

import pytest

from sim.cases.portfolio import CALM
from sim.commands import levels
from tests.planted.bugs_messages import lie_about_a_sibling
from tests.planted.hunting import clean, hunt, hunts, name_of, seeds_of
from tests.planted.planting import Bug, Level

HUNTS: Final = [pytest.param(*each, id=name_of(*each)) for each in hunts()]


@pytest.mark.parametrize(("bug", "level", "wanted"), HUNTS)
def test_a_planted_bug_is_found_by_its_name_and_the_clean_code_survives_the_same_seeds(
    bug: Bug, level: Level, wanted: str
) -> None:
    """The named invariant says so within the budget of runs; without the bug, nothing says anything of those runs."""
    assert clean(bug.mix, level, next(seeds_of(bug, level, wanted))) == (), "before anything is planted"
    found = hunt(bug, level, wanted)
    assert found.breach is not None, f"{wanted} does not find it in {len(found.seeds)} runs: {bug.breaks}"
    for seed in found.seeds:
        assert clean(bug.mix, level, seed) == (), f"seed {seed} of the mix {bug.mix.name}"


def test_who_lies_about_his_sibling_comes_to_nothing_where_links_ask_the_broker() -> None:
    """The planted bug is in the link that believes him, not in that he lies."""
    with pytest.MonkeyPatch.context() as patch:
        lie_about_a_sibling(patch)
        outcome = levels.Level(is_inner=False).run(CALM.case(0)).outcome
    assert "sender_vouched" not in {breach.invariant for breach in outcome.breaches}
