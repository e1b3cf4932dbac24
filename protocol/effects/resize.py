"""Effects of a resize or cold migration on the records of the source cell and of the target cell."""

from typing import Any

import attrs

from protocol.door import bars_move
from protocol.draft import Draft, Need, need
from protocol.effects.history import (
    advance,
    bundle,
    change,
    drop_record,
    finish_action,
    finished_event,
    note_fault,
    notify,
    start_action,
    start_event,
    whole_server,
    with_places,
    write_history,
)
from protocol.effects.registry import Moment, effect
from protocol.effects.servers import at_door, check_freeze, check_settled
from protocol.errors import AlreadyExists, InvalidState
from protocol.messages import moves as say
from protocol.messages.servers import ServerBundle
from protocol.records import (
    VERSIONS_MAX,
    ActionEvent,
    Allocation,
    BlockDevice,
    Claim,
    Host,
    Migration,
    MigrationContext,
    Server,
)
from protocol.requests import Done
from protocol.states import MigrationStatus, PowerState, TaskState, VmState

#: The two events that Nova's conductor keeps open for the whole of a move.
CONDUCTOR_EVENTS = ("conductor_migrate_server", "cold_migrate")
AT_TARGET = "compute_prep_snapshot_based_resize_at_dest"
AT_SOURCE = "compute_prep_snapshot_based_resize_at_source"
FINISH = "compute_finish_snapshot_based_resize_at_dest"
CONDUCTOR = "conductor"
#: More than a copy has versions before it is the server itself, or is given up.
COPY_VERSIONS = 64


def of_server(command: "say.ReturnSource | say.HoldSource") -> tuple[Need, ...]:
    """Need the whole record and every allocation on its account."""
    return (*whole_server(command), need(Allocation, server=command.server))


@effect(say.BeginMove, at_door)
def _begin(draft: Draft, command: say.BeginMove, moment: Moment) -> ServerBundle:
    check_freeze(draft, command.goal)
    server = draft.one(Server, uuid=command.server)
    check_settled(server, command.goal.value, (VmState.ACTIVE, VmState.STOPPED))
    if (
        bar := bars_move(server, flavor=command.flavor, host=command.host, is_host_fenced=command.is_host_fenced)
    ) is not None:
        raise bar
    start_action(draft, moment, server.uuid, command.action, name=command.goal.value, origin=command.origin)
    for event in CONDUCTOR_EVENTS:
        start_event(draft, moment, server.uuid, command.action, name=event, host=CONDUCTOR)
    change(draft, server, moment, task_state=TaskState.RESIZE_PREP, progress=0)
    return bundle(draft, server.uuid)


@effect(say.AbortMove, whole_server)
def _abort(draft: Draft, command: say.AbortMove, moment: Moment) -> Done:
    finish_action(draft, command.server, command.action, moment, message=command.cause.message)
    note_fault(draft, command.server, command.cause, moment)
    notify(draft, command.server, CONDUCTOR, moment, "compute_task.migrate_server.error")
    change(draft, draft.one(Server, uuid=command.server), moment, task_state=None)
    return Done()


@effect(say.HoldSource, of_server)
def _hold(draft: Draft, command: say.HoldSource, moment: Moment) -> Migration:
    server = draft.one(Server, uuid=command.server)
    for row in draft.all(Allocation, server=server.uuid):
        if row.consumer == server.uuid:
            draft.drop(row)
            draft.put(attrs.evolve(row, consumer=command.migration))
    return draft.put(
        Migration(
            uuid=command.migration, server=server.uuid, kind=command.goal, status=MigrationStatus.PRE_MIGRATING,
            source_cell=str(command.source), source_host=server.host or "", old_flavor=server.flavor.name,
            new_flavor=command.new_flavor.name, created_at_us=moment.now_us, updated_at_us=moment.now_us,
        )
    )  # fmt: skip


@effect(say.ReturnSource, of_server)
def _return(draft: Draft, command: say.ReturnSource, moment: Moment) -> Done:
    give_allocation_back(draft, command.server, command.migration)
    advance(draft, draft.one(Migration, server=command.server, uuid=command.migration), moment, MigrationStatus.ERROR)
    return Done()


def give_allocation_back(draft: Draft, server: str, migration: str) -> None:
    """Let a server have again what the migration has held for it."""
    for row in draft.all(Allocation, server=server):
        if row.consumer == migration:
            draft.drop(row)
            draft.put(attrs.evolve(row, consumer=server))


