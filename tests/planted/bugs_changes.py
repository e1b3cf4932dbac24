"""Planted bugs in what users change of a record while it moves."""

from __future__ import annotations

from typing import Any

import attrs

from protocol.effects import resize, revert
from protocol.messages.changes import UpdateServer
from protocol.records import Server
from sim.cases.portfolio import CALM
from tests.planted.planting import Patch, bug, new_effect, old_effect


@bug("changes_kept", mix=CALM, since=21)
def commits_the_name_that_was_copied(patch: Patch) -> None:
    """What users change between the copy and the commit stays behind at the source."""
    patch.setattr(resize, "user_fields", lambda _original: {})


@bug("changes_kept", mix=CALM, since=4)
def reverts_to_the_name_of_before(patch: Patch) -> None:
    """What users change while a move waits for them is lost when it is reverted."""
    patch.setattr(revert, "user_fields", lambda _target: {})


@bug("changes_kept", mix=CALM)
def acknowledges_a_change_that_it_has_not_made(patch: Patch) -> None:
    """A change is in the history, and not in the record."""

    def update(draft: Any, command: UpdateServer, moment: Any) -> Any:
        before = draft.one(Server, uuid=command.server)
        reply = old(draft, command, moment)
        draft.put(attrs.evolve(before, version=reply.version))
        return reply

    old = old_effect(UpdateServer)
    new_effect(patch, UpdateServer, update)
