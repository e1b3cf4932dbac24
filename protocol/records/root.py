"""The rows that only the root has."""

from typing import ClassVar, Final

import attrs

from protocol.records.base import Flavor, Record
from protocol.states import Goal, Owed, Policy, PowerState, TaskState, VmState


@attrs.frozen(kw_only=True)
class Mapping(Record):
    """Which cell is a server's home, and which conversation, if any, has taken the server: the one arbiter."""

    TABLE = "mappings"
    KEY: ClassVar[tuple[str, ...]] = ("server",)
    INDEX: ClassVar[tuple[str, ...]] = ("project", "is_moved", "is_soft_deleted", "server_group")

    server: str
    cell: str | None
    generation: int
    conversation: str | None = None
    goal: Goal | None = None
    #: A conversation that has let the server go and still cleans up behind it: what it is, and at which actor.
    debt: str | None = None
    debt_goal: Goal | None = None
    debt_at: str | None = None
    #: What it counts for in the quota of its project; of none: it does not count.
    project: str = ""
    vcpus: int = 0
    memory_mb: int = 0
    #: A move of it waits for confirm or revert, and since when: until then the larger of both sizes counts.
    is_moved: bool = False
    moved_at_us: int = 0
    #: It can be restored, and since when.
    is_soft_deleted: bool = False
    soft_deleted_at_us: int = 0
    #: The group that it is a member of; empty: of none.
    server_group: str = ""


@attrs.frozen(kw_only=True)
class ServerGroup(Record):
    """Servers that are to be on different hosts."""

    TABLE = "server_groups"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("name",)

    id: str
    name: str
    project: str
    policy: Policy = Policy.ANTI_AFFINITY


@attrs.frozen(kw_only=True)
class GroupPlace(Record):
    """That a member of a group is on a host, goes there or may come back there: no other member may."""

    TABLE = "group_places"
    KEY: ClassVar[tuple[str, ...]] = ("server", "host")
    INDEX: ClassVar[tuple[str, ...]] = ("server", "server_group")

    server: str
    host: str
    server_group: str
    conversation: str  # What brings, or has brought, the member there.


@attrs.frozen(kw_only=True)
class Quota(Record):
    """How much a project may have; None: as much as there is."""

    TABLE = "quotas"
    KEY: ClassVar[tuple[str, ...]] = ("project",)

    project: str
    servers: int | None = None
    vcpus: int | None = None
    memory_mb: int | None = None


@attrs.frozen(kw_only=True)
class Permit(Record):
    """The newest numbered right to run a server's guest, and who holds it; no holder: it was returned or withdrawn."""

    TABLE = "permits"
    KEY: ClassVar[tuple[str, ...]] = ("server",)
    INDEX: ClassVar[tuple[str, ...]] = ("holder",)

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
class HostFence(Record):
    """That an operator has asserted a host's machine to be off: others may go on without it until it is lifted."""

    TABLE = "host_fences"
    KEY: ClassVar[tuple[str, ...]] = ("host",)

    host: str
    cell: str
    user: str
    since_us: int
    #: It is to be lifted: what the host was told under a lower epoch is void.  None: it stands.
    lift_epoch: int | None = None


@attrs.frozen(kw_only=True)
class OwedAct(Record):
    """What counts as done at a fenced host, and is to be done there before the fence is lifted."""

    TABLE = "owed_acts"
    KEY: ClassVar[tuple[str, ...]] = ("host", "server", "act", "volume")
    INDEX: ClassVar[tuple[str, ...]] = ("host",)

    host: str
    server: str
    act: Owed
    volume: str = ""  # Of a disconnection.
    since_us: int = 0


#: A record has fewer versions than that within one generation of its server's home.
VERSIONS_MAX: Final = 1 << 32


@attrs.frozen(kw_only=True)
class Told:
    """What is common to the rows that the root has from what one cell told it of its own record of a server.

    `generation` and `version` are those of that record when it was told: they say what is newer.
    """

    server: str
    cell: str
    generation: int
    version: int

    @property
    def rank(self) -> int:
        """How new it is, among all that this cell ever tells of this server."""
        return self.generation * VERSIONS_MAX + self.version


@attrs.frozen(kw_only=True)
class Mirror(Told, Record):
    """What the root has been told of a server by one of the cells that have a record of it."""

    TABLE = "mirrors"
    KEY: ClassVar[tuple[str, ...]] = ("server", "cell")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    name: str
    vm_state: VmState | None  # None: nothing of it was heard, or its cell says that it has no record of it.
    task_state: TaskState | None
    power_state: PowerState
    host: str | None
    flavor: str
    project: str = ""
    user: str = ""
    image: str = ""
    availability_zone: str | None = None
    is_locked: bool = False
    metadata: dict[str, str] = attrs.field(factory=dict, hash=False)
    tags: tuple[str, ...] = ()
    created_at_us: int = 0
    updated_at_us: int = 0
    #: News of faults and block devices that is older than this is of another copy that the cell had before.
    copied_at: int = 0
    is_gone: bool = False
    #: The cell that its mapping names was asked, and has no record of it: what else is here is from before.
    is_missing: bool = False
    #: News of a block device that is not known here, and not newer than this, comes late.
    devices_since: int = 0


@attrs.frozen(kw_only=True)
class MirroredDevice(Told, Record):
    """What the root has been told of a block device in a cell's record of a server."""

    TABLE = "mirrored_devices"
    KEY: ClassVar[tuple[str, ...]] = ("id", "cell")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    volume: str
    attachment: str
    device: str
    boot_index: int | None = None
    is_gone: bool = False


@attrs.frozen(kw_only=True)
class MirroredFault(Told, Record):
    """What the root has been told of a fault in a cell's record of a server.  Once written, a fault never changes."""

    TABLE = "mirrored_faults"
    KEY: ClassVar[tuple[str, ...]] = ("id", "cell")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    code: str
    message: str
    created_at_us: int
