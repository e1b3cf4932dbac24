"""Effects of what a server's cell is asked to have done: the order is handed on, each time durably.

The key of the order follows from the cell and from the key under which the cell was asked.  So a message that is
doubled, or asked again after a crash, ends in the same conversation; and no cell can pass for another.
"""

from typing import Any

import attrs

from protocol.cell_path import Address, CellPath
from protocol.draft import Draft, Need, News, need
from protocol.effects.changes import action_of, note_change
from protocol.effects.history import change
from protocol.effects.mirror import forget_parts, told_of
from protocol.effects.registry import Moment, Refused, effect
from protocol.effects.servers import at_door, check_freeze
from protocol.envelope import Key
from protocol.errors import Conflict, InvalidState, InvalidValue, NotFound, NotItsHome
from protocol.ids import derived_id
from protocol.messages import handing
from protocol.messages.changes import UpdateFromApi
from protocol.messages.instances import ASKS, Asked, DeleteEverywhere, Handed, HandedIfHere
from protocol.records import CellFreeze, Mapping, Mirror, Server, ServerAction
from protocol.requests import Done


def order_key(cell: str, asked: str) -> Key:
    """Give the key of the order that a cell hands on; raise when the cell was not asked under a plain call's key."""
    key = Key.parse(asked) if asked else None
    if key is None or not key.is_plain:
        raise InvalidValue(name="key", value=asked or None, rule="an order needs a plain one, so that it is taken once")
    return Key.plain(derived_id("asked of", cell, key.scope), key.attempt)


def conversation_of(key: Key) -> str:
    """Name the conversation that an order begins."""
    return derived_id(str(key))


def root_of(moment: Moment) -> CellPath:
    """Name the root of the tree."""
    return CellPath.parse(moment.cell).root


# --- in the server's cell ----------------------------------------------------------------------------------


def visible(draft: Draft, name: str, moment: Moment) -> Server | None:
    """Give the record of a server that is at home here; of one that is unknown here tell the root so."""
    server = draft.find(Server, uuid=name)
    if server is None:
        told = derived_id("absent", moment.cell, name, moment.key)
        draft.tell(
            News(
                id=told, target=Address(root_of(moment), "cell"), server=name, request=handing.NoteAbsent(server=name)
            )
        )  # fmt: skip
        return None
    if server.is_hidden or server.is_sealed:
        raise NotItsHome(server=name, cell=moment.cell)
    return server


def _of_server(command: Any) -> tuple[Need, ...]:
    return (need(Server, uuid=command.server), need(CellFreeze))


def _hand_on(draft: Draft, command: Any, moment: Moment) -> Handed | Refused:
    order_key(moment.cell, moment.key)  # Before all: who asks without a key is refused for that.
    if visible(draft, command.server, moment) is None:
        return Refused(NotFound(kind="server", name=command.server))
    check_freeze(draft, command.order.goal)
    return Handed(conversation=_handed(draft, command.order, moment), server=command.server)


def _handed(draft: Draft, order: Asked, moment: Moment) -> str:
    """Hand an order on; name the conversation that carries it out."""
    conversation = conversation_of(order_key(moment.cell, moment.key))
    draft.tell(
        News(
            id=derived_id("handed", conversation), target=Address(root_of(moment), "cell"), server=order.server,
            request=handing.PassOrder(asked=moment.key, order=order),
        )
    )  # fmt: skip
    return conversation


for _request in ASKS:
    effect(_request, _of_server)(_hand_on)


@effect(DeleteEverywhere, _of_server)
def _delete_here(draft: Draft, command: DeleteEverywhere, moment: Moment) -> HandedIfHere:
    server = draft.find(Server, uuid=command.server)
    if server is None or server.is_hidden or server.is_sealed:
        # Another cell has it, or none: every one is asked.
        return HandedIfHere()
    check_freeze(draft, command.order.goal)
    return HandedIfHere(conversation=_handed(draft, command.order, moment))


@effect(UpdateFromApi, at_door)
def _update(draft: Draft, command: UpdateFromApi, moment: Moment) -> Server | Refused:
    server = visible(draft, command.server, moment)
    if server is None:
        return Refused(NotFound(kind="server", name=command.server))
    if draft.find(ServerAction, server=server.uuid, id=command.action) is not None:
        return server
    check_freeze(draft)
    check_expected(server, command)
    fields = command.change.fields()
    fields.pop("metadata", None)
    if command.is_reset and command.vm_state is not None:
        fields["vm_state"] = command.vm_state
    note_change(draft, server, moment, action=command.action, name=action_of(command.change), origin=command.origin)
    return change(draft, server, moment, **fields)


def check_expected(server: Server, command: UpdateFromApi) -> None:
    """Refuse to save what was decided about a server in another state than it is in."""
    if server.task_state is not None and (command.has_no_task or command.is_reset):
        raise Conflict(server=server.uuid, action="be updated", reason=f"its task is {server.task_state}")
    if command.vm_states and server.vm_state not in command.vm_states:
        raise InvalidState(
            kind="server", name=server.uuid, field="vm_state", found=server.vm_state.value,
            expected=" or ".join(command.vm_states),
        )  # fmt: skip


# --- at the root -------------------------------------------------------------------------------------------


@effect(handing.PassOrder, lambda command: (need(Mapping, server=command.order.server),))
def _pass(draft: Draft, command: handing.PassOrder, moment: Moment) -> Done:
    order = command.order
    mapping = draft.find(Mapping, server=order.server)
    if mapping is None or mapping.cell != moment.sender:
        # For good: it may have moved since, and whoever asked asks its new home, or sees that it is gone.
        reason = f"cell {moment.sender} passes an order on, and is not its home"
        raise Conflict(server=order.server, action="be worked on", reason=reason)
    key = order_key(moment.sender, command.asked)
    # What comes from a cell has no more rights than the server's user: no cell can make anybody an administrator.
    order = attrs.evolve(order, origin=attrs.evolve(order.origin, is_admin=False))
    draft.tell(
        News(
            id=derived_id("passed", str(key)), target=Address(root_of(moment), "conductor"), server=order.server,
            request=handing.TakeOrder(order=order), key=key,
        )
    )  # fmt: skip
    return Done()


@effect(handing.NoteAbsent, lambda command: (need(Mapping, server=command.server), *told_of(command.server)))
def _note_absent(draft: Draft, command: handing.NoteAbsent, moment: Moment) -> Done:
    mapping = draft.find(Mapping, server=command.server)
    if mapping is not None and mapping.cell == moment.sender:
        # It may have come there since, or is just being deleted: then its conversation tells how that ends.
        return Done()
    for mirror in draft.all(Mirror, server=command.server):
        if mirror.cell == moment.sender:
            # It stays, as news of what is gone: news that is newer still counts.
            draft.put(attrs.evolve(mirror, is_gone=True))
            forget_parts(draft, command.server, moment.sender, mirror.rank)
    return Done()
