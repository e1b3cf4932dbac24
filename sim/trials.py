"""Trials: cases that a driver goes through one by one, each with a name that says what is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from sim.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sim.cases.case import Case


@attrs.frozen(kw_only=True)
class Trial:
    """A case; its name says what is tried in it, and stays the same when other trials come or go."""

    name: str
    case: Case


def share_of(trials: Iterable[Trial], share: float) -> Iterator[Trial]:
    """Give a share of the trials: whether one is in it follows from its name alone."""
    chance = Chance(0)
    return (trial for trial in trials if chance.hits(share, trial.name))
