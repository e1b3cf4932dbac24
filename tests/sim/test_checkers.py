"""All checkers: each oracle over histories that keep its promise and that break it, and the watch over a whole run."""

from __future__ import annotations

from typing import Final

import pytest

from sim.checkers import ORACLES
from tests.sim import (
    stories_effects,
    stories_errands,
    stories_guests,
    stories_journals,
    stories_leases,
    stories_mirror,
    stories_reboots,
    stories_volumes,
    stories_wire,
)
from tests.sim.histories import NOWHERE, Hand, Story, named

ALL: Final = (
    stories_effects.STORIES,
    stories_errands.STORIES,
    stories_guests.STORIES,
    stories_journals.STORIES,
    stories_leases.STORIES,
    stories_mirror.STORIES,
    stories_reboots.STORIES,
    stories_volumes.STORIES,
    stories_wire.STORIES,
)
KEPT: Final = [each for stories in ALL for each in stories.kept]
BROKEN: Final = [each for stories in ALL for each in stories.broken]


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.mark.parametrize(("oracle", "story"), KEPT, ids=named)
def test_no_oracle_accuses_a_history_that_keeps_the_promises(hand: Hand, oracle: str, story: Story) -> None:
    """What the design allows is never taken for a breach, by the oracle that it tempts nor by another."""
    story(hand)
    assert oracle in ORACLES
    assert hand.judged(NOWHERE) == []


@pytest.mark.parametrize(("oracle", "story"), BROKEN, ids=named)
def test_a_history_with_one_thing_wrong_trips_just_the_oracle_of_that_promise(
    hand: Hand, oracle: str, story: Story
) -> None:
    """One thing is wrong, and the one oracle that is made for it says so."""
    story(hand)
    assert hand.judged(NOWHERE) == [oracle]
