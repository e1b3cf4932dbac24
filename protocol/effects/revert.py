"""Effects of a revert on the records of both cells."""

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.confirm import open_move
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
    write_history,
)
from protocol.effects.registry import Moment, effect
from protocol.effects.resize import give_allocation_back, user_fields
from protocol.effects.servers import check_settled
from protocol.errors import InvalidState
from protocol.messages import moves as say
from protocol.messages.servers import ServerBundle
from protocol.records import Allocation, BlockDevice, Claim, Migration, Server
from protocol.requests import Done
from protocol.states import Goal, MigrationStatus, TaskState, VmState, action_name

REVERT_EVENTS = (
    "conductor_revert_snapshot_based_resize",
    "compute_revert_snapshot_based_resize_at_dest",
    "compute_finish_revert_snapshot_based_resize_at_source",
)


@effect(say.BeginRevert, whole_server)
def _begin(draft: Draft, command: say.BeginRevert, moment: Moment) -> ServerBundle:
    server = draft.one(Server, uuid=command.server)
    check_settled(server, "revert", (VmState.RESIZED,))
    migration = open_move(draft, server)
    advance(draft, migration, moment, MigrationStatus.REVERTING)
    start_action(draft, moment, server.uuid, command.action, name=action_name(Goal.REVERT), origin=command.origin)
    hosts = ("conductor", migration.target_host or "", migration.source_host)
    for event, host in zip(REVERT_EVENTS, hosts, strict=True):
        start_event(draft, moment, server.uuid, command.action, name=event, host=host)
    notify(draft, server.uuid, "conductor", moment, "instance.resize_revert.start")
    change(draft, server, moment, task_state=TaskState.RESIZE_REVERTING)
    return bundle(draft, server.uuid)


@effect(say.AbortRevert, whole_server)
def _abort(draft: Draft, command: say.AbortRevert, moment: Moment) -> Done:
    finish_action(draft, command.server, command.action, moment, message=command.cause.message)
    note_fault(draft, command.server, command.cause, moment)
    server = draft.one(Server, uuid=command.server)
    # Found here, not named by the command: whoever undoes a begin may never have heard its answer.
    migration = draft.one(Migration, server=server.uuid, status=MigrationStatus.REVERTING)
    advance(draft, migration, moment, MigrationStatus.FINISHED)
    change(draft, server, moment, task_state=None)
    return Done()


def _held(command: "say.BeginReturn | say.RestoreSource | say.VacateTarget") -> tuple[Need, ...]:
    server = command.server
    return (*whole_server(command), need(Allocation, server=server), need(Claim, server=server))


@effect(say.BeginReturn, _held)
def _begin_return(draft: Draft, command: say.BeginReturn, moment: Moment) -> ServerBundle:
    check_place(draft, command.server, command.migration)
    change(draft, draft.one(Server, uuid=command.server), moment, task_state=TaskState.RESIZE_REVERTING)
    return bundle(draft, command.server)


def check_place(draft: Draft, server: str, migration: str) -> None:
    """Refuse to give a server back to a host that keeps no place for it."""
    if not any(row.consumer == migration for row in draft.all(Allocation, server=server)):
        raise InvalidState(
            kind="migration", name=migration, field="allocation", found="None", expected="held on the source"
        )


@effect(say.AbortReturn, whole_server)
def _abort_return(draft: Draft, command: say.AbortReturn, moment: Moment) -> Done:
    change(draft, draft.one(Server, uuid=command.server), moment, task_state=TaskState.RESIZE_MIGRATED)
    return Done()


@effect(say.ApplyReturn, whole_server)
def _apply_return(draft: Draft, command: say.ApplyReturn, moment: Moment) -> Done:
    original, copy = draft.one(Server, uuid=command.server), command.sealed.server
    for device in draft.all(BlockDevice, server=original.uuid):
        draft.drop(device)
    for device in command.sealed.block_devices:
        draft.put(attrs.evolve(device, attachment=command.attachments[device.volume]))
    write_history(draft, command.sealed)
    migration = draft.one(Migration, server=original.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.REVERTING)
    server = attrs.evolve(original, version=max(original.version, copy.version), **user_fields(copy))
    change(draft, server, moment, old_vm_state=copy.old_vm_state, generation=command.generation)
    return Done()


@effect(say.RestoreSource, _held)
def _restore(draft: Draft, command: say.RestoreSource, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    give_allocation_back(draft, server.uuid, command.migration)
    change(
        draft, server, moment, flavor=server.old_flavor or server.flavor, host=migration.source_host, is_hidden=False,
        is_sealed=False,
    )  # fmt: skip
    return Done()


@effect(say.FinishReturn, whole_server)
def _finish(draft: Draft, command: say.FinishReturn, moment: Moment) -> Server:
    server = draft.one(Server, uuid=command.server)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.REVERTED)
    finish_action(draft, server.uuid, command.action, moment)
    notify(draft, server.uuid, command.target_host, moment, "instance.exists")
    notify(draft, server.uuid, "conductor", moment, "instance.resize_revert.end")
    return change(
        draft, server, moment, vm_state=server.old_vm_state or server.vm_state, task_state=None,
        power_state=command.power_state, old_flavor=None, new_flavor=None, old_vm_state=None, migration_context=None,
    )  # fmt: skip


@effect(say.HideTarget, whole_server)
def _hide_target(draft: Draft, command: say.HideTarget, moment: Moment) -> Done:
    change(draft, draft.one(Server, uuid=command.server), moment, is_hidden=True)
    return Done()


@effect(say.VacateTarget, _held)
def _vacate(draft: Draft, command: say.VacateTarget, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    for row in draft.all(Allocation, server=server.uuid):
        if row.host == command.host:
            draft.drop(row)
    for claim in draft.all(Claim, server=server.uuid):
        if claim.host == command.host:
            draft.drop(claim)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.REVERTED)
    change(draft, server, moment, migration_context=None)
    return Done()
