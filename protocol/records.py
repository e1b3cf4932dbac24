"""What is kept: the rows of cells, of the root, and of the image, volume and network actors.  Frozen.

Each class is one table: `TABLE` is its name, `KEY` the fields of its primary key.  Times are integer microseconds.
"""

from typing import ClassVar

import attrs

from protocol.states import Goal, MigrationStatus, PowerState, TaskState, VmState


class Record:
    """Base of all rows."""

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    #: Fields by which rows are looked up besides the key; the store makes an index for each.
    INDEX: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The row's primary key."""
        return tuple(getattr(self, name) for name in self.KEY)


@attrs.frozen(kw_only=True)
class Flavor:
    """A size of server."""

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int


@attrs.frozen(kw_only=True)
class MigrationContext:
    """What an open move holds beside the server's own fields; which migration it is of differs from cell to cell."""

    migration: str
    old_flavor: str
    new_flavor: str


# --- a cell's rows -----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Server(Record):
    """A server, as one cell has it.  While a move is open a second cell has a copy; one of the two is hidden."""

    TABLE = "servers"
    KEY: ClassVar[tuple[str, ...]] = ("uuid",)

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
    generation: int = 1  # Of the mapping, when this copy is or becomes the visible one.
    version: int = 0  # Rises with each change; a copy continues its original's.
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


@attrs.frozen(kw_only=True)
class Claim(Record):
    """That a host keeps a place for a server: made by the create or the move that brought it there."""

    TABLE = "claims"
    KEY: ClassVar[tuple[str, ...]] = ("server", "host")

    server: str
    host: str
    migration: str | None = None


# --- the root's rows ---------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Mapping(Record):
    """Which cell is a server's home, and which conversation, if any, has taken the server: the one arbiter."""

    TABLE = "mappings"
    KEY: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    cell: str | None
    generation: int
    conversation: str | None = None
    goal: Goal | None = None


@attrs.frozen(kw_only=True)
class Permit(Record):
    """The newest numbered right to run a server's guest, and who holds it; no holder: it was returned or withdrawn."""

    TABLE = "permits"
    KEY: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    number: int
    holder: str | None


@attrs.frozen(kw_only=True)
class RequestSpec(Record):
    """What was asked for when the server was last placed."""

    TABLE = "request_specs"
    KEY: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    flavor: Flavor
    availability_zone: str | None = None


@attrs.frozen(kw_only=True)
class HostMapping(Record):
    """Which cell a compute host is in."""

    TABLE = "host_mappings"
    KEY: ClassVar[tuple[str, ...]] = ("host",)

    host: str
    cell: str


@attrs.frozen(kw_only=True)
class Mirror(Record):
    """What the root has been told of a server by one of the cells that have a record of it."""

    TABLE = "mirrors"
    KEY: ClassVar[tuple[str, ...]] = ("server", "cell")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    cell: str
    generation: int
    version: int
    name: str
    vm_state: VmState
    task_state: TaskState | None
    power_state: PowerState
    host: str | None
    flavor: str
    is_gone: bool = False


# --- rows of the image, volume and network actors ----------------------------------------------------------


@attrs.frozen(kw_only=True)
class Image(Record):
    """An image, or the snapshot of a root disk that a move takes along."""

    TABLE = "images"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    status: str  # queued | active
    size_bytes: int = 0
    sha256: str = ""
    server: str | None = None


@attrs.frozen(kw_only=True)
class Volume(Record):
    """A volume; where its bytes are is the affair of the volume store."""

    TABLE = "volumes"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    size_gb: int


@attrs.frozen(kw_only=True)
class Attachment(Record):
    """That a volume is reserved for a server (no host: empty), or connected to it on a host."""

    TABLE = "attachments"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("volume", "server")

    id: str
    volume: str
    server: str
    host: str | None = None
    device: str = ""


@attrs.frozen(kw_only=True)
class Port(Record):
    """A network port of a server."""

    TABLE = "ports"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    server: str
    address: str


@attrs.frozen(kw_only=True)
class PortBinding(Record):
    """That a port is known on a host; the one active binding of a port says where its traffic goes."""

    TABLE = "port_bindings"
    KEY: ClassVar[tuple[str, ...]] = ("port", "host")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    port: str
    host: str
    server: str
    is_active: bool


# --- a compute host's rows ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class HeldPermit(Record):
    """A host's durable copy of its right to run a guest; no number: it had one and has given it back."""

    TABLE = "held_permits"
    KEY: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    number: int | None
    former_power: PowerState | None = None  # What the guest was when it was last stopped for a move.


CELL_RECORDS: tuple[type[Record], ...] = (
    Server, BlockDevice, Migration, ServerAction, ActionEvent, Fault, Notification, Host, Allocation, Claim,
)  # fmt: skip
ROOT_RECORDS: tuple[type[Record], ...] = (Mapping, Permit, RequestSpec, HostMapping, Mirror)
PARTNER_RECORDS: tuple[type[Record], ...] = (Image, Volume, Attachment, Port, PortBinding)
HOST_RECORDS: tuple[type[Record], ...] = (HeldPermit,)
RECORDS: tuple[type[Record], ...] = (*CELL_RECORDS, *ROOT_RECORDS, *PARTNER_RECORDS, *HOST_RECORDS)
