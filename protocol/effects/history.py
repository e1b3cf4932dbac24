"""How effects change a server and write its history: actions, events, faults, notifications."""

from typing import Any

import attrs

from protocol import states
from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment
from protocol.errors import ErrorReport
from protocol.ids import derived_id
from protocol.messages.servers import Origin, ServerBundle
from protocol.records import (
    PARTS,
    ActionEvent,
    Allocation,
    BlockDevice,
    Claim,
    Fault,
    Migration,
    Notification,
    Part,
    Server,
    ServerAction,
)
from protocol.states import MigrationStatus

SUCCESS = "Success"
ERROR = "Error"


def whole_server(command: Any) -> tuple[Need, ...]:
    """Need the whole record of the command's server."""
    return (need(Server, uuid=command.server), *(need(kind, server=command.server) for kind in PARTS))


def with_places(command: Any) -> tuple[Need, ...]:
    """Need the whole record of the command's server, and its places on hosts."""
    server = command.server
    return (*whole_server(command), need(Allocation, server=server), need(Claim, server=server))


def drop_record(draft: Draft, server: str) -> None:
    """Drop the whole record of a server, with its history; its places are hosts', and go by themselves."""
    drop_parts(draft, server)
    draft.drop(draft.one(Server, uuid=server))


def drop_parts(draft: Draft, server: str, kinds: tuple[type[Part], ...] = PARTS) -> None:
    """Drop what belongs to a record of a server."""
    for kind in kinds:
        for row in draft.all(kind, server=server):
            draft.drop(row)


def bundle(draft: Draft, server: str) -> ServerBundle:
    """Give the whole record."""
    return ServerBundle(
        server=draft.one(Server, uuid=server),
        block_devices=draft.all(BlockDevice, server=server),
        migrations=draft.all(Migration, server=server),
        actions=draft.all(ServerAction, server=server),
        events=draft.all(ActionEvent, server=server),
        faults=draft.all(Fault, server=server),
    )


def write_history(draft: Draft, history: ServerBundle) -> None:
    """Write what was done to a server elsewhere, and why some of it failed, into the record here."""
    for row in (*history.actions, *history.events, *history.faults):
        draft.put(row)


def change(draft: Draft, server: Server, moment: Moment, **fields: Any) -> Server:
    """Write a server with these fields, if its state may change so; its version rises."""
    after = attrs.evolve(server, **fields, version=server.version + 1, updated_at_us=moment.now_us)
    states.check_task(server.uuid, server.task_state, after.task_state)
    states.check_vm(server.uuid, server.vm_state, after.vm_state)
    return draft.put(after)


def advance(draft: Draft, migration: Migration, moment: Moment, status: MigrationStatus, **fields: Any) -> Migration:
    """Write a migration with this status, if it may follow."""
    states.check_migration(migration.uuid, migration.status, status)
    return draft.put(attrs.evolve(migration, status=status, updated_at_us=moment.now_us, **fields))


def start_action(draft: Draft, moment: Moment, server: str, action: str, *, name: str, origin: Origin) -> None:
    """Write that a user's action on a server began."""
    draft.put(
        ServerAction(
            id=action, server=server, action=name, request_id=origin.request_id, user=origin.user,
            project=origin.project, started_at_us=moment.now_us,
        )
    )  # fmt: skip


def finish_action(draft: Draft, server: str, action: str, moment: Moment, message: str | None = None) -> None:
    """Write that an action ended (with a message: badly), and with it all its open events."""
    row = draft.find(ServerAction, server=server, id=action)
    if row is None:
        return
    if row.finished_at_us is None:
        draft.put(attrs.evolve(row, finished_at_us=moment.now_us, message=message))
    for event in draft.all(ActionEvent, server=server, action=action):
        if event.finished_at_us is None:
            result = SUCCESS if message is None else ERROR
            draft.put(attrs.evolve(event, finished_at_us=moment.now_us, result=result, details=message))


def event_of(action: str, name: str, host: str) -> str:
    """Name an event: alike in every cell that notes it, so that it is one event when the histories come together."""
    return derived_id(action, "event", name, host)


def start_event(draft: Draft, moment: Moment, server: str, action: str, *, name: str, host: str) -> None:
    """Write that a part of an action began."""
    draft.put(
        ActionEvent(
            id=event_of(action, name, host), action=action, server=server, name=name, host=host,
            started_at_us=moment.now_us,
        )
    )  # fmt: skip


def finished_event(draft: Draft, moment: Moment, server: str, action: str, *, name: str, host: str) -> None:
    """Write that a part of an action was done, well."""
    draft.put(
        ActionEvent(
            id=event_of(action, name, host), action=action, server=server, name=name, host=host, result=SUCCESS,
            started_at_us=moment.now_us, finished_at_us=moment.now_us,
        )
    )  # fmt: skip


def note_fault(draft: Draft, server: str, cause: ErrorReport, moment: Moment) -> None:
    """Write why an operation failed."""
    draft.put(
        Fault(
            id=moment.id_of("fault"), server=server, code=cause.code, message=cause.message, details=cause.traceback,
            created_at_us=moment.now_us,
        )
    )  # fmt: skip


def notify(draft: Draft, server: str, publisher: str, moment: Moment, *events: str) -> None:
    """Write notifications, in order."""
    for event in events:
        draft.put(
            Notification(
                id=moment.id_of("notification", event), server=server, event=event, publisher=publisher,
                created_at_us=moment.now_us, seq=draft.count(Notification),
            )
        )  # fmt: skip
