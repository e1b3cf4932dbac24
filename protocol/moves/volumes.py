"""Attach, detach and swap volumes: a revert carries back what was changed in VERIFY_RESIZE."""

from collections.abc import Callable

import attrs

from protocol.messages import hosts, partners, servers
from protocol.messages.orders import ChangeVolume
from protocol.messages.partners import NewAttachment
from protocol.moves import parties
from protocol.moves.lifecycle import at_host, begin, take
from protocol.moves.parties import at_home, at_root, brief
from protocol.records import BlockDevice
from protocol.saga import Step, Story
from protocol.states import Goal, VmState, action_name

#: Users may change a server's volumes in all of these: a guest that is paused follows, one that is suspended cannot.
CHANGEABLE = (VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED, VmState.RESIZED)
#: Nova swaps no volume of a server that is stopped.
SWAPPABLE = (VmState.ACTIVE, VmState.PAUSED, VmState.RESIZED)


def _change(story: Story) -> ChangeVolume:
    order = brief(story).order
    assert isinstance(order, ChangeVolume)
    return order


def _new_attachment(story: Story) -> str:
    return story.id_of("attachment")


def _found(story: Story) -> BlockDevice:
    return story.reply("find_block_device", BlockDevice)


FIND = Step(
    name="find_block_device", row="-", at=at_home, is_read=True,
    run=lambda story: servers.FindBlockDevice(
        server=story.server, volume=_change(story).volume, action=action_name(_change(story).goal)
    ),
)  # fmt: skip


def _reserve(new: Callable[[Story], NewAttachment]) -> Step:
    """Reserve a volume that nobody has, for the server alone; empty until it is connected."""
    return Step(
        name="reserve_attachment", row="-", at=at_root("volume"),
        run=lambda story: partners.ReserveAttachments(server=story.server, attachments=(new(story),), is_new=True),
        undo=lambda story: partners.DeleteAttachments(server=story.server, attachments=(_new_attachment(story),)),
    )  # fmt: skip


CONNECT_ATTACHMENT = Step(
    name="connect_attachment", row="-", at=at_root("volume"),
    run=lambda story: partners.ConnectAttachments(
        server=story.server, attachments=(_new_attachment(story),), host=str(at_host(story))
    ),
    undo=lambda story: partners.DisconnectAttachments(
        server=story.server, attachments=(_new_attachment(story),)
    ),
)  # fmt: skip
#: Of the volume that the server has no more.
DELETE_ATTACHMENT = Step(
    name="delete_attachment", row="-", at=at_root("volume"),
    run=lambda story: partners.DeleteAttachments(server=story.server, attachments=(_found(story).attachment,)),
)  # fmt: skip
FINISH = Step(
    name="finish", row="-", at=at_home,
    run=lambda story: servers.FinishTask(
        server=story.server, action=parties.action(story), vm_state=None, power_state=None
    ),
)  # fmt: skip


# --- attach ------------------------------------------------------------------------------------------------


def _attached(story: Story) -> BlockDevice:
    order = _change(story)
    return BlockDevice(
        id=story.id_of("block device"), server=story.server, volume=order.volume,
        attachment=_new_attachment(story), device=order.device,
    )  # fmt: skip


ATTACH = parties.plan(
    "attach",
    (
        take(Goal.ATTACH),
        begin(Goal.ATTACH, "compute_attach_volume", CHANGEABLE, None),
        _reserve(
            lambda story: NewAttachment(
                id=_new_attachment(story), volume=_change(story).volume, device=_change(story).device
            )
        ),
        CONNECT_ATTACHMENT,
        Step(
            name="add_block_device", row="-", at=at_home,
            run=lambda story: servers.AddBlockDevice(server=story.server, block_device=_attached(story)),
            undo=lambda story: servers.DropBlockDevice(server=story.server, block_device=_attached(story).id),
        ),
        Step(
            name="connect_volume", row="-", at=at_host, settles=True,
            run=lambda story: hosts.ConnectVolume(
                server=story.server, place=parties.places((_attached(story),))[0]
            ),
            undo=lambda story: hosts.DisconnectVolume(server=story.server, volume=_change(story).volume),
        ),
        FINISH,
    ),
)  # fmt: skip


# --- detach ------------------------------------------------------------------------------------------------

DETACH = parties.plan(
    "detach",
    (
        take(Goal.DETACH),
        begin(Goal.DETACH, "compute_detach_volume", CHANGEABLE, None),
        FIND,
        # The guest lets go first: from there the volume may be given to others at any time, so there is no way back.
        Step(
            name="disconnect_volume", row="-", at=at_host, settles=True,
            run=lambda story: hosts.DisconnectVolume(server=story.server, volume=_change(story).volume),
            undo=lambda story: hosts.ConnectVolume(
                server=story.server, place=parties.places((_found(story),))[0]
            ),
        ),
        Step(
            name="drop_block_device", row="-", at=at_home,
            run=lambda story: servers.DropBlockDevice(server=story.server, block_device=_found(story).id),
        ),
        DELETE_ATTACHMENT,
        FINISH,
    ),
)  # fmt: skip


# --- swap --------------------------------------------------------------------------------------------------


def _replaced(story: Story) -> BlockDevice:
    """Give the device with the other volume: the guest calls it what it called the old one."""
    return attrs.evolve(_found(story), volume=_change(story).replacement, attachment=_new_attachment(story))


# The guest writes to both volumes before it lets go of the old one, so there is always one that has all it ever wrote:
# until the copy is whole that is the old one, and whatever fails leaves it as it is; from then on it is the new one,
# and it only goes forward.  Each volume is connected by one attachment of its own all the while.  The record names the
# new volume before the guest lets go of the old one: from then on that may be given to others at any time.
SWAP = parties.plan(
    "swap",
    (
        take(Goal.SWAP),
        begin(Goal.SWAP, "compute_swap_volume", SWAPPABLE, None),
        FIND,
        _reserve(
            lambda story: NewAttachment(
                id=_new_attachment(story), volume=_change(story).replacement, device=_found(story).device,
                copy_of=_found(story).volume,
            )
        ),
        CONNECT_ATTACHMENT,
        Step(
            name="copy_volume", row="-", at=at_host, settles=True,
            run=lambda story: hosts.CopyVolume(
                server=story.server, volume=_found(story).volume, place=parties.places((_replaced(story),))[0]
            ),
            undo=lambda story: hosts.DisconnectVolume(server=story.server, volume=_change(story).replacement),
        ),
        Step(
            name="replace_block_device", row="-", at=at_home,
            run=lambda story: servers.AddBlockDevice(server=story.server, block_device=_replaced(story)),
        ),
        Step(
            name="disconnect_volume", row="-", at=at_host,
            run=lambda story: hosts.DisconnectVolume(server=story.server, volume=_found(story).volume),
        ),
        DELETE_ATTACHMENT,
        FINISH,
    ),
)  # fmt: skip
