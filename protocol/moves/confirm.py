"""Confirm: the user keeps the move.  The server is his at once; what the source still has of it is owed, and goes.

Nothing here touches the running guest, so nothing here may ever harm the server: once begun it only goes forward.
"""

from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.messages import hosts, inside, moves, partners, root
from protocol.messages.servers import ReadServer, ServerBundle
from protocol.moves import parties
from protocol.moves.parties import at_home, at_root
from protocol.records import Migration
from protocol.saga import Step, Story
from protocol.states import Goal


def migration(story: Story) -> Migration:
    """Give the move's record as the target had it when the confirm began."""
    return parties.open_migration(story.reply("begin_confirm", ServerBundle))


def at_source_cell(story: Story) -> Address:
    """Address the cell that the server has left."""
    return Address(CellPath.parse(migration(story).source_cell), "cell")


def at_source_host(story: Story) -> Address:
    """Address the host that the server has left."""
    return Address(at_source_cell(story).cell, host_mailbox(migration(story).source_host))


def crosses(story: Story) -> bool:
    """Tell whether the move has left its cell: then another cell has a record of the server still."""
    return migration(story).is_cross_cell


def stays(story: Story) -> bool:
    """Tell whether the move was between two hosts of the server's cell."""
    return not crosses(story)


def _left_behind(story: Story) -> tuple[str, ...]:
    if stays(story):
        return tuple(parties.open_context(story.reply("begin_confirm", ServerBundle)).kept.values())
    bundle = story.reply("read_source", ServerBundle)
    return tuple(device.attachment for device in bundle.block_devices)


def _has_left_volumes(story: Story) -> bool:
    return bool(_left_behind(story))


KEEP = (
    Step(
        name="take", row="C0", at=at_root(),
        run=lambda story: root.TakeServer(server=story.server, conversation=story.conversation, goal=Goal.CONFIRM),
    ),
    Step(
        name="begin_confirm", row="C0, C1", at=at_home, settles=True,
        run=lambda story: moves.BeginConfirm(
            server=story.server, action=parties.action(story), origin=parties.origin(story)
        ),
        undo=lambda story: moves.AbortConfirm(server=story.server, action=parties.action(story), cause=story.cause),
    ),
    Step(
        name="finish_confirm", row="C5, C6", at=at_home,
        run=lambda story: moves.FinishConfirm(
            server=story.server, migration=migration(story).uuid, action=parties.action(story)
        ),
    ),
    parties.owe("C6", at_source_host),
)  # fmt: skip

# The server is let go; what follows may take as long as the source is away.  What the root can do alone comes first,
# so that volumes and ports are free although the host is down; the place is given back only when the disk is gone.
CLEAN_UP = (
    Step(
        name="unbind_source", row="C3", at=at_root("network"),
        run=lambda story: partners.UnbindPorts(server=story.server, host=migration(story).source_host),
    ),
    Step(
        name="read_source", row="C2", at=at_source_cell, is_read=True, when=crosses,
        run=lambda story: ReadServer(server=story.server),
    ),
    Step(
        name="delete_source_attachments", row="C3", at=at_root("volume"), when=_has_left_volumes,
        run=lambda story: partners.DeleteAttachments(server=story.server, attachments=_left_behind(story)),
    ),
    Step(
        name="destroy_source_guest", row="C3", at=at_source_host,
        run=lambda story: hosts.DestroyGuest(server=story.server),
    ),
    Step(
        name="release_source", row="C3", at=at_source_cell, when=crosses,
        run=lambda story: moves.ReleaseSource(server=story.server, migration=migration(story).uuid),
    ),
    Step(
        name="destroy_source", row="C4", at=at_source_cell, when=crosses,
        run=lambda story: moves.DestroyServer(server=story.server, migration=migration(story).uuid),
    ),
    Step(
        name="leave_source", row="C3", at=at_source_cell, when=stays,
        run=lambda story: inside.LeaveHost(server=story.server, host=migration(story).source_host),
    ),
)  # fmt: skip

CONFIRM = parties.plan("confirm", (*KEEP, *CLEAN_UP))
