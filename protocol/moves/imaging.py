"""Snapshot and backup: an image is made of a server's root disk, which goes on meanwhile as if nothing were.

The image is its user's, and outlives the server.  Until it is whole it is the server's: queued, named by its record,
and gone with the conversation that gives up.  A backup is a snapshot of a type, after which those of the same type
that are too many go, the oldest first; only when the new one is whole, so that there are never fewer than before.
"""

from typing import Final

from protocol.messages import hosts, imaging, moves, servers
from protocol.messages.orders import ImageServer
from protocol.moves import parties
from protocol.moves.lifecycle import at_host, begin, take
from protocol.moves.parties import at_home, at_root, brief
from protocol.saga import Plan, Step, Story
from protocol.states import Goal, TaskState, VmState

#: Nova makes images of servers in these.
IMAGEABLE: Final = (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED)


def _order(story: Story) -> ImageServer:
    order = brief(story).order
    assert isinstance(order, ImageServer)
    return order


def _task(story: Story) -> TaskState:
    """Name the task with which it begins."""
    return TaskState.IMAGE_SNAPSHOT_PENDING if _order(story).goal is Goal.SNAPSHOT else TaskState.IMAGE_BACKUP


def _publish(story: Story) -> imaging.PublishSnapshot:
    taken = story.reply("capture_disk", hosts.SnapshotTaken)
    return imaging.PublishSnapshot(
        image=_order(story).image, server=story.server, size_bytes=taken.size_bytes, sha256=taken.sha256
    )


def _withdraw(story: Story) -> imaging.WithdrawSnapshot:
    return imaging.WithdrawSnapshot(image=_order(story).image, server=story.server, conversation=story.conversation)


# The row before the bytes, so that nothing lies in the store that no row names.
MAKE: Final = (
    Step(
        name="register_snapshot", row="-", at=at_root("image"),
        run=lambda story: imaging.RegisterSnapshot(
            image=_order(story).image, name=_order(story).name, server=story.server,
            conversation=story.conversation, backup_type=_order(story).backup_type,
        ),
        undo=_withdraw,
    ),
    Step(
        name="begin_upload", row="-", at=at_home,
        run=lambda story: moves.SetTask(
            server=story.server, expected=_task(story), task_state=TaskState.IMAGE_UPLOADING
        ),
        undo=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.IMAGE_UPLOADING, task_state=_task(story)
        ),
    ),
    # It leaves bytes of an image that the undo of its registration deletes.
    Step(
        name="capture_disk", row="-", at=at_host,
        run=lambda story: imaging.CaptureDisk(server=story.server, image=_order(story).image),
    ),
    # Compared with what the host has given before anybody may use it; from here it is its user's.
    Step(name="publish_snapshot", row="-", at=at_root("image"), run=_publish, undo=_withdraw, settles=True),
)  # fmt: skip
ROTATE: Final = Step(
    name="rotate_backups", row="-", at=at_root("image"),
    run=lambda story: imaging.RotateBackups(
        server=story.server, backup_type=_order(story).backup_type, rotation=_order(story).rotation
    ),
)  # fmt: skip
FINISH: Final = Step(
    name="finish", row="-", at=at_home,
    run=lambda story: servers.FinishTask(
        server=story.server, action=parties.action(story), vm_state=None, power_state=None
    ),
)  # fmt: skip


def _plan(goal: Goal, event: str, task: TaskState, *rest: Step) -> Plan:
    beginning = begin(goal, event, IMAGEABLE, task, needs_own_disk=True)
    return parties.plan(goal.value, (take(goal), beginning, *MAKE, *rest, FINISH))


SNAPSHOT: Final = _plan(Goal.SNAPSHOT, "compute_snapshot_instance", TaskState.IMAGE_SNAPSHOT_PENDING)
BACKUP: Final = _plan(Goal.BACKUP, "compute_backup_instance", TaskState.IMAGE_BACKUP, ROTATE)
