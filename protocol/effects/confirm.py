"""Effects of a confirm on the records of both cells."""

import attrs

from protocol.draft import Draft, need
from protocol.effects.history import (
    advance,
    bundle,
    change,
    finish_action,
    note_fault,
    notify,
    start_action,
    start_event,
    whole_server,
    with_places,
)
from protocol.effects.registry import Moment, effect
from protocol.effects.servers import check_settled
from protocol.errors import InvalidState
from protocol.messages import moves as say
from protocol.messages.servers import ServerBundle
from protocol.records import Allocation, Claim, Migration, Server
from protocol.requests import Done
from protocol.states import Goal, MigrationStatus, PowerState, VmState, action_name

CONFIRM_EVENTS = (
    "conductor_confirm_snapshot_based_resize",
    "compute_confirm_snapshot_based_resize_at_source",
)


def open_move(draft: Draft, server: Server) -> Migration:
    """Give the finished migration of a server in VERIFY_RESIZE; refuse when there is none."""
    for migration in draft.all(Migration, server=server.uuid):
        if server.migration_context is not None and migration.uuid == server.migration_context.migration:
            if migration.status is MigrationStatus.FINISHED:
                return migration
            raise InvalidState(
                kind="migration", name=migration.uuid, field="status", found=migration.status.value, expected="finished"
            )
    raise InvalidState(kind="server", name=server.uuid, field="migration", found="None", expected="a finished one")


@effect(say.BeginConfirm, whole_server)
def _begin(draft: Draft, command: say.BeginConfirm, moment: Moment) -> ServerBundle:
    server = draft.one(Server, uuid=command.server)
    check_settled(server, "confirm", (VmState.RESIZED,))
    migration = open_move(draft, server)
    advance(draft, migration, moment, MigrationStatus.CONFIRMING)
    start_action(draft, moment, server.uuid, command.action, name=action_name(Goal.CONFIRM), origin=command.origin)
    start_event(draft, moment, server.uuid, command.action, name=CONFIRM_EVENTS[0], host="conductor")
    start_event(draft, moment, server.uuid, command.action, name=CONFIRM_EVENTS[1], host=migration.source_host)
    notify(draft, server.uuid, "conductor", moment, "instance.resize_confirm.start")
    return bundle(draft, server.uuid)


@effect(say.AbortConfirm, whole_server)
def _abort(draft: Draft, command: say.AbortConfirm, moment: Moment) -> Done:
    finish_action(draft, command.server, command.action, moment, message=command.cause.message)
    note_fault(draft, command.server, command.cause, moment)
    for migration in draft.all(Migration, server=command.server):
        if migration.status is MigrationStatus.CONFIRMING:
            advance(draft, migration, moment, MigrationStatus.FINISHED)
    # Nothing of its own row is new, but its fault is, and the root hears of that by the row's version.
    change(draft, draft.one(Server, uuid=command.server), moment)
    return Done()


@effect(say.ReleaseSource, with_places)
def _release_source(draft: Draft, command: say.ReleaseSource, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    for row in draft.all(Allocation, server=server.uuid):
        if row.consumer == command.migration:
            draft.drop(row)
    for claim in draft.all(Claim, server=server.uuid):
        if claim.host == migration.source_host:
            draft.drop(claim)
    advance(draft, migration, moment, MigrationStatus.CONFIRMED)
    change(draft, server, moment, migration_context=None)
    return Done()


@effect(say.FinishConfirm, lambda command: (*whole_server(command), need(Claim, server=command.server)))
def _finish(draft: Draft, command: say.FinishConfirm, moment: Moment) -> Server:
    server = draft.one(Server, uuid=command.server)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.CONFIRMED)
    for claim in draft.all(Claim, server=server.uuid):
        draft.put(attrs.evolve(claim, migration=None))
    finish_action(draft, server.uuid, command.action, moment)
    notify(draft, server.uuid, "conductor", moment, "instance.resize_confirm.end")
    vm_state = VmState.STOPPED if server.power_state is PowerState.SHUTDOWN else VmState.ACTIVE
    return change(
        draft, server, moment, vm_state=vm_state, task_state=None, old_flavor=None, new_flavor=None, old_vm_state=None,
        migration_context=None,
    )  # fmt: skip
