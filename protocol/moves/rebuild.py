"""Rebuild: a server's root disk is made anew from an image, on its host; all else that it has stays.

The new disk is made and checked while the guest still runs on its own.  Then the guest is switched off, under the
permit that its host keeps; the new disk takes the place of the old one, which is set aside; and the guest starts.
Until it has, whatever fails puts the old disk back.  From then on its user may be writing to the new one, and it only
goes forward.  Of a server that is stopped nothing starts: there it goes forward once the record names the image.
"""

from typing import Any, Final

from protocol.effects.images import ACTIVE
from protocol.errors import CellferryError, NotFound
from protocol.messages import hosts, moves, partners, rebuilding
from protocol.messages.orders import RebuildServer
from protocol.messages.servers import ServerBundle
from protocol.moves import parties
from protocol.moves.lifecycle import at_host, begin, take
from protocol.moves.parties import at_home, at_root, brief
from protocol.records import Image
from protocol.saga import Step, Story
from protocol.states import Goal, PowerState, TaskState, VmState

REBUILDABLE: Final = (VmState.ACTIVE, VmState.STOPPED)


def _order(story: Story) -> RebuildServer:
    order = brief(story).order
    assert isinstance(order, RebuildServer)
    return order


def is_active(story: Story) -> bool:
    """Tell whether the server's guest is to run when it is done, as it did before."""
    return story.reply("begin", ServerBundle).server.vm_state is VmState.ACTIVE


def _no_image(story: Story, image: Any) -> CellferryError | None:
    assert isinstance(image, Image)
    # One that belongs to a server is a move's, or not whole yet.
    is_usable = image.status == ACTIVE and image.server is None
    return None if is_usable else NotFound(kind="image", name=_order(story).image)


def _switch(story: Story, *, is_on: bool) -> hosts.PowerGuest:
    state = PowerState.RUNNING if is_on else PowerState.SHUTDOWN
    return hosts.PowerGuest(server=story.server, permit=parties.held_permit(story), state=state)


PREPARE: Final = (
    Step(
        name="find_image", row="-", at=at_root("image"), is_read=True, objection=_no_image,
        run=lambda story: partners.ShowImage(image=_order(story).image),
    ),
    Step(
        name="prepare_disk", row="-", at=at_host,
        run=lambda story: rebuilding.PrepareDisk(server=story.server, image=_order(story).image),
        undo=lambda story: rebuilding.RestoreDisk(server=story.server),
    ),
)  # fmt: skip
REPLACE: Final = (
    Step(
        name="begin_spawning", row="-", at=at_home,
        run=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.REBUILDING, task_state=TaskState.REBUILD_SPAWNING
        ),
        undo=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.REBUILD_SPAWNING, task_state=TaskState.REBUILDING
        ),
    ),
    Step(
        name="switch_off", row="-", at=at_host, when=is_active,
        run=lambda story: _switch(story, is_on=False),
        undo=lambda story: hosts.ResumeGuest(
            server=story.server, permit=parties.held_permit(story), state=PowerState.RUNNING
        ),
    ),
    Step(
        name="replace_disk", row="-", at=at_host,
        run=lambda story: rebuilding.ReplaceDisk(server=story.server),
        undo=lambda story: rebuilding.RestoreDisk(server=story.server),
    ),
    Step(
        name="power", row="-", at=at_host, when=is_active, settles=True,
        run=lambda story: _switch(story, is_on=True),
        undo=lambda story: _switch(story, is_on=False),
    ),
    Step(
        name="write_image", row="-", at=at_home, settles=True,
        run=lambda story: rebuilding.WriteImage(server=story.server, image=_order(story).image),
        undo=lambda story: rebuilding.WriteImage(
            server=story.server, image=story.reply("begin", ServerBundle).server.image
        ),
    ),
)  # fmt: skip
SETTLE: Final = (
    Step(
        name="keep_disk", row="-", at=at_host,
        run=lambda story: rebuilding.KeepDisk(server=story.server),
    ),
    Step(
        name="finish", row="-", at=at_home,
        run=lambda story: rebuilding.FinishRebuild(
            server=story.server, action=parties.action(story), change=_order(story).change
        ),
    ),
)  # fmt: skip

REBUILD: Final = parties.plan(
    "rebuild",
    (
        take(Goal.REBUILD),
        begin(Goal.REBUILD, "compute_rebuild_instance", REBUILDABLE, TaskState.REBUILDING, needs_own_disk=True),
        *PREPARE, *REPLACE, *SETTLE,
    ),
)  # fmt: skip
