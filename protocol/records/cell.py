"""The rows of a cell."""

from typing import ClassVar

import attrs

from protocol.records.base import Flavor, KeyPair, MigrationContext, Record
from protocol.states import Goal, MigrationStatus, PowerState, TaskState, VmState


@attrs.frozen(kw_only=True)
class Server(Record):
    """A server, as one cell has it.  While a move is open a second cell has a copy; one of the two is hidden."""

    TABLE = "servers"
    KEY: ClassVar[tuple[str, ...]] = ("uuid",)
    INDEX: ClassVar[tuple[str, ...]] = ("updated_at_us",)

    uuid: str
    name: str
    project: str
    user: str
    description: str = ""
    image: str = ""  # Empty: its root disk is a volume.
    flavor: Flavor
    host: str | None = None
    availability_zone: str | None = None
    vm_state: VmState
    task_state: TaskState | None = None
    power_state: PowerState = PowerState.NOSTATE
    progress: int = 0
    is_hidden: bool = False
    is_locked: bool = False
    is_sealed: bool = False
    old_flavor: Flavor | None = None
    new_flavor: Flavor | None = None
    old_vm_state: VmState | None = None
    migration_context: MigrationContext | None = None
    metadata: dict[str, str] = attrs.field(factory=dict)
    tags: tuple[str, ...] = ()
    key_pair: KeyPair | None = None
    bandwidth_kbps: int = 0  # What its port is guaranteed; 0: nothing.
    generation: int = 1  # Of the mapping, when this copy is or becomes the visible one.
    version: int = 0  # Rises with each change; a copy continues its original's.
    #: How new this copy was when it was made (see `Told.rank`): what is older was told of another that was here before.
    copied_at: int = 0
    created_at_us: int
    updated_at_us: int


@attrs.frozen(kw_only=True)
class BlockDevice(Record):
    """A volume of a server, in one cell's record of it."""

    TABLE = "block_devices"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    server: str
    volume: str
    attachment: str
    device: str
    boot_index: int | None = None


@attrs.frozen(kw_only=True)
class Migration(Record):
    """The record of a move, in one cell."""

    TABLE = "migrations"
    KEY: ClassVar[tuple[str, ...]] = ("uuid",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    uuid: str
    server: str
    kind: Goal
    status: MigrationStatus
    source_cell: str
    source_host: str
    target_cell: str | None = None
    target_host: str | None = None
    is_cross_cell: bool = False
    old_flavor: str
    new_flavor: str
    created_at_us: int
    updated_at_us: int


@attrs.frozen(kw_only=True)
class ServerAction(Record):
    """One thing that a user did to a server."""

    TABLE = "server_actions"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    server: str
    action: str
    request_id: str
    user: str
    project: str
    message: str | None = None
    started_at_us: int
    finished_at_us: int | None = None


@attrs.frozen(kw_only=True)
class ActionEvent(Record):
    """One part of an action, as somebody carried it out."""

    TABLE = "action_events"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("server", "action")

    id: str
    action: str
    server: str
    name: str
    host: str
    result: str | None = None
    details: str | None = None
    started_at_us: int
    finished_at_us: int | None = None


@attrs.frozen(kw_only=True)
class Fault(Record):
    """Why something done to a server failed: the first cause."""

    TABLE = "faults"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    server: str
    code: str
    message: str
    details: str = ""
    created_at_us: int


@attrs.frozen(kw_only=True)
class DeletedServer(Record):
    """That a server was deleted here: for some time, so that it can be told again."""

    TABLE = "deleted_servers"
    KEY: ClassVar[tuple[str, ...]] = ("uuid",)
    INDEX: ClassVar[tuple[str, ...]] = ("deleted_at_us",)

    uuid: str
    project: str
    generation: int
    version: int  # One higher than the record's last.
    deleted_at_us: int


@attrs.frozen(kw_only=True)
class Notification(Record):
    """What a cell tells whoever listens about a server."""

    TABLE = "notifications"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    server: str
    event: str
    publisher: str
    created_at_us: int
    seq: int = 0  # Of those that were made at once.


@attrs.frozen(kw_only=True)
class Host(Record):
    """A compute host of a cell and what it has to give."""

    TABLE = "hosts"
    KEY: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    availability_zone: str
    is_enabled: bool = True
    bandwidth_kbps: int = 0  # What it can guarantee to ports.


@attrs.frozen(kw_only=True)
class Allocation(Record):
    """What a consumer (a server, or a migration that holds its old place) takes of a host."""

    TABLE = "allocations"
    KEY: ClassVar[tuple[str, ...]] = ("consumer", "host")
    INDEX: ClassVar[tuple[str, ...]] = ("host", "server")

    consumer: str
    host: str
    server: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    bandwidth_kbps: int = 0


@attrs.frozen(kw_only=True)
class Claim(Record):
    """That a host keeps a place for a server: made by the create or the move that brought it there."""

    TABLE = "claims"
    KEY: ClassVar[tuple[str, ...]] = ("server", "host")

    server: str
    host: str
    migration: str | None = None
