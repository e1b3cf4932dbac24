"""Delete: the server goes, with all that belongs to it; its volumes stay, as nobody's.

A delete is accepted at every moment.  While another conversation has the server, that one is asked to end: what can
still be undone is undone, what can only go forward goes to its end, and then the delete has its turn.  A move that
waits for its user is confirmed first, by the confirm's own steps.

A server whose home has lost its record is deleted like any other: where its guest is, the ledger of permits tells, and
what is left of it in its cell and at the partners goes by its name.
"""

import math
from collections.abc import Callable

import attrs

from protocol.cell_path import Address, host_mailbox
from protocol.door import bars_order
from protocol.errors import CellferryError
from protocol.ids import derived_id
from protocol.messages import hosts, partners, root, servers
from protocol.messages.orders import DeleteServer
from protocol.messages.partners import AttachmentList
from protocol.messages.servers import ServerBundle, Sighting
from protocol.moves import confirm, parties
from protocol.moves.parties import at_home, at_root, brief
from protocol.saga import Step, Story, always
from protocol.states import Goal, VmState

#: Of the confirm's steps these are the delete's own: the server is taken already, and is let go when it is gone.
OWN = frozenset({"take", parties.OWE})


Condition = Callable[[Story], bool]


def action(story: Story) -> str:
    """Name the delete in the server's history; a confirm that comes before it has an action of its own."""
    return derived_id(story.conversation, "delete")


def _soft_deleted_at_us(story: Story) -> int | None:
    """Tell of which soft delete it is the end; None: of none."""
    order = brief(story).order
    return order.soft_deleted_at_us if isinstance(order, DeleteServer) else None


def is_there(story: Story) -> bool:
    """Tell whether there is still something to delete: what was being created may have been undone meanwhile."""
    return parties.taken(story).mapping.cell is not None


def seen(story: Story) -> ServerBundle | None:
    """Give the record as its home had it at first; None: it is lost."""
    return story.reply("look", Sighting).bundle


def has_record(story: Story) -> bool:
    """Tell whether its home has a record of it."""
    return is_there(story) and seen(story) is not None


def is_lost(story: Story) -> bool:
    """Tell whether its home has no record of it, though the mapping says that it lives there."""
    return is_there(story) and seen(story) is None


def is_resized(story: Story) -> bool:
    """Tell whether a move waits for its user, and is to be confirmed first."""
    found = seen(story) if is_there(story) else None
    return found is not None and found.server.vm_state is VmState.RESIZED


def frozen(story: Story, reply: Sighting) -> CellferryError | None:
    """Object to a home that is frozen, before anything begins there.

    What waited behind others was accepted at once, and ends what they had begun: it is not forgotten.
    """
    return None if brief(story).is_queued else bars_order(reply.freeze, Goal.DELETE)


def begun(story: Story) -> ServerBundle:
    """Give the record as it was when nothing but the delete could change it any more."""
    return story.reply("begin_delete", ServerBundle)


def _host(story: Story) -> Address | None:
    if has_record(story):
        host = begun(story).server.host
        return Address(parties.home(story), host_mailbox(host)) if host is not None else None
    permit = parties.taken(story).permit
    return Address.parse(permit.holder) if permit is not None and permit.holder is not None else None


def has_host(story: Story) -> bool:
    """Tell whether the server has come to a host, as its record has it, or else the ledger of permits."""
    return is_there(story) and _host(story) is not None


def at_host(story: Story) -> Address:
    """Address the host that the server is on."""
    host = _host(story)
    assert host is not None
    return host


def _attachments(story: Story) -> tuple[str, ...]:
    if has_record(story):
        return tuple(device.attachment for device in begun(story).block_devices)
    return tuple(row.id for row in story.reply("find_attachments", AttachmentList).attachments)


def _has_attachments(story: Story) -> bool:
    return is_there(story) and bool(_attachments(story))


def _both(first: Condition, then: Condition) -> Condition:
    if then is always:
        return first

    def both(story: Story) -> bool:
        return first(story) and then(story)

    # The docs tell conditions by their names.
    both.__name__ = f"{first.__name__} and {then.__name__}"
    return both


FIND = (
    # It waits for as long as another conversation has the server: that one knows, and ends as soon as it may.  And for
    # whoever does not answer: a delete may be refused, and is never forgotten.
    Step(
        name="take", row="-", at=at_root(), patience_s=math.inf,
        run=lambda story: root.TakeServer(
            server=story.server, conversation=story.conversation, goal=Goal.DELETE, is_queued=brief(story).is_queued,
            soft_deleted_at_us=_soft_deleted_at_us(story),
        ),
    ),
    Step(
        name="look", row="-", at=at_home, is_read=True, when=is_there, patience_s=math.inf,
        run=lambda story: servers.FindServer(server=story.server), objection=frozen,
    ),
)  # fmt: skip


def _of_a_move(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Give a confirm's steps as those of a delete: only if a move waits, for ever patient, and without its own."""
    own = (step for step in steps if step.name not in OWN)
    return tuple(attrs.evolve(step, when=_both(is_resized, step.when), patience_s=math.inf) for step in own)


#: The user's word counts as given: the move is kept, and with it all that it has left at the source.
CONFIRM_FIRST = _of_a_move(confirm.KEEP)
#: Last, for the source's host may be away: what the user asked for does not wait for it.
CLEAN_UP = _of_a_move(confirm.CLEAN_UP)

# The guest goes first, so that nobody writes to what is taken away; the permit is withdrawn when it can run nowhere.
# The mapping goes before the record: what it does not name is not shown, and nobody finds half a server.
REMOVE = (
    Step(
        name="begin_delete", row="-", at=at_home, when=has_record, settles=True, patience_s=math.inf,
        run=lambda story: servers.BeginDelete(
            server=story.server, action=action(story), origin=parties.origin(story), is_let_in=is_resized(story),
            is_soft_deleted=_soft_deleted_at_us(story) is not None,
        ),
        undo=lambda story: servers.AbortTask(server=story.server, action=action(story), cause=story.cause),
    ),
    Step(
        name="find_attachments", row="-", at=at_root("volume"), is_read=True, when=is_lost, settles=True,
        patience_s=math.inf,
        run=lambda story: partners.ListAttachments(server=story.server),
    ),
    Step(
        name="destroy_guest", row="-", at=at_host, when=has_host,
        run=lambda story: hosts.DestroyGuest(server=story.server),
    ),
    Step(
        name="withdraw_permit", row="-", at=at_root(), when=has_host,
        run=lambda story: root.WithdrawPermit(server=story.server, holder=str(at_host(story))),
    ),
    Step(
        name="delete_ports", row="-", at=at_root("network"), when=is_there,
        run=lambda story: partners.DeletePorts(server=story.server),
    ),
    Step(
        name="delete_attachments", row="-", at=at_root("volume"), when=_has_attachments,
        run=lambda story: partners.DeleteAttachments(server=story.server, attachments=_attachments(story)),
    ),
    Step(
        name="forget_home", row="-", at=at_root(), when=is_there,
        run=lambda story: root.ForgetHome(server=story.server, conversation=story.conversation),
    ),
    Step(
        name="erase", row="-", at=at_home, when=has_record,
        run=lambda story: servers.EraseServer(server=story.server, action=action(story)),
    ),
    Step(
        name="erase_lost", row="-", at=at_home, when=is_lost,
        run=lambda story: servers.EraseLost(server=story.server),
    ),
)  # fmt: skip

DELETE = parties.plan("delete", (*FIND, *CONFIRM_FIRST, *REMOVE, *CLEAN_UP))
