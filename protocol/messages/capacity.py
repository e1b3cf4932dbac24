"""What is asked of cells about their hosts and what these have left."""

import attrs

from protocol.messages.services import VERSION
from protocol.records import Flavor, Host
from protocol.requests import Done, Form, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class HostRoom:
    """A host that is up, and what of it is not allocated."""

    host: str
    cell: str
    availability_zone: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    bandwidth_kbps: int = 0


@attrs.frozen(kw_only=True)
class Withheld:
    """Hosts with room to which nothing comes, for their cell is frozen; and why it is."""

    hosts: tuple[str, ...]
    reason: str


@attrs.frozen(kw_only=True)
class Room:
    """One cell's hosts with room, or those that it withholds."""

    hosts: tuple[HostRoom, ...]
    withheld: Withheld | None = None


@attrs.frozen(kw_only=True)
class FindRoom(Request[Room]):
    """Ask every cell for its hosts on which that much is free."""

    METHOD = Method(name="find_room", at=Role.CELL, form=Form.BROADCAST, is_read=True)

    vcpus: int
    memory_mb: int
    disk_gb: int
    bandwidth_kbps: int = 0


@attrs.frozen(kw_only=True)
class AddHost(Request[Done]):
    """A compute host tells its cell that it is there, and what it has to give."""

    METHOD = Method(name="add_host", at=Role.CELL, way=Way.NONE)

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    availability_zone: str
    bandwidth_kbps: int = 0
    version: int = 0  # Of its service; 0: it did not tell.

    @classmethod
    def of(cls, record: Host) -> "AddHost":
        """Make what a host that is like `record` says of itself, with this code as its service."""
        return cls(
            name=record.name, vcpus=record.vcpus, memory_mb=record.memory_mb, disk_gb=record.disk_gb,
            availability_zone=record.availability_zone, bandwidth_kbps=record.bandwidth_kbps, version=VERSION,
        )  # fmt: skip


@attrs.frozen(kw_only=True)
class AllocateHost(Request[Done]):
    """Allocate a flavor's worth of a host to a consumer, and what its port is guaranteed, if it has that left."""

    METHOD = Method(name="allocate_host", at=Role.CELL)

    server: str
    consumer: str
    host: str
    flavor: Flavor
    is_volume_backed: bool
    bandwidth_kbps: int = 0


@attrs.frozen(kw_only=True)
class FreeHost(Request[Done]):
    """Drop a consumer's allocation on a host; one that is gone is no error."""

    METHOD = Method(name="free_host", at=Role.CELL)

    server: str
    consumer: str
    host: str


@attrs.frozen(kw_only=True)
class HostUse:
    """A compute host, what it has to give, and how much of that is allocated."""

    host: str
    cell: str
    availability_zone: str
    is_enabled: bool
    vcpus: int
    memory_mb: int
    disk_gb: int
    vcpus_used: int
    memory_mb_used: int
    disk_gb_used: int
    servers: int
    bandwidth_kbps: int = 0
    bandwidth_kbps_used: int = 0
    reason: str = ""  # Why it is disabled.
    heard_ago_us: int | None = None  # When its service was last heard of, by its cell's clock.


@attrs.frozen(kw_only=True)
class HostUses:
    """One cell's hosts."""

    hosts: tuple[HostUse, ...]


@attrs.frozen(kw_only=True)
class ShowHosts(Request[HostUses]):
    """Ask every cell what its hosts have, and how much of it is used."""

    METHOD = Method(name="show_hosts", at=Role.CELL, form=Form.BROADCAST, is_for_people=True, is_read=True)
