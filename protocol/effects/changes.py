"""The effect of what users change of a record, at any time: it follows the server, and is done once wherever it is."""

from typing import Final

from protocol.draft import Draft
from protocol.effects.history import change, finish_action, finished_event, start_action
from protocol.effects.registry import Moment, effect
from protocol.effects.servers import at_door, check_freeze, check_lock
from protocol.errors import NotItsHome
from protocol.messages.changes import ServerChange, UpdateServer
from protocol.messages.servers import Origin
from protocol.records import Server, ServerAction

#: Who is noted to have carried it out: no host takes part.
API: Final = "api"
UPDATE: Final = "update"
LOCKS: Final = {True: "lock", False: "unlock"}


@effect(UpdateServer, at_door)
def _update(draft: Draft, command: UpdateServer, moment: Moment) -> Server:
    server = draft.one(Server, uuid=command.server)
    if draft.find(ServerAction, server=server.uuid, id=command.action) is not None:
        # Done already, here or where the server was before: histories travel.
        return server
    if server.is_hidden or server.is_sealed:
        raise NotItsHome(server=server.uuid, cell=moment.cell)
    check_freeze(draft)
    name = action_of(command.change)
    if name not in LOCKS.values():
        check_lock(server)
    note_change(draft, server, moment, action=command.action, name=name, origin=command.origin)
    return change(draft, server, moment, **command.change.fields())


def note_change(draft: Draft, server: Server, moment: Moment, *, action: str, name: str, origin: Origin) -> None:
    """Enter a change into a server's history, as begun and done."""
    start_action(draft, moment, server.uuid, action, name=name, origin=origin)
    finished_event(draft, moment, server.uuid, action, name=f"{API}_{name}_server", host=API)
    finish_action(draft, server.uuid, action, moment)


def action_of(change: ServerChange) -> str:
    """Name it as Nova does: a lock is one by itself."""
    fields = change.fields()
    is_locked = fields.pop("is_locked", None)
    return UPDATE if fields or is_locked is None else LOCKS[is_locked]
