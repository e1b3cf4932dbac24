"""Delete: the server goes, with all that belongs to it; its volumes stay, as nobody's.

A delete is accepted at every moment.  While another conversation has the server, that one is asked to end: what can
still be undone is undone, what can only go forward goes to its end, and then the delete has its turn.  A move that
waits for its user is confirmed first, by the confirm's own steps.
"""

import math
from collections.abc import Callable

import attrs

from protocol.cell_path import Address, host_mailbox
from protocol.ids import derived_id
from protocol.messages import hosts, partners, root, servers
from protocol.messages.servers import ServerBundle
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


def is_there(story: Story) -> bool:
    """Tell whether there is still something to delete: what was being created may have been undone meanwhile."""
    return parties.taken(story).mapping.cell is not None


def is_resized(story: Story) -> bool:
    """Tell whether a move waits for its user, and is to be confirmed first."""
    return is_there(story) and story.reply("look", ServerBundle).server.vm_state is VmState.RESIZED


def begun(story: Story) -> ServerBundle:
    """Give the record as it was when nothing but the delete could change it any more."""
    return story.reply("begin_delete", ServerBundle)


def has_host(story: Story) -> bool:
    """Tell whether the server has come to a host."""
    return is_there(story) and begun(story).server.host is not None


def at_host(story: Story) -> Address:
    """Address the host that the server is on."""
    host = begun(story).server.host
    assert host is not None
    return Address(parties.home(story), host_mailbox(host))


def _attachments(story: Story) -> tuple[str, ...]:
    return tuple(device.attachment for device in begun(story).block_devices)


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
            server=story.server, conversation=story.conversation, goal=Goal.DELETE, is_queued=brief(story).is_queued
        ),
    ),
    Step(
        name="look", row="-", at=at_home, is_read=True, when=is_there, patience_s=math.inf,
        run=lambda story: servers.ReadServer(server=story.server),
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
        name="begin_delete", row="-", at=at_home, when=is_there, settles=True, patience_s=math.inf,
        run=lambda story: servers.BeginDelete(
            server=story.server, action=action(story), origin=parties.origin(story), is_let_in=is_resized(story)
        ),
        undo=lambda story: servers.AbortTask(server=story.server, action=action(story), cause=story.cause),
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
        name="erase", row="-", at=at_home, when=is_there,
        run=lambda story: servers.EraseServer(server=story.server, action=action(story)),
    ),
)  # fmt: skip

DELETE = parties.plan("delete", (*FIND, *CONFIRM_FIRST, *REMOVE, *CLEAN_UP))
