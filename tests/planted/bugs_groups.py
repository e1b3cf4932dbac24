"""Planted bugs in how servers of a group are kept apart."""

from __future__ import annotations

from typing import Any

from protocol.effects import groups
from protocol.messages import groups as say
from protocol.records import GroupPlace
from protocol.requests import Done
from sim.cases.portfolio import GROUPED
from tests.planted.planting import Patch, bug, new_effect, old_effect


@bug("apart", mix=GROUPED)
def does_not_check_again_at_the_claim(patch: Patch) -> None:
    """A host is chosen from what was so when the move began, and whoever goes there meanwhile is not seen."""

    def take(draft: Any, command: say.TakePlace, _moment: Any) -> Done:
        if not [row for row in draft.all(GroupPlace, server_group=command.server_group) if row.host == command.host]:
            place = GroupPlace(
                server=command.server, host=command.host, server_group=command.server_group,
                conversation=command.conversation,
            )  # fmt: skip
            draft.put(place)
        return Done()

    new_effect(patch, say.TakePlace, take)


@bug("apart", mix=GROUPED)
def keeps_no_host_for_a_revert(patch: Patch) -> None:
    """A move gives up its source's host as soon as it has a target's, and there may be no way back."""

    def take(draft: Any, command: say.TakePlace, moment: Any) -> Any:
        reply = old(draft, command, moment)
        for place in draft.all(GroupPlace, server_group=command.server_group):
            if place.server == command.server and place.host != command.host:
                draft.drop(place)
        return reply

    old = old_effect(say.TakePlace)
    new_effect(patch, say.TakePlace, take)


@bug("apart", mix=GROUPED)
def keeps_the_host_that_was_left(patch: Patch) -> None:
    """A confirm or revert leaves a place behind."""
    patch.setattr(groups, "leave", lambda _draft, _mapping, _host: None)
