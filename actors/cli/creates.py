"""A server that is not there, but was ordered: what has become of that, for who did not wait to hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.cli.failures import NotThere
from actors.cli.formats import Shape, show_fields
from actors.cli.times import shown_time
from protocol.messages.creates import Created, FindCreate
from protocol.states import Goal, VmState

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from actors.cli.speaking import Session


async def show_create(session: Session, which: str, shape: Shape) -> None:
    """Show what has become of the newest create of a server; raise `NotThere` when there is none, or it was made."""
    created = (await session.look(FindCreate(which=which), at="conductor")).created
    if created is None or (created.line.ending is not None and created.line.ending.is_success):
        raise NotThere(f"there is no server {which}; list them with: cellferry server list")
    show_fields(session.out, fields_of(created), shape)
    if created.line.ending is not None:
        there = f"cellferry migration show {created.line.conversation}"
        session.progress.print(f"it was not created, and nothing is left of it; each step of the try: {there}")


def fields_of(created: Created) -> Row:
    """Tell how it stands in the fields of a server: in error when the create has failed, building until then."""
    order, line = created.order, created.line
    cause = line.ending.cause if line.ending else None
    return {
        "id": line.server,
        "name": order.name,
        "vm_state": (VmState.ERROR if line.ending else VmState.BUILDING).value,
        "host": None,
        "cell": None,
        "flavor": order.flavor.name,
        "image": order.image or None,
        "user": order.origin.user,
        "created": shown_time(line.began_at_us),
        "updated": shown_time(line.ended_at_us or line.began_at_us),
        "taken_for": None if line.ending else Goal.CREATE.value,
        "conversation": line.conversation,
        "waits_for": line.waits_for,
        "last_action": Goal.CREATE.value,
        "error": cause.code if cause else None,
        "last_error": cause.message if cause else None,
    }
