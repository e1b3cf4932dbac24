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

from actors.compute.drivers.disk import Boot, DiskWitness, GuestMemory
from actors.compute.drivers.domain import NetworkInfo, VolumeConnection
from actors.compute.drivers.machine import Uptime
from actors.partners.ports import check_name
from protocol.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = [
    "GRACE_S",
    "Boot",
    "ConsolePort",
    "DiskWitness",
    "Driver",
    "GuestSpec",
    "GuestState",
    "NetworkInfo",
    "Power",
    "Traffic",
    "Uptime",
    "VolumeConnection",
]
__all__ = [
    "GRACE_S",
    "Boot",
    "DiskWitness",
    "Driver",
    "GuestMemory",
    "GuestSpec",
    "GuestState",
    "Power",
    "Uptime",
    "VolumeConnection",
]

GRACE_S: Final = 5.0


class Power(IntEnum):
    """What a guest does.  The numbers are Nova's power states."""

    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    SUSPENDED = 7

    @property
    def is_on(self) -> bool:
        """Whether the guest is there, counting or held: one that is suspended is a file until it is resumed."""
        return self in {Power.RUNNING, Power.PAUSED}


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
    has_spare: bool = False  # Another root disk beside it: one that is prepared, or one that was set aside.
    volumes: tuple[str, ...]  # Those in use; of a stopped guest, those it will use.  By name.
    witness: DiskWitness | None  # Of its root disk, its own or a volume.


@attrs.frozen(kw_only=True)
class ConsolePort:
    """Where a running guest can be spoken to, as its host reaches it."""

    kind: str
    address: str
    port: int


@attrs.frozen(kw_only=True)
class Traffic:
    """What went over a guest's port since it was started."""

    bytes_in: int
    bytes_out: int


class Driver(Protocol):
    """A hypervisor of one host."""

    async def guests(self) -> tuple[GuestState, ...]:
        """List all guests, and disks without a guest, by server."""
        ...

    async def console(self, server: str) -> ConsolePort:
        """Tell where the guest can be spoken to; `GuestBusy` when it does not run.  A start gives another port."""
        ...

    async def traffic(self, server: str) -> Traffic | None:
        """Tell what went over the guest's port since it was started; None when it does not run."""
        ...

    async def uptime(self) -> Uptime:
        """Tell how long the host's machine has been up, and how busy it is."""
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
        """Start the guest; one that is paused, or was suspended, goes on where it was.

        Raises `PermitRefused` when it runs by another permit, or had a newer one; and `VolumeUnreachable`.
        """
        ...

    async def power_off(self, server: str, *, grace_s: float = GRACE_S) -> None:
        """Ask the guest to stop, and stop it hard when it has not after `grace_s`.  Its disk is then durable.

        What a suspended guest would go on with is thrown away: the next start boots it.
        """
        ...

    async def pause(self, server: str) -> None:
        """Hold the guest where it is.  Its disk is then durable, and does not change."""
        ...

    async def unpause(self, server: str) -> None:
        """Let the guest go on."""
        ...

    async def suspend(self, server: str) -> None:
        """Save where the guest is, and end it: `power_on` has it go on from there, which is no boot.

        Raises `GuestBusy` when it is off: there is nothing to save.
        """
        ...

    def snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Give the guest's own root disk in chunks; the guest is off or paused, and stays so until the end.

        Raises `GuestBusy` at the start, or at the end when the disk has changed meanwhile: then nothing read is good.
        """
        ...

    def live_snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Give the guest's own root disk in chunks, as it is at one instant of the call, whether it runs or not.

        What a guest does meanwhile goes on: the disk is as after a loss of power at that instant.
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

    async def save(self, server: str) -> GuestMemory:
        """Stop the guest where it is, keep its memory beside it, and give it.  Raises `GuestBusy` when it is off.

        One that is saved is off, and its disk is durable.
        """
        ...

    async def restore(self, server: str, *, permit: int) -> None:
        """Let a guest that was saved go on from its memory, by that permit; one that is off and was not saved stays so.

        When its disk was written to since, its memory is of no use: then it is started.  Raises as `power_on` does.
        """
        ...

    async def receive(self, spec: GuestSpec, memory: GuestMemory) -> GuestState:
        """Define the guest over the disk that is there, and let it go on from that memory: it is not started anew.

        Raises as `define` does.  A running guest of that permit is left as it is.
        """
        ...

    async def prepare_disk(self, server: str, image: str) -> None:
        """Make another root disk from the image, beside the guest's own, which it does not touch.

        It knows of the starts that the guest's own disk knows of.  Raises as `spawn` does for the image, and
        `GuestNotFound` where there is no root disk of the guest's own.
        """
        ...

    async def replace_disk(self, server: str) -> None:
        """Put the prepared disk in the place of the guest's own, and set that aside; there is one at every instant.

        Raises `GuestBusy` unless the guest is off, and `HypervisorFailed` when no disk is prepared.
        """
        ...

    async def restore_disk(self, server: str) -> None:
        """Forget a prepared disk, and put one that was set aside in its place again.  Raises `GuestBusy` as above."""
        ...

    async def keep_disk(self, server: str) -> None:
        """Forget the disk that was set aside."""
        ...

    async def apply_network(self, server: str, info: NetworkInfo) -> None:
        """Plug the guest's ports again, or write them where the guest reads them; a running guest is not disturbed."""
        ...

    async def networks(self, server: str) -> tuple[NetworkInfo, ...]:
        """Tell what was last applied and last told of, as long as the guest is defined here."""
        ...

    async def undefine(self, server: str) -> None:
        """Stop the guest and forget its definition; its disk is kept."""
        ...

    async def destroy(self, server: str) -> None:
        """Stop the guest and remove its definition and its own disk, never a volume's bytes."""
        ...
