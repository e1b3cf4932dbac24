"""The port of a hypervisor: what a host asks of it, in what form, and what is true when a call returns.

Every call *ensures*: done twice it changes nothing more and answers the same, and done again after a crash in the
middle it finishes.  Calls about one guest wait for each other.  What is to be gone may be gone already; what is to be
acted on must be there, else `GuestNotFound`.  A guest in the wrong power state, or one that does not obey within a
deadline, is `GuestBusy`.

How disks and volumes are laid out is written in `disk.py`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from actors.compute.drivers.disk import Boot, DiskWitness
from actors.compute.drivers.domain import VolumeConnection
from actors.partners.ports import check_name
from protocol.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["GRACE_S", "Boot", "DiskWitness", "Driver", "GuestSpec", "GuestState", "Power", "VolumeConnection"]

GRACE_S: Final = 5.0


class Power(IntEnum):
    """What a guest does.  The numbers are Nova's power states."""

    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4


@attrs.frozen(kw_only=True)
class GuestSpec:
    """A guest as it is to be."""

    server: str
    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    image: str | None  # None: its root disk is the volume with boot index 0.
    volumes: tuple[VolumeConnection, ...] = ()
    permit: int
    is_powered_on: bool = True

    def __attrs_post_init__(self) -> None:
        check_name("server", self.server)
        roots = sum(volume.is_root for volume in self.volumes) + (self.image is not None)
        if roots != 1:
            raise InvalidValue(name="root disks", value=roots, rule="a guest has one, from an image or a volume")


@attrs.frozen(kw_only=True)
class GuestState:
    """A guest, or what is left of one on a host, as found in the world."""

    server: str
    is_defined: bool
    power: Power
    permit: int | None  # Of the running guest; of a stopped one, the last it was defined or started with.
    has_disk: bool  # A root disk of its own, whole.
    volumes: tuple[str, ...]  # Those in use; of a stopped guest, those it will use.  By name.
    witness: DiskWitness | None  # Of its root disk, its own or a volume.


class Driver(Protocol):
    """A hypervisor of one host."""

    async def guests(self) -> tuple[GuestState, ...]:
        """List all guests, and disks without a guest, by server."""
        ...

    async def guest(self, server: str) -> GuestState | None:
        """Find one; None when nothing of it is on this host."""
        ...

    async def spawn(self, spec: GuestSpec) -> GuestState:
        """Make the disk from the image if there is none, define the guest, and start it if asked.

        A running guest of that permit is left as it is.  Raises `NotFound` or `ImageDamaged` for the image,
        `VolumeUnreachable`, `PermitRefused` when another permit is newer or in use, and `HypervisorFailed` when a disk
        is there that was made from another image: that is somebody's data, and not this server's latest.
        """
        ...

    async def define(self, spec: GuestSpec) -> GuestState:
        """Define the guest over the disk that was kept, and start it if asked.  Raises as `spawn` does."""
        ...

    async def power_on(self, server: str, *, permit: int) -> None:
        """Start the guest, or let it go on if it is paused.

        Raises `PermitRefused` when it runs by another permit, or had a newer one; and `VolumeUnreachable`.
        """
        ...

    async def power_off(self, server: str, *, grace_s: float = GRACE_S) -> None:
        """Ask the guest to stop, and stop it hard when it has not after `grace_s`.  Its disk is then durable."""
        ...

    async def pause(self, server: str) -> None:
        """Hold the guest where it is.  Its disk is then durable, and does not change."""
        ...

    async def unpause(self, server: str) -> None:
        """Let the guest go on."""
        ...

    def snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Give the guest's own root disk in chunks; the guest is off or paused, and stays so until the end.

        Raises `GuestBusy` at the start, or at the end when the disk has changed meanwhile: then nothing read is good.
        """
        ...

    async def connect_volume(self, server: str, connection: VolumeConnection) -> None:
        """Give the guest a volume, or the same one by another attachment.  A running guest uses it on return.

        Raises `VolumeUnreachable`, and `InvalidValue` when it would change what the guest boots from: it is as before.
        """
        ...

    async def disconnect_volume(self, server: str, volume: str) -> None:
        """Take a volume from the guest.  On return it has let go, and what it wrote is durable.

        Raises `InvalidValue` for the root disk: a guest is undefined as a whole.
        """
        ...

    async def copy_volume(self, server: str, volume: str, connection: VolumeConnection) -> None:
        """Copy a volume of the guest's to another one, and have the guest write to both from then on.

        On return the other holds all that the first does.  When both are in use already, nothing is copied again.
        Raises `VolumeUnreachable`, `NotFound` when the guest has not got the first, and `InvalidValue` when either is a
        root disk: the guest is as before, and the other volume may hold a part of the copy.
        """
        ...

    async def undefine(self, server: str) -> None:
        """Stop the guest and forget its definition; its disk is kept."""
        ...

    async def destroy(self, server: str) -> None:
        """Stop the guest and remove its definition and its own disk, never a volume's bytes."""
        ...
