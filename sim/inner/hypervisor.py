"""A host's guests as values: what `MemoryDriver` does with bytes, done with the witness that the bytes spell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import attrs

from actors.compute.drivers.base import GuestSpec, GuestState, Power
from actors.compute.drivers.disk import DiskWitness, GuestMemory
from actors.compute.drivers.domain import NetworkInfo, VolumeConnection
from actors.compute.drivers.memory import TICK_US
from actors.compute.drivers.rules import (
    check_origin,
    check_permit,
    to_copy,
    unprepared,
    with_connection,
    with_network,
    without_volume,
)
from protocol.errors import GuestBusy, GuestNotFound, NotFound, VolumeUnreachable

#: What a disk that nobody has written to says.
BLANK: Final = DiskWitness()

#: Images by name; what was put there by hand says nothing of a guest yet.
Images = dict[str, DiskWitness]
#: Volumes by name.
Volumes = dict[str, DiskWitness]


@attrs.define(eq=False)
class Guest:
    """A guest, or the disk that is left of one."""

    spec: GuestSpec | None = None
    disk: DiskWitness | None = None
    prepared: DiskWitness | None = None
    former: DiskWitness | None = None
    power: Power = Power.SHUTDOWN
    counted_to_us: int = 0
    networks: tuple[NetworkInfo, ...] = ()
    memory: GuestMemory | None = None


class Hypervisor:
    """The guests of one host.  It outlives the host's actor."""

    def __init__(self, host: str, *, images: Images, volumes: Volumes, now_us: Callable[[], int]) -> None:
        self._host = host
        self._images = images
        self._volumes = volumes
        self._now_us = now_us
        self._guests: dict[str, Guest] = {}

    # --- the truth, and accidents ------------------------------------------------------------------------------

    def inspect(self) -> tuple[GuestState, ...]:
        """Tell what guests, and what remains of guests, there are, now."""
        return tuple(self._state(server) for server in sorted(self._guests))

    def running(self) -> list[str]:
        """Name the servers whose guests run."""
        return sorted(server for server, guest in self._guests.items() if guest.power.is_on)

    def off(self) -> list[GuestState]:
        """Tell of the guests that do not run."""
        found = sorted(self._guests.items())
        return [self._state(name) for name, each in found if each.spec is not None and each.power is Power.SHUTDOWN]

    def runs_by(self, server: str) -> int | None:
        """Tell by which permit a guest runs; None: it does not."""
        guest = self._guests.get(server)
        return guest.spec.permit if guest and guest.spec and guest.power.is_on else None

    def stop(self, server: str) -> None:
        """Stop the guest, and throw away what a suspended one would go on with."""
        if server in self._guests:
            guest = self._guests[server]
            self._count(server, guest)
            guest.power = Power.SHUTDOWN

    def die(self, server: str) -> None:
        """Let the guest stop by itself: one that is suspended cannot."""
        if self._guests[server].power.is_on:
            self.stop(server)

    # --- the driver's calls ------------------------------------------------------------------------------------

    def guest(self, server: str) -> GuestState | None:
        """Find one."""
        return self._state(server) if server in self._guests else None

    def needs_image(self, spec: GuestSpec) -> bool:
        """Tell whether a spawn would read the image."""
        guest = self._guests.get(spec.server)
        return spec.image is not None and (guest is None or guest.disk is None)

    def spawn(self, spec: GuestSpec) -> GuestState:
        """Make the disk if there is none, then the guest."""
        if not self._runs(spec.server, spec.permit):
            self._check_reach(spec.volumes)
            self._establish(spec, self.made_disk(spec))
        return self._state(spec.server)

    def made_disk(self, spec: GuestSpec) -> DiskWitness | None:
        """Give the disk that is there, which is never thrown away, or one made from the image."""
        guest = self._guests.get(spec.server) or Guest()
        if spec.image is None:
            return guest.disk
        if guest.disk is not None:
            check_origin(guest.disk, image=spec.image, server=spec.server, host=self._host)
            return guest.disk
        if spec.image not in self._images:
            raise NotFound(kind="image", name=spec.image)
        return replace(self._images[spec.image], image=spec.image)

    def keep_made_disk(self, spec: GuestSpec) -> None:
        """Leave a spawn half done: the disk is made, the guest is not."""
        if not self._runs(spec.server, spec.permit):
            self._guests.setdefault(spec.server, Guest()).disk = self.made_disk(spec)

    def define(self, spec: GuestSpec) -> GuestState:
        """Make the guest over the disk that is there."""
        if not self._runs(spec.server, spec.permit):
            self._check_reach(spec.volumes)
            guest = self._guests.get(spec.server) or Guest()
            if spec.image is not None and guest.disk is None:
                raise self._not_found(spec.server)
            self._establish(spec, guest.disk)
        return self._state(spec.server)

    def power_on(self, server: str, permit: int) -> None:
        """Start counting, or go on."""
        guest, spec = self._defined(server)
        if self._runs(server, permit):
            self._resume(guest)
            return
        self._check_reach(spec.volumes)
        if self._root(guest) is None:
            raise self._not_found(server)
        guest.spec = attrs.evolve(spec, permit=permit)
        (self._resume if guest.power is Power.SUSPENDED else self._boot)(guest)

    def hold(self, server: str, power: Power) -> None:
        """Hold the count: paused, or suspended, where no death of the guest reaches it."""
        guest, _ = self._defined(server)
        if not guest.power.is_on and guest.power is not power:
            raise GuestBusy(server=server, host=self._host, reason="it is off")
        self._count(server, guest)
        guest.power = power

    def _resume(self, guest: Guest) -> None:
        if guest.power in {Power.PAUSED, Power.SUSPENDED}:
            guest.power, guest.counted_to_us = Power.RUNNING, self._now_us()

    def snapshot(self, server: str) -> DiskWitness:
        """Give the disk's content."""
        guest = self._guests.get(server)
        if guest is None or guest.disk is None:
            raise self._not_found(server)
        if guest.power is Power.RUNNING:
            raise GuestBusy(server=server, host=self._host, reason="it is running")
        return guest.disk

    def live_snapshot(self, server: str) -> DiskWitness:
        """Give the disk's content as it is now, for others to be made of: it tells of no starts."""
        guest = self._guests.get(server)
        if guest is None or guest.disk is None:
            raise self._not_found(server)
        self._count(server, guest)
        return replace(guest.disk, boots=(), writer="")

    def connect_volume(self, server: str, connection: VolumeConnection) -> None:
        """Take the volume into use."""
        guest, spec = self._defined(server)
        self._check_reach((connection,))
        self._count(server, guest)
        guest.spec = attrs.evolve(spec, volumes=with_connection(spec.volumes, connection))
        if guest.power.is_on:
            self._write_volumes(guest)

    def disconnect_volume(self, server: str, volume: str) -> None:
        """Let the volume go, the newest count on it."""
        guest = self._guests.get(server)
        if guest is None or guest.spec is None:
            return
        rest = without_volume(guest.spec.volumes, volume)
        self._count(server, guest)
        guest.spec = attrs.evolve(guest.spec, volumes=rest)

    def copy_volume(self, server: str, volume: str, connection: VolumeConnection) -> None:
        """Copy the volume, and take the copy into use."""
        guest, spec = self._defined(server)
        original = to_copy(spec.volumes, volume, connection)
        if original is None:
            return
        self._check_reach((original, connection))
        self._count(server, guest)
        self._volumes[connection.path] = self._volumes[original.path]
        guest.spec = attrs.evolve(spec, volumes=with_connection(spec.volumes, connection))

    def save(self, server: str) -> GuestMemory:
        """Stop the guest where it is, and remember it."""
        guest, _ = self._defined(server)
        if guest.memory is None:
            if guest.power is Power.SHUTDOWN:
                raise GuestBusy(server=server, host=self._host, reason="it is off")
            self._count(server, guest)
            guest.memory, guest.power = GuestMemory.of(self._root(guest) or BLANK), Power.SHUTDOWN
        return guest.memory

    def restore(self, server: str, permit: int) -> None:
        """Let it go on; when its disk was written to since, it starts."""
        guest, spec = self._defined(server)
        if self._runs(server, permit) or guest.memory is None:
            return
        self._check_reach(spec.volumes)
        guest.spec = attrs.evolve(spec, permit=permit)
        if guest.memory == GuestMemory.of(self._root(guest) or BLANK):
            self._go_on(server, guest, guest.memory)
        else:
            self._boot(guest)

    def receive(self, spec: GuestSpec, memory: GuestMemory) -> GuestState:
        """Let it go on here."""
        if not self._runs(spec.server, spec.permit):
            self._check_reach(spec.volumes)
            guest = self._guests.get(spec.server) or Guest()
            if spec.image is not None and guest.disk is None:
                raise self._not_found(spec.server)
            self._establish(attrs.evolve(spec, is_powered_on=False), guest.disk)
            self._go_on(spec.server, self._guests[spec.server], memory)
        return self._state(spec.server)

    def _go_on(self, server: str, guest: Guest, memory: GuestMemory) -> None:
        self._write(guest, memory.onto(self._root(guest) or BLANK, writer=server))
        guest.power, guest.counted_to_us, guest.memory = Power.RUNNING, self._now_us(), None
        self._write_volumes(guest)

    def prepare_disk(self, server: str, image: str) -> None:
        """Make another disk, which knows of the starts that the guest's own knows of."""
        guest, _ = self._defined(server)
        if guest.disk is None:
            raise self._not_found(server)
        if image not in self._images:
            raise NotFound(kind="image", name=image)
        guest.prepared = replace(self._images[image], image=image, boots=guest.disk.boots)

    def replace_disk(self, server: str) -> None:
        """Put it in the guest's disk's place."""
        guest = self._off(server)
        if guest.former is None:
            if guest.prepared is None:
                raise unprepared(server, self._host)
            guest.former, guest.disk, guest.prepared = guest.disk, guest.prepared, None

    def restore_disk(self, server: str) -> None:
        """Put the former one there again."""
        guest = self._guests.get(server)
        if guest is None:
            return
        guest.prepared = None
        if guest.former is not None:
            self._off(server)
            guest.disk, guest.former = guest.former, None

    def keep_disk(self, server: str) -> None:
        """Forget the former one."""
        if server in self._guests:
            self._guests[server].former = None

    def _off(self, server: str) -> Guest:
        guest, _ = self._defined(server)
        if guest.power is not Power.SHUTDOWN:
            raise GuestBusy(server=server, host=self._host, reason="it is not off")
        return guest

    def apply_network(self, server: str, info: NetworkInfo) -> None:
        """Apply the guest's ports again, or tell it of them."""
        guest, _ = self._defined(server)
        guest.networks = with_network(guest.networks, info)

    def networks(self, server: str) -> tuple[NetworkInfo, ...]:
        """Tell what was last done about them."""
        guest = self._guests.get(server)
        return guest.networks if guest else ()

    def undefine(self, server: str) -> None:
        """Stop and forget the guest, keep its disk."""
        self.stop(server)
        guest = self._guests.get(server)
        if guest and guest.disk is not None:
            guest.spec, guest.networks, guest.memory = None, (), None
        else:
            self._guests.pop(server, None)

    def destroy(self, server: str) -> None:
        """Stop and forget the guest and its disk."""
        self.stop(server)
        self._guests.pop(server, None)

    # --- guests ------------------------------------------------------------------------------------------------

    def _state(self, server: str) -> GuestState:
        guest = self._guests[server]
        self._count(server, guest)
        spec = guest.spec
        return GuestState(
            server=server,
            is_defined=spec is not None,
            power=guest.power,
            permit=spec.permit if spec else None,
            has_disk=guest.disk is not None,
            has_spare=guest.prepared is not None or guest.former is not None,
            volumes=tuple(sorted(volume.volume for volume in spec.volumes)) if spec else (),
            witness=self._root(guest),
        )

    def _establish(self, spec: GuestSpec, disk: DiskWitness | None) -> None:
        guest = self._guests.setdefault(spec.server, Guest())
        guest.spec, guest.disk, guest.power = spec, disk, Power.SHUTDOWN
        if spec.is_powered_on:
            self._boot(guest)

    def _boot(self, guest: Guest) -> None:
        root, spec = self._root(guest), guest.spec
        assert root is not None, "a guest boots from a disk"
        assert spec is not None, "a guest that boots is defined"
        self._write(guest, root.booted(host=self._host, permit=spec.permit))
        guest.power, guest.counted_to_us, guest.memory = Power.RUNNING, self._now_us(), None
        self._write_volumes(guest)

    # --- counting ----------------------------------------------------------------------------------------------

    def _count(self, server: str, guest: Guest) -> None:
        """Write the ticks since the last time this was asked: nobody can tell that it was not done at each."""
        if guest.power is not Power.RUNNING:
            return
        root, now_us = self._root(guest), self._now_us()
        ticks = max(0, now_us - guest.counted_to_us) // TICK_US
        guest.counted_to_us += ticks * TICK_US
        if ticks and root is not None:
            self._write(guest, root.counted(root.counter + ticks, writer=server))
            self._write_volumes(guest)

    def _write_volumes(self, guest: Guest) -> None:
        spec = guest.spec
        if spec is None or not spec.volumes:
            return
        root = self._root(guest)
        counter = root.counter if root else 0
        for volume in spec.volumes:
            if not volume.is_root and volume.path in self._volumes:
                content = self._volumes[volume.path]
                self._volumes[volume.path] = content.counted(counter, writer=spec.server)

    def _root(self, guest: Guest) -> DiskWitness | None:
        """Give what the disk says that the guest boots from."""
        if guest.spec is None or guest.spec.image is not None:
            return guest.disk
        path = _root_path(guest.spec)
        return self._volumes.get(path) if path is not None else None

    def _write(self, guest: Guest, content: DiskWitness) -> None:
        if guest.spec is None or guest.spec.image is not None:
            guest.disk = content
        elif (path := _root_path(guest.spec)) is not None:
            self._volumes[path] = content

    # --- what is refused ---------------------------------------------------------------------------------------

    def _runs(self, server: str, permit: int) -> bool:
        guest = self._guests.get(server)
        had = guest.spec.permit if guest and guest.spec else None
        runs_by = had if guest and guest.power.is_on else None
        check_permit(server, self._host, permit, runs_by=runs_by, had=had)
        return runs_by is not None

    def _check_reach(self, connections: tuple[VolumeConnection, ...]) -> None:
        for connection in connections:
            if connection.path not in self._volumes:
                raise VolumeUnreachable(volume=connection.volume, host=self._host)

    def _defined(self, server: str) -> tuple[Guest, GuestSpec]:
        guest = self._guests.get(server)
        if guest is None or guest.spec is None:
            raise self._not_found(server)
        return guest, guest.spec

    def _not_found(self, server: str) -> GuestNotFound:
        return GuestNotFound(server=server, host=self._host)


def _root_path(spec: GuestSpec) -> str | None:
    return next((volume.path for volume in spec.volumes if volume.is_root), None)
