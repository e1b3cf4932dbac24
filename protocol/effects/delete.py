"""Effects of a delete on the records of the server's home."""

from protocol.draft import Draft
from protocol.effects.history import (
    bundle,
    change,
    drop_parts,
    drop_record,
    notify,
    start_action,
    start_event,
    whole_server,
    with_places,
)
from protocol.effects.registry import Moment, effect
from protocol.effects.servers import check_lock
from protocol.errors import Conflict, InvalidState
from protocol.messages import servers as say
from protocol.messages.servers import ServerBundle
from protocol.records import Allocation, Claim, DeletedServer, Server, ServerAction
from protocol.requests import Done
from protocol.states import TaskState, VmState


@effect(say.BeginDelete, whole_server)
def _begin(draft: Draft, command: say.BeginDelete, moment: Moment) -> ServerBundle:
    server = draft.one(Server, uuid=command.server)
    if server.is_hidden or server.is_sealed:
        raise Conflict(server=server.uuid, action="delete", reason="this cell is not its home")
    if not command.is_let_in:
        check_lock(server)
    if command.is_soft_deleted and server.vm_state is not VmState.SOFT_DELETED:
        expected = VmState.SOFT_DELETED.value
        raise InvalidState(
            kind="server", name=server.uuid, field="vm_state", found=server.vm_state.value, expected=expected
        )  # fmt: skip
    start_action(draft, moment, server.uuid, command.action, name="delete", origin=command.origin)
    start_event(
        draft, moment, server.uuid, command.action, name="compute_terminate_instance", host=server.host or "conductor"
    )
    notify(draft, server.uuid, server.host or "conductor", moment, "instance.delete.start", "instance.shutdown.start")
    change(draft, server, moment, task_state=TaskState.DELETING)
    return bundle(draft, server.uuid)


@effect(say.EraseLost, with_places)
def _erase_lost(draft: Draft, command: say.EraseLost, _: Moment) -> Done:
    server = command.server
    if draft.find(Server, uuid=server) is not None:
        drop_record(draft, server)  # It is there again since it was looked for; its user has deleted it all the same.
    drop_parts(draft, server)
    places: tuple[Allocation | Claim, ...] = (*draft.all(Allocation, server=server), *draft.all(Claim, server=server))
    for place in places:
        draft.drop(place)
    return Done()


@effect(say.EraseServer, with_places)
def _erase(draft: Draft, command: say.EraseServer, moment: Moment) -> Done:
    # By the action, never by the server alone: it says that this very delete has begun here.
    if draft.find(ServerAction, server=command.server, id=command.action) is None:
        return Done()
    server = draft.one(Server, uuid=command.server)
    host = server.host
    notify(draft, command.server, host or "conductor", moment, "instance.shutdown.end", "instance.delete.end")
    # What a move inside this cell has left on its other host is kept until the disk there is gone.
    places: tuple[Allocation | Claim, ...] = draft.all(Allocation, server=command.server)
    for place in (*places, *draft.all(Claim, server=command.server)):
        if place.host == host:
            draft.drop(place)
    drop_record(draft, command.server)
    draft.put(
        DeletedServer(
            uuid=server.uuid, project=server.project, generation=server.generation, version=server.version + 1,
            deleted_at_us=moment.now_us,
        )
    )  # fmt: skip
    return Done()
