"""The states of servers, tasks and migrations, and which may follow which: tables, of which the docs are made.

Names and numbers are Nova's, for that is what clients read.
"""

from enum import IntEnum, StrEnum
from typing import Final, TypeVar

from protocol.errors import InvalidState


class VmState(StrEnum):
    """What a server is, as its user sees it."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    SOFT_DELETED = "soft-delete"
    RESIZED = "resized"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """What is being done to a server right now.  No task is None."""

    SPAWNING = "spawning"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    SOFT_DELETING = "soft-deleting"
    RESTORING = "restoring"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    DELETING = "deleting"
    IMAGE_SNAPSHOT_PENDING = "image_snapshot_pending"
    IMAGE_BACKUP = "image_backup"
    IMAGE_UPLOADING = "image_uploading"
    MIGRATING = "migrating"
    REBUILDING = "rebuilding"
    REBUILD_SPAWNING = "rebuild_spawning"


class PowerState(IntEnum):
    """What a guest was last seen to be."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class MigrationStatus(StrEnum):
    """How far the record of a move is."""

    PRE_MIGRATING = "pre-migrating"
    MIGRATING = "migrating"
    POST_MIGRATING = "post-migrating"
    FINISHED = "finished"
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    REVERTING = "reverting"
    REVERTED = "reverted"
    ERROR = "error"
    COMPLETED = "completed"


class Goal(StrEnum):
    """What a conversation is to bring about: what a mapping row says its server is taken for."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    SOFT_DELETE = "soft_delete"
    RESTORE = "restore"
    ATTACH = "attach"
    DETACH = "detach"
    SWAP = "swap"
    RESIZE = "resize"
    MIGRATE = "migrate"
    CONFIRM = "confirm"
    REVERT = "revert"
    DELETE = "delete"
    REPAIR = "repair"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    REBUILD = "rebuild"
    LIVE_MIGRATE = "live_migrate"
    RESET_NETWORK = "reset_network"
    INJECT_NETWORK_INFO = "inject_network_info"


#: What histories call an action, where that is not what its goal is called.
_ACTIONS: Final = {
    Goal.ATTACH: "attach_volume",
    Goal.DETACH: "detach_volume",
    Goal.SWAP: "swap_volume",
    Goal.SOFT_DELETE: "softDelete",
    Goal.CONFIRM: "confirmResize",
    Goal.REVERT: "revertResize",
    Goal.SNAPSHOT: "createImage",
    Goal.BACKUP: "createBackup",
    Goal.LIVE_MIGRATE: "live-migration",
    Goal.RESET_NETWORK: "resetNetwork",
    Goal.INJECT_NETWORK_INFO: "injectNetworkInfo",
}


def action_name(goal: Goal) -> str:
    """Tell what a server's history calls an action with this goal."""
    return _ACTIONS.get(goal, goal.value)


class Policy(StrEnum):
    """What a group asks of where its servers are."""

    ANTI_AFFINITY = "anti-affinity"


class Owed(StrEnum):
    """What a fenced host has to do with a guest before its fence is lifted."""

    OFF = "off"
    DISCONNECT = "disconnect"
    KEEP_DISK = "keep_disk"
    RESTORE_DISK = "restore_disk"
    DETACH = "detach"
    DESTROY = "destroy"


S = TypeVar("S", VmState, MigrationStatus)

#: Which task may follow which.  From every task the way back to None is open: that is what an undo does.
TASK_TRANSITIONS: Final[dict[TaskState | None, frozenset[TaskState | None]]] = {
    None: frozenset(
        {
            TaskState.SPAWNING,
            TaskState.POWERING_ON,
            TaskState.POWERING_OFF,
            TaskState.REBOOTING,
            TaskState.REBOOTING_HARD,
            TaskState.PAUSING,
            TaskState.UNPAUSING,
            TaskState.SUSPENDING,
            TaskState.RESUMING,
            TaskState.SOFT_DELETING,
            TaskState.RESTORING,
            TaskState.RESIZE_PREP,
            TaskState.RESIZE_REVERTING,
            TaskState.DELETING,
            TaskState.IMAGE_SNAPSHOT_PENDING,
            TaskState.IMAGE_BACKUP,
            TaskState.REBUILDING,
            TaskState.MIGRATING,
        }
    ),
    TaskState.SPAWNING: frozenset({None}),
    TaskState.POWERING_ON: frozenset({None}),
    TaskState.POWERING_OFF: frozenset({None}),
    TaskState.REBOOTING: frozenset({None}),
    TaskState.REBOOTING_HARD: frozenset({None}),
    TaskState.PAUSING: frozenset({None}),
    TaskState.UNPAUSING: frozenset({None}),
    TaskState.SUSPENDING: frozenset({None}),
    TaskState.RESUMING: frozenset({None}),
    TaskState.SOFT_DELETING: frozenset({None}),
    TaskState.RESTORING: frozenset({None}),
    TaskState.RESIZE_PREP: frozenset({None, TaskState.RESIZE_MIGRATING, TaskState.RESIZE_MIGRATED}),
    TaskState.RESIZE_MIGRATING: frozenset({None, TaskState.RESIZE_MIGRATED, TaskState.RESIZE_PREP}),
    TaskState.RESIZE_MIGRATED: frozenset(
        {None, TaskState.RESIZE_FINISH, TaskState.RESIZE_MIGRATING, TaskState.RESIZE_REVERTING}
    ),
    TaskState.RESIZE_FINISH: frozenset({None, TaskState.RESIZE_MIGRATED}),
    TaskState.RESIZE_REVERTING: frozenset({None, TaskState.RESIZE_MIGRATED}),
    TaskState.DELETING: frozenset({None}),
    TaskState.IMAGE_SNAPSHOT_PENDING: frozenset({None, TaskState.IMAGE_UPLOADING}),
    TaskState.IMAGE_BACKUP: frozenset({None, TaskState.IMAGE_UPLOADING}),
    TaskState.MIGRATING: frozenset({None}),
    TaskState.REBUILDING: frozenset({None, TaskState.REBUILD_SPAWNING}),
    TaskState.REBUILD_SPAWNING: frozenset({None, TaskState.REBUILDING}),
    TaskState.IMAGE_UPLOADING: frozenset({None, TaskState.IMAGE_SNAPSHOT_PENDING, TaskState.IMAGE_BACKUP}),
}

