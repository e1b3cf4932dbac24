"""Effects of a delete on the records of the server's home."""

from protocol.draft import Draft, Need, need
from protocol.effects.history import bundle, change, notify, start_action, start_event, whole_server
from protocol.effects.registry import Moment, effect
from protocol.effects.resize import drop_record
from protocol.effects.servers import check_lock
from protocol.errors import Conflict
from protocol.messages import servers as say
from protocol.messages.servers import ServerBundle
from protocol.records import Allocation, Claim, Server, ServerAction
from protocol.requests import Done
from protocol.states import TaskState


@effect(say.BeginDelete, whole_server)
def _begin(draft: Draft, command: say.BeginDelete, moment: Moment) -> ServerBundle:
    server = draft.one(Server, uuid=command.server)
    if server.is_hidden or server.is_sealed:
        raise Conflict(server=server.uuid, action="delete", reason="this cell is not its home")
    if not command.is_let_in:
        check_lock(server)
    start_action(draft, moment, server.uuid, command.action, name="delete", origin=command.origin)
    start_event(
        draft, moment, server.uuid, command.action, name="compute_terminate_instance", host=server.host or "conductor"
    )
    notify(draft, server.uuid, server.host or "conductor", moment, "instance.delete.start", "instance.shutdown.start")
    change(draft, server, moment, task_state=TaskState.DELETING)
    return bundle(draft, server.uuid)


def _all_of_it(command: say.EraseServer) -> tuple[Need, ...]:
    server = command.server
    kinds = (Claim, Allocation)
    return (*whole_server(command), *(need(kind, server=server) for kind in kinds))


@effect(say.EraseServer, _all_of_it)
def _erase(draft: Draft, command: say.EraseServer, moment: Moment) -> Done:
    # By the action, never by the server alone: it says that this very delete has begun here.
    if draft.find(ServerAction, server=command.server, id=command.action) is None:
        return Done()
    host = draft.one(Server, uuid=command.server).host
    notify(draft, command.server, host or "conductor", moment, "instance.shutdown.end", "instance.delete.end")
    # What a move inside this cell has left on its other host is kept until the disk there is gone.
    places: tuple[Allocation | Claim, ...] = draft.all(Allocation, server=command.server)
    for place in (*places, *draft.all(Claim, server=command.server)):
        if place.host == host:
            draft.drop(place)
    drop_record(draft, command.server)
    return Done()
