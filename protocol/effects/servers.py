"""Effects on a cell's servers outside of moves: build, tasks, block devices."""

from typing import Any

import attrs

from protocol.door import bars_order
from protocol.draft import Draft, Need, need
from protocol.effects.history import (
    bundle,
    change,
    finish_action,
    note_fault,
    notify,
    start_action,
    start_event,
    whole_server,
)
from protocol.effects.registry import Moment, effect
from protocol.errors import AlreadyExists, Conflict, InvalidState, NotFound, ServerLocked, VolumeBacked
from protocol.messages import servers as say
from protocol.messages.servers import ServerBundle
from protocol.records import ActionEvent, Allocation, BlockDevice, CellFreeze, Claim, Server, ServerAction
from protocol.requests import Done
from protocol.states import Goal, TaskState, VmState


@effect(say.ReadServer, whole_server)
def _read(draft: Draft, command: say.ReadServer, _: Moment) -> ServerBundle:
    return bundle(draft, command.server)


def at_door(command: Any) -> tuple[Need, ...]:
    """Need the whole record of the command's server, and whether its cell lets anything begin."""
    return (*whole_server(command), need(CellFreeze))


@effect(say.FindServer, at_door)
def _find(draft: Draft, command: say.FindServer, _: Moment) -> say.Sighting:
    is_there = draft.find(Server, uuid=command.server) is not None
    return say.Sighting(
        bundle=bundle(draft, command.server) if is_there else None, freeze=draft.find(CellFreeze)
    )  # fmt: skip


@effect(say.BuildServer, whole_server)
def _build(draft: Draft, command: say.BuildServer, moment: Moment) -> Done:
    if draft.find(Server, uuid=command.server) is not None:
        raise AlreadyExists(kind="server", name=command.server)
    draft.put(
        Server(
            uuid=command.server, name=command.name, project=command.origin.project, user=command.origin.user,
            image=command.image, flavor=command.flavor, host=command.host,
            availability_zone=command.availability_zone, vm_state=VmState.BUILDING,
            task_state=TaskState.SPAWNING, key_pair=command.key_pair, bandwidth_kbps=command.bandwidth_kbps,
            created_at_us=moment.now_us, updated_at_us=moment.now_us,
        )
    )  # fmt: skip
    for device in command.block_devices:
        draft.put(device)
    draft.put(Claim(server=command.server, host=command.host))
    start_action(draft, moment, command.server, command.action, name="create", origin=command.origin)
    start_event(
        draft, moment, command.server, command.action, name="compute__do_build_and_run_instance", host=command.host
    )
    notify(draft, command.server, command.host, moment, "instance.create.start")
    return Done()


@effect(
    say.DestroyBuild,
    lambda command: (*whole_server(command), need(Claim, server=command.server)),
)
def _destroy_build(draft: Draft, command: say.DestroyBuild, _: Moment) -> Done:
    if draft.find(ServerAction, server=command.server, id=command.action) is None:
        return Done()
    for kind in (BlockDevice, ServerAction, ActionEvent, Claim):
        for row in draft.all(kind, server=command.server):
            draft.drop(row)
    draft.drop(draft.one(Server, uuid=command.server))
    return Done()


@effect(
    say.FinishBuild,
    lambda command: (*whole_server(command), need(Allocation, consumer=command.server)),
)
def _finish_build(draft: Draft, command: say.FinishBuild, moment: Moment) -> Server:
    server = draft.one(Server, uuid=command.server)
    finish_action(draft, command.server, command.action, moment)
    notify(draft, command.server, server.host or "", moment, "instance.create.end")
    return change(draft, server, moment, vm_state=VmState.ACTIVE, task_state=None, power_state=command.power_state)


def check_freeze(draft: Draft, goal: Goal | None = None) -> None:
    """Refuse to begin anything in a frozen cell but what it lets in."""
    if (bar := bars_order(draft.find(CellFreeze), goal)) is not None:
        raise bar


def check_lock(server: Server) -> None:
    """Refuse to touch a locked server."""
    if server.is_locked:
        raise ServerLocked(server=server.uuid)


def check_settled(server: Server, action: str, vm_states: tuple[VmState, ...]) -> None:
    """Refuse an operation on a server that is locked, hidden, busy or in no state for it."""
    if server.is_hidden or server.is_sealed:
        raise Conflict(server=server.uuid, action=action, reason="this cell is not its home")
    check_lock(server)
    if server.task_state is not None:
        raise Conflict(server=server.uuid, action=action, reason=f"its task is {server.task_state}")
    if server.vm_state not in vm_states:
        expected = " or ".join(vm_states)
        raise InvalidState(
            kind="server", name=server.uuid, field="vm_state", found=server.vm_state.value, expected=expected
        )


@effect(say.BeginTask, at_door)
def _begin_task(draft: Draft, command: say.BeginTask, moment: Moment) -> ServerBundle:
    check_freeze(draft)
    server = draft.one(Server, uuid=command.server)
    check_settled(server, command.action_name, command.vm_states)
    if command.needs_own_disk and not server.image:
        raise VolumeBacked(server=server.uuid, action=command.action_name)
    start_action(draft, moment, server.uuid, command.action, name=command.action_name, origin=command.origin)
    start_event(draft, moment, server.uuid, command.action, name=command.event, host=server.host or "")
    change(draft, server, moment, task_state=command.task_state)
    return bundle(draft, server.uuid)


@effect(say.AbortTask, whole_server)
def _abort_task(draft: Draft, command: say.AbortTask, moment: Moment) -> Done:
    if draft.find(ServerAction, server=command.server, id=command.action) is None:
        return Done()
    finish_action(draft, command.server, command.action, moment, message=command.cause.message)
    note_fault(draft, command.server, command.cause, moment)
    change(draft, draft.one(Server, uuid=command.server), moment, task_state=None)
    return Done()


@effect(say.FinishTask, whole_server)
def _finish_task(draft: Draft, command: say.FinishTask, moment: Moment) -> Server:
    server = draft.one(Server, uuid=command.server)
    finish_action(draft, command.server, command.action, moment)
    return change(
        draft, server, moment, task_state=None, vm_state=command.vm_state or server.vm_state,
        power_state=server.power_state if command.power_state is None else command.power_state,
    )  # fmt: skip


@effect(say.AddBlockDevice, whole_server)
def _add_block_device(draft: Draft, command: say.AddBlockDevice, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    for row in draft.all(BlockDevice, server=command.server):
        if row.device == command.block_device.device and row.id != command.block_device.id:
            raise AlreadyExists(kind="block device", name=f"{command.server}{row.device}")
    draft.put(attrs.evolve(command.block_device, server=server.uuid))
    change(draft, server, moment)
    return Done()


@effect(say.FindBlockDevice, whole_server)
def _find_block_device(draft: Draft, command: say.FindBlockDevice, _: Moment) -> BlockDevice:
    for row in draft.all(BlockDevice, server=command.server):
        if row.volume == command.volume:
            if row.boot_index == 0:
                raise Conflict(server=command.server, action=command.action, reason=f"{row.volume} is its root disk")
            return row
    raise NotFound(kind="attached volume", name=f"{command.volume} of server {command.server}")


@effect(say.DropBlockDevice, whole_server)
def _drop_block_device(draft: Draft, command: say.DropBlockDevice, moment: Moment) -> Done:
    for row in draft.all(BlockDevice, server=command.server):
        if row.id == command.block_device:
            draft.drop(row)
            change(draft, draft.one(Server, uuid=command.server), moment)
    return Done()