VM_TRANSITIONS: Final[dict[VmState, frozenset[VmState]]] = {
    VmState.BUILDING: frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR, VmState.DELETED}),
    VmState.ACTIVE: frozenset(
        {
            VmState.STOPPED,
            VmState.PAUSED,
            VmState.SUSPENDED,
            VmState.SOFT_DELETED,
            VmState.RESIZED,
            VmState.ERROR,
            VmState.DELETED,
        }
    ),
    VmState.STOPPED: frozenset({VmState.ACTIVE, VmState.SOFT_DELETED, VmState.RESIZED, VmState.ERROR, VmState.DELETED}),
    # One that died by itself is stopped.
    VmState.PAUSED: frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.SOFT_DELETED, VmState.ERROR, VmState.DELETED}),
    VmState.SUSPENDED: frozenset(
        {VmState.ACTIVE, VmState.STOPPED, VmState.SOFT_DELETED, VmState.ERROR, VmState.DELETED}
    ),
    VmState.SOFT_DELETED: frozenset({VmState.ACTIVE, VmState.ERROR, VmState.DELETED}),
    VmState.RESIZED: frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR, VmState.DELETED}),
    VmState.ERROR: frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.DELETED}),
    VmState.DELETED: frozenset(),
}

MIGRATION_TRANSITIONS: Final[dict[MigrationStatus, frozenset[MigrationStatus]]] = {
    MigrationStatus.PRE_MIGRATING: frozenset(
        {MigrationStatus.MIGRATING, MigrationStatus.FINISHED, MigrationStatus.ERROR, MigrationStatus.COMPLETED}
    ),
    MigrationStatus.MIGRATING: frozenset(
        {MigrationStatus.POST_MIGRATING, MigrationStatus.PRE_MIGRATING, MigrationStatus.ERROR}
    ),
    MigrationStatus.POST_MIGRATING: frozenset(
        {
            MigrationStatus.MIGRATING,
            MigrationStatus.FINISHED,
            MigrationStatus.CONFIRMED,
            MigrationStatus.REVERTING,
            MigrationStatus.ERROR,
        }
    ),
    MigrationStatus.FINISHED: frozenset({MigrationStatus.CONFIRMING, MigrationStatus.REVERTING}),
    MigrationStatus.CONFIRMING: frozenset({MigrationStatus.CONFIRMED, MigrationStatus.FINISHED}),
    MigrationStatus.REVERTING: frozenset(
        {MigrationStatus.REVERTED, MigrationStatus.FINISHED, MigrationStatus.POST_MIGRATING}
    ),
    MigrationStatus.CONFIRMED: frozenset(),
    MigrationStatus.REVERTED: frozenset(),
    MigrationStatus.ERROR: frozenset(),
    MigrationStatus.COMPLETED: frozenset(),
}

#: A move is over when its record is in one of these.
TERMINAL: Final = frozenset(
    {MigrationStatus.CONFIRMED, MigrationStatus.REVERTED, MigrationStatus.ERROR, MigrationStatus.COMPLETED}
)


def check_task(server: str, found: TaskState | None, after: TaskState | None) -> None:
    """Raise `InvalidState` unless a server's task may go from `found` to `after`."""
    if after != found and after not in TASK_TRANSITIONS[found]:
        raise _invalid("server", server, "task_state", found, after)


def check_vm(server: str, found: VmState, after: VmState) -> None:
    """Raise `InvalidState` unless a server's vm_state may go from `found` to `after`."""
    if after != found and after not in VM_TRANSITIONS[found]:
        raise _invalid("server", server, "vm_state", found, after)


def check_migration(migration: str, found: MigrationStatus, after: MigrationStatus) -> None:
    """Raise `InvalidState` unless a migration's status may go from `found` to `after`."""
    if after != found and after not in MIGRATION_TRANSITIONS[found]:
        raise _invalid("migration", migration, "status", found, after)


def _invalid(kind: str, name: str, field: str, found: object, after: object) -> InvalidState:
    return InvalidState(kind=kind, name=name, field=field, found=str(found), expected=f"a state that leads to {after}")
