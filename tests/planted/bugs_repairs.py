"""Planted bugs in repairs: they remove what somebody still needs."""

from __future__ import annotations

from typing import Any

import attrs

from protocol.invariants.standing import settled
from protocol.messages.root import TakeServer
from protocol.moves import leftovers
from protocol.records import Mapping
from protocol.states import Goal
from sim.cases.portfolio import CALM, OWING
from tests.planted.planting import Level, Patch, bug, new_effect, old_effect


@bug("nothing_left_over", "no_leaks", mix=CALM, since=17)
def repairs_the_way_back(patch: Patch) -> None:
    """A repair takes what is kept for a revert for something that was left over."""
    patch.setattr(leftovers, "settled", lambda truth: tuple(attrs.evolve(each, move=None) for each in settled(truth)))


# It is rare that users repair while something is owed: only the pure cores are quick enough for that.
@bug("nothing_left_over", mix=OWING, since=50, levels=(Level.INNER,))
def repairs_what_is_still_cleaned_up(patch: Patch) -> None:
    """A repair takes a server of which a confirm still cleans up, and finds what that is about to remove."""

    def take(draft: Any, command: TakeServer, moment: Any) -> Any:
        mapping = draft.find(Mapping, server=command.server)
        if command.goal is not Goal.REPAIR or mapping is None or mapping.debt is None:
            return old(draft, command, moment)
        owed = {name: getattr(mapping, name) for name in ("debt", "debt_goal", "debt_at")}
        draft.put(attrs.evolve(mapping, debt=None, debt_goal=None, debt_at=None))
        taken = old(draft, command, moment)
        draft.put(attrs.evolve(draft.one(Mapping, server=command.server), **owed))
        return taken

    old = old_effect(TakeServer)
    new_effect(patch, TakeServer, take)