@effect(say.MarkCrossCell, whole_server)
def _mark_cross_cell(draft: Draft, command: say.MarkCrossCell, moment: Moment) -> ServerBundle:
    migration = draft.one(Migration, server=command.server, uuid=command.migration)
    draft.put(attrs.evolve(migration, is_cross_cell=True, updated_at_us=moment.now_us))
    # What is copied now begins above all versions of an earlier copy that was given up: else the mirror, which has
    # heard that that one is gone, would take news of this one for older.
    server = draft.one(Server, uuid=command.server)
    change(draft, attrs.evolve(server, version=server.version + COPY_VERSIONS), moment)
    return bundle(draft, command.server)


@effect(say.CopyServer, with_places)
def _copy(draft: Draft, command: say.CopyServer, moment: Moment) -> Done:
    found = draft.find(Server, uuid=command.server)
    if found is not None and found.is_hidden:
        # Whoever has the server and begins to move it has no copy yet: this is left of a move that nobody carries out.
        _drop_copy(draft, command.server)
    elif found is not None:
        raise AlreadyExists(kind="server", name=f"{command.server} (in cell {moment.cell}, hidden: {found.is_hidden})")
    copied = command.bundle
    # What of a leftover is as it was is not told again: its news still holds.
    new = command.generation * VERSIONS_MAX + copied.server.version
    copied_at = new if found is None else found.copied_at
    draft.put(attrs.evolve(copied.server, is_hidden=True, generation=command.generation, copied_at=copied_at))
    for row in (*copied.block_devices, *copied.migrations):
        draft.put(row)
    write_history(draft, copied)
    return Done()


@effect(say.DestroyServer, with_places)
def _destroy(draft: Draft, command: say.DestroyServer, _: Moment) -> Done:
    # By the migration, never by the server alone: a late delete must not touch what a newer move has brought here.
    if draft.find(Migration, server=command.server, uuid=command.migration) is None:
        return Done()
    _drop_copy(draft, command.server)
    return Done()


def _drop_copy(draft: Draft, server: str) -> None:
    drop_record(draft, server)
    for claim in draft.all(Claim, server=server):
        draft.drop(claim)


@effect(say.RecordAttachments, whole_server)
def _record_attachments(draft: Draft, command: say.RecordAttachments, moment: Moment) -> Done:
    for device in draft.all(BlockDevice, server=command.server):
        if device.volume in command.attachments:
            draft.put(attrs.evolve(device, attachment=command.attachments[device.volume]))
    change(draft, draft.one(Server, uuid=command.server), moment)
    return Done()


@effect(
    say.ClaimTarget,
    lambda command: (*whole_server(command), need(Host, name=command.host), need(Claim, server=command.server)),
)
def _claim(draft: Draft, command: say.ClaimTarget, moment: Moment) -> Migration:
    server = draft.one(Server, uuid=command.server)
    host = draft.one(Host, name=command.host)
    draft.put(Claim(server=server.uuid, host=host.name, migration=command.migration))
    change(
        draft, server, moment, old_vm_state=server.vm_state, new_flavor=command.new_flavor,
        availability_zone=host.availability_zone,
        migration_context=_context(command.migration, server, command.new_flavor.name),
    )  # fmt: skip
    finished_event(draft, moment, server.uuid, command.action, name=AT_TARGET, host=host.name)
    notify(draft, server.uuid, host.name, moment, "instance.exists", "instance.resize_prep.start")
    notify(draft, server.uuid, host.name, moment, "instance.resize_prep.end")
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    return draft.put(
        attrs.evolve(migration, target_cell=str(command.cell), target_host=host.name, updated_at_us=moment.now_us)
    )


def _context(migration: str, server: Server, new_flavor: str) -> MigrationContext:
    return MigrationContext(migration=migration, old_flavor=server.flavor.name, new_flavor=new_flavor)


@effect(say.ReleaseTarget, lambda command: (need(Claim, server=command.server),))
def _release_target(draft: Draft, command: say.ReleaseTarget, _: Moment) -> Done:
    for claim in draft.all(Claim, server=command.server):
        if claim.host == command.host:
            draft.drop(claim)
    return Done()


