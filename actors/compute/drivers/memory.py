"""Guests in memory that count in virtual time, for the simulator and for tests.  Deterministic.

It outlives the host's actor.  Drivers that share `MemoryVolumes` and images are hosts that see the same storage.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import anyio
import attrs
from anyio.lowlevel import checkpoint

from actors.compute.drivers.base import GRACE_S, ConsolePort, GuestMemory, GuestSpec, GuestState, Power, Traffic, Uptime
from actors.compute.drivers.counting import Counting, Guest
from actors.compute.drivers.disk import read_page
from actors.compute.drivers.imaging import disk_chunks
from actors.compute.drivers.rules import (
    check_origin,
    check_permit,
    to_copy,
    unprepared,
    with_connection,
    with_network,
    without_volume,
)
from actors.partners.ports import check_name
from protocol.errors import GuestBusy, GuestNotFound, VolumeUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from actors.compute.drivers.domain import NetworkInfo, VolumeConnection
    from actors.kernel.ports import Clock
    from actors.partners.memory import MemoryVolumes
    from actors.partners.ports import ImageFiles

CHUNK_BYTES: Final = 64 * 1024
TICK_US: Final = 20_000
US_A_S: Final = 1_000_000


class MemoryDriver:
    """A host whose guests are numbers in memory."""

    def __init__(
        self, host: str, images: ImageFiles, clock: Clock, volumes: MemoryVolumes, *, tick_us: int = TICK_US
    ) -> None:
        self._host = check_name("host", host)
        self._images = images
        self._volumes = volumes
        self._clock = clock
        self._counting = Counting(host, clock, volumes, tick_us=tick_us)
        self._since_us: int | None = None  # It was first used.
        self._guests: dict[str, Guest] = {}
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    # --- the truth, and accidents ------------------------------------------------------------------------------

    def inspect(self) -> tuple[GuestState, ...]:
        """Tell what guests, and what remains of guests, there are, now."""
        return tuple(self._state(server) for server in sorted(self._guests))

    def kill(self, server: str) -> None:
        """Let the guest die by itself, as a crash of it does."""
        guest = self._guests[server]
        self._counting.hold(server, guest, Power.SUSPENDED if guest.power is Power.SUSPENDED else Power.SHUTDOWN)

    # --- the port ----------------------------------------------------------------------------------------------

    async def guests(self) -> tuple[GuestState, ...]:
        """List all."""
        await checkpoint()
        return self.inspect()

    async def console(self, server: str) -> ConsolePort:
        """Give its port; nobody listens there."""
        await checkpoint()
        return self._counting.console(self._active(server))

    async def traffic(self, server: str) -> Traffic | None:
        """Let each tick be so many bytes, either way."""
        await checkpoint()
        return self._counting.traffic(server, self._guests.get(server))

    async def uptime(self) -> Uptime:
        """Tell how long ago this model was first used; nobody logs in to it."""
        await checkpoint()
        return Uptime(up_s=max(0, self._clock.now_us() - self._switched_on()) / US_A_S)

    async def guest(self, server: str) -> GuestState | None:
        """Find one."""
        await checkpoint()
        return self._state(server) if check_name("server", server) in self._guests else None

    async def spawn(self, spec: GuestSpec) -> GuestState:
        """Make the disk if there is none, then the guest."""
        async with self._turn(spec.server):
            if not self._runs(spec.server, spec.permit):
                self._check_reach(spec.volumes)
                disk = await self._made_disk(spec)
                self._establish(spec, disk)
            return self._state(spec.server)

    async def define(self, spec: GuestSpec) -> GuestState:
        """Make the guest over the disk that is there."""
        async with self._turn(spec.server):
            if not self._runs(spec.server, spec.permit):
                self._check_reach(spec.volumes)
                guest = self._guests.get(spec.server, Guest())
                if spec.image is not None and guest.disk is None:
                    raise self._not_found(spec.server)
                self._establish(spec, guest.disk)
            return self._state(spec.server)

    async def power_on(self, server: str, *, permit: int) -> None:
        """Start counting, or go on."""
        async with self._turn(server):
            guest, spec = self._defined(server)
            if self._runs(server, permit):
                self._counting.resume(guest)
                return
            self._check_reach(spec.volumes)
            if self._counting.root(guest) is None:
                raise self._not_found(server)
            guest.spec = attrs.evolve(spec, permit=permit)
            (self._counting.resume if guest.power is Power.SUSPENDED else self._counting.boot)(guest)

    async def power_off(self, server: str, *, grace_s: float = GRACE_S) -> None:
        """Stop counting.  These guests obey at once, whatever the grace."""
        del grace_s
        async with self._turn(server):
            self._stop(server)

    async def pause(self, server: str) -> None:
        """Hold the count."""
        async with self._turn(server):
            self._counting.hold(server, self._active(server), Power.PAUSED)

    async def unpause(self, server: str) -> None:
        """Let it count on."""
        async with self._turn(server):
            self._counting.resume(self._active(server))

    async def suspend(self, server: str) -> None:
        """Hold the count, where no death of the guest reaches it."""
        async with self._turn(server):
            if self._defined(server)[0].power is not Power.SUSPENDED:
                self._counting.hold(server, self._active(server), Power.SUSPENDED)

    async def snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Give the disk, and compare its newest page before and after."""
        await checkpoint()
        disk = self._disk_at_rest(server)
        before, content = read_page(disk), bytes(disk)
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]
            await checkpoint()
        if read_page(self._disk_at_rest(server)) != before:
            raise self._busy(server, "it ran while its disk was read")

    async def live_snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Give the disk as it is now, in between two ticks."""
        await checkpoint()
        guest = self._guests.get(check_name("server", server))
        if guest is None or guest.disk is None:
            raise self._not_found(server)
        self._counting.count(server, guest)
        content = bytes(guest.disk)
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]
            await checkpoint()

    async def connect_volume(self, server: str, connection: VolumeConnection) -> None:
        """Take the volume into use."""
        async with self._turn(server):
            guest, spec = self._defined(server)
            self._check_reach([connection])
            self._counting.count(server, guest)
            guest.spec = attrs.evolve(spec, volumes=with_connection(spec.volumes, connection))
            if guest.power.is_on:
                self._counting.write_volumes(guest)

    async def disconnect_volume(self, server: str, volume: str) -> None:
        """Let the volume go, the newest count on it."""
        async with self._turn(server):
            guest = self._guests.get(server)
            if guest is None or guest.spec is None:
                return
            rest = without_volume(guest.spec.volumes, volume)
            self._counting.count(server, guest)
            guest.spec = attrs.evolve(guest.spec, volumes=rest)

    async def copy_volume(self, server: str, volume: str, connection: VolumeConnection) -> None:
        """Copy the volume between two ticks, and take the copy into use."""
        async with self._turn(server):
            guest, spec = self._defined(server)
            original = to_copy(spec.volumes, volume, connection)
            if original is None:
                return
            self._check_reach([original, connection])
            self._counting.count(server, guest)
            self._counting.copy(original.path, connection.path)
            guest.spec = attrs.evolve(spec, volumes=with_connection(spec.volumes, connection))

    async def save(self, server: str) -> GuestMemory:
        """Hold the count for good, and remember it."""
        async with self._turn(server):
            guest, _ = self._defined(server)
            if guest.memory is None:
                self._counting.count(server, self._active(server))
                guest.memory, guest.power = GuestMemory.of(self._counting.witness(guest)), Power.SHUTDOWN
            return guest.memory

    async def restore(self, server: str, *, permit: int) -> None:
        """Count on."""
        async with self._turn(server):
            guest, spec = self._defined(server)
            if self._runs(server, permit) or guest.memory is None:
                self._counting.resume(guest)
                return
            self._check_reach(spec.volumes)
            guest.spec = attrs.evolve(spec, permit=permit)
            if guest.memory == GuestMemory.of(self._counting.witness(guest)):
                self._counting.go_on(server, guest, guest.memory)
            else:
                self._counting.boot(guest)

    async def receive(self, spec: GuestSpec, memory: GuestMemory) -> GuestState:
        """Count on from there."""
        async with self._turn(spec.server):
            if not self._runs(spec.server, spec.permit):
                self._check_reach(spec.volumes)
                guest = self._guests.get(spec.server, Guest())
                if spec.image is not None and guest.disk is None:
                    raise self._not_found(spec.server)
                self._establish(attrs.evolve(spec, is_powered_on=False), guest.disk)
                self._counting.go_on(spec.server, self._guests[spec.server], memory)
            return self._state(spec.server)

    async def prepare_disk(self, server: str, image: str) -> None:
        """Make the other disk."""
        async with self._turn(server):
            guest, _ = self._defined(server)
            if guest.disk is None:
                raise self._not_found(server)
            page = read_page(guest.disk)
            boots = page.witness.boots if page else ()
            async with aclosing(disk_chunks(self._images, image, boots=boots)) as chunks:
                guest.prepared = bytearray(b"".join([chunk async for chunk in chunks]))

    async def replace_disk(self, server: str) -> None:
        """Exchange the disks."""
        async with self._turn(server):
            guest = self._off(server)
            if guest.former is None:
                if guest.prepared is None:
                    raise unprepared(server, self._host)
                guest.former, guest.disk, guest.prepared = guest.disk, guest.prepared, None

    async def restore_disk(self, server: str) -> None:
        """Exchange them back."""
        async with self._turn(server):
            guest = self._guests.get(server)
            if guest is None:
                return
            guest.prepared = None
            if guest.former is not None:
                self._off(server)
                guest.disk, guest.former = guest.former, None

    async def keep_disk(self, server: str) -> None:
        """Forget the former."""
        async with self._turn(server):
            if server in self._guests:
                self._guests[server].former = None

    async def apply_network(self, server: str, info: NetworkInfo) -> None:
        """Keep it beside the guest."""
        async with self._turn(server):
            guest, _ = self._defined(server)
            guest.networks = with_network(guest.networks, info)

    async def networks(self, server: str) -> tuple[NetworkInfo, ...]:
        """Tell what is kept."""
        await checkpoint()
        guest = self._guests.get(check_name("server", server))
        return guest.networks if guest else ()

    async def undefine(self, server: str) -> None:
        """Stop and forget the guest, keep its disk."""
        async with self._turn(server):
            self._stop(server)
            guest = self._guests.get(server)
            if guest and guest.disk is not None:
                guest.spec, guest.networks, guest.memory = None, (), None
            else:
                self._guests.pop(server, None)

    async def destroy(self, server: str) -> None:
        """Stop and forget the guest and its disk."""
        async with self._turn(server):
            self._stop(server)
            self._guests.pop(server, None)

    def _switched_on(self) -> int:
        self._since_us = self._clock.now_us() if self._since_us is None else self._since_us
        return self._since_us

    def _turn(self, server: str) -> anyio.Lock:
        self._switched_on()
        return self._turns.setdefault(check_name("server", server), anyio.Lock())

    # --- guests ------------------------------------------------------------------------------------------------

    def _state(self, server: str) -> GuestState:
        guest = self._guests[server]
        self._counting.count(server, guest)
        spec, root = guest.spec, self._counting.root(guest)
        page = read_page(root) if root is not None else None
        return GuestState(
            server=server,
            is_defined=spec is not None,
            power=guest.power,
            permit=spec.permit if spec else None,
            has_disk=guest.disk is not None,
            has_spare=guest.prepared is not None or guest.former is not None,
            volumes=tuple(sorted(volume.volume for volume in spec.volumes)) if spec else (),
            witness=page.witness if page else None,
        )

    async def _made_disk(self, spec: GuestSpec) -> bytearray | None:
        """Give the disk that is there, which is never thrown away, or one made from the image."""
        guest = self._guests.get(spec.server, Guest())
        if spec.image is None:
            return guest.disk
        if guest.disk is None:
            async with aclosing(disk_chunks(self._images, spec.image)) as chunks:
                return bytearray(b"".join([chunk async for chunk in chunks]))
        page = read_page(guest.disk)
        check_origin(page.witness if page else None, image=spec.image, server=spec.server, host=self._host)
        return guest.disk

    def _establish(self, spec: GuestSpec, disk: bytearray | None) -> None:
        guest = self._guests.setdefault(spec.server, Guest())
        guest.spec, guest.disk, guest.power = spec, disk, Power.SHUTDOWN
        if spec.is_powered_on:
            self._counting.boot(guest)

    def _stop(self, server: str) -> None:
        if server in self._guests:
            self._counting.hold(server, self._guests[server], Power.SHUTDOWN)

    # --- what is refused ---------------------------------------------------------------------------------------

    def _runs(self, server: str, permit: int) -> bool:
        guest = self._guests.get(server, Guest())
        had = guest.spec.permit if guest.spec else None
        runs_by = had if guest.power.is_on else None
        check_permit(server, self._host, permit, runs_by=runs_by, had=had)
        return runs_by is not None

    def _check_reach(self, connections: Iterable[VolumeConnection]) -> None:
        for connection in connections:
            if self._volumes.content(connection.path) is None:
                raise VolumeUnreachable(volume=connection.volume, host=self._host)

    def _defined(self, server: str) -> tuple[Guest, GuestSpec]:
        guest = self._guests.get(server)
        if guest is None or guest.spec is None:
            raise self._not_found(server)
        return guest, guest.spec

    def _off(self, server: str) -> Guest:
        guest, _ = self._defined(server)
        if guest.power is not Power.SHUTDOWN:
            raise self._busy(server, "it is not off")
        return guest

    def _active(self, server: str) -> Guest:
        guest, _ = self._defined(server)
        if not guest.power.is_on:
            raise self._busy(server, "it is off")
        return guest

    def _disk_at_rest(self, server: str) -> bytearray:
        guest = self._guests.get(check_name("server", server))
        if guest is None or guest.disk is None:
            raise self._not_found(server)
        if guest.power is Power.RUNNING:
            raise self._busy(server, "it is running")
        return guest.disk

    def _not_found(self, server: str) -> GuestNotFound:
        return GuestNotFound(server=server, host=self._host)

    def _busy(self, server: str, reason: str) -> GuestBusy:
        return GuestBusy(server=server, host=self._host, reason=reason)