@effect(say.NoteTarget, whole_server)
def _note_target(draft: Draft, command: say.NoteTarget, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    change(draft, server, moment, migration_context=_context(command.migration, server, migration.new_flavor))
    draft.put(
        attrs.evolve(
            migration, target_cell=str(command.cell), target_host=command.host, updated_at_us=moment.now_us,
            # An attempt that was refused may have left the cell, and this one stays: the last one tells.
            is_cross_cell=migration.source_cell != str(command.cell),
        )
    )  # fmt: skip
    return Done()


@effect(say.ForgetTarget, whole_server)
def _forget_target(draft: Draft, command: say.ForgetTarget, moment: Moment) -> Done:
    change(draft, draft.one(Server, uuid=command.server), moment, migration_context=None)
    return Done()


@effect(say.PrepareSource, whole_server)
def _prepare(draft: Draft, command: say.PrepareSource, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    change(
        draft, server, moment, task_state=TaskState.RESIZE_MIGRATING, old_flavor=server.flavor,
        new_flavor=command.new_flavor, old_vm_state=server.vm_state,
    )  # fmt: skip
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.MIGRATING)
    start_event(draft, moment, server.uuid, command.action, name=AT_SOURCE, host=server.host or "")
    notify(draft, server.uuid, server.host or "", moment, "instance.resize.start")
    return Done()


@effect(say.UnprepareSource, whole_server)
def _unprepare(draft: Draft, command: say.UnprepareSource, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    change(draft, server, moment, task_state=TaskState.RESIZE_PREP, old_flavor=None, new_flavor=None, old_vm_state=None)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.PRE_MIGRATING)
    return Done()


@effect(say.MarkMigrated, whole_server)
def _migrated(draft: Draft, command: say.MarkMigrated, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    change(draft, server, moment, task_state=TaskState.RESIZE_MIGRATED, power_state=PowerState.SHUTDOWN)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.POST_MIGRATING)
    for event in draft.all(ActionEvent, server=server.uuid, action=command.action):
        if event.name == AT_SOURCE:
            draft.put(attrs.evolve(event, result="Success", finished_at_us=moment.now_us))
    notify(draft, server.uuid, server.host or "", moment, "instance.resize.end")
    return Done()


@effect(say.UnmarkMigrated, whole_server)
def _unmigrated(draft: Draft, command: say.UnmarkMigrated, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    change(draft, server, moment, task_state=TaskState.RESIZE_MIGRATING, power_state=command.power_state)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    advance(draft, migration, moment, MigrationStatus.MIGRATING)
    return Done()


@effect(say.SetTask, whole_server)
def _set_task(draft: Draft, command: say.SetTask, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    if server.task_state not in {command.expected, command.task_state}:
        raise InvalidState(
            kind="server", name=server.uuid, field="task_state", found=str(server.task_state),
            expected=str(command.expected),
        )  # fmt: skip
    change(draft, server, moment, task_state=command.task_state)
    return Done()


@effect(say.SealServer, whole_server)
def _seal(draft: Draft, command: say.SealServer, moment: Moment) -> ServerBundle:
    change(draft, draft.one(Server, uuid=command.server), moment, is_sealed=True)
    return bundle(draft, command.server)


@effect(say.FinishTarget, whole_server)
def _finish_target(draft: Draft, command: say.FinishTarget, moment: Moment) -> Server:
    copy, original = draft.one(Server, uuid=command.server), command.sealed.server
    migration = draft.one(Migration, server=copy.uuid, uuid=command.migration)
    write_history(draft, command.sealed)
    finish_action(draft, copy.uuid, command.action, moment)
    finished_event(draft, moment, copy.uuid, command.action, name=FINISH, host=command.host)
    advance(draft, migration, moment, MigrationStatus.FINISHED)
    notify(draft, copy.uuid, command.host, moment, "instance.resize_finish.start", "instance.resize_finish.end")
    server = attrs.evolve(copy, version=max(copy.version, original.version), **user_fields(original))
    return change(
        draft, server, moment, vm_state=VmState.RESIZED, task_state=None, power_state=command.power_state,
        host=command.host, old_flavor=original.flavor, flavor=copy.new_flavor or original.flavor,
    )  # fmt: skip


def user_fields(server: Server) -> dict[str, Any]:
    """Give what users change at any time, and what therefore follows a server whichever way it goes."""
    return {
        "name": server.name,
        "description": server.description,
        "is_locked": server.is_locked,
        "metadata": server.metadata,
        "tags": server.tags,
    }


@effect(say.ShowCopy, whole_server)
def _show_copy(draft: Draft, command: say.ShowCopy, moment: Moment) -> Done:
    change(draft, draft.one(Server, uuid=command.server), moment, is_hidden=False)
    return Done()


@effect(say.HideSource, whole_server)
def _hide_source(draft: Draft, command: say.HideSource, moment: Moment) -> Done:
    finish_action(draft, command.server, command.action, moment)
    finished_event(draft, moment, command.server, command.action, name=FINISH, host=command.target_host)
    change(draft, draft.one(Server, uuid=command.server), moment, is_hidden=True)
    return Done()
