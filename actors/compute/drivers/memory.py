"""Guests in memory that count in virtual time, for the simulator and for tests.  Deterministic.

A driver stands for the hypervisor of one host: it outlives the host's actor.  Drivers that share `MemoryVolumes` and
images are hosts that see the same storage.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import anyio
import attrs
from anyio.lowlevel import checkpoint

from actors.compute.drivers.base import GRACE_S, GuestSpec, GuestState, Power
from actors.compute.drivers.disk import BLANK, read_page, write_page
from actors.compute.drivers.imaging import disk_chunks
from actors.compute.drivers.rules import check_origin, check_permit, to_copy, with_connection, without_volume
from actors.partners.ports import check_name
from protocol.errors import GuestBusy, GuestNotFound, VolumeUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from actors.compute.drivers.domain import VolumeConnection
    from actors.kernel.ports import Clock
    from actors.partners.memory import MemoryVolumes
    from actors.partners.ports import ImageFiles

CHUNK_BYTES: Final = 64 * 1024
TICK_US: Final = 20_000


@attrs.define(kw_only=True)
class _Guest:
    """A guest, or the disk that is left of one."""

    spec: GuestSpec | None = None
    disk: bytearray | None = None
    power: Power = Power.SHUTDOWN
    counted_to_us: int = 0


class MemoryDriver:
    """A host whose guests are numbers in memory."""

    def __init__(
        self, host: str, images: ImageFiles, clock: Clock, volumes: MemoryVolumes, *, tick_us: int = TICK_US
    ) -> None:
        self._host = check_name("host", host)
        self._images = images
        self._clock = clock
        self._volumes = volumes
        self._tick_us = tick_us
        self._guests: dict[str, _Guest] = {}
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    # --- the truth, and accidents ------------------------------------------------------------------------------

    def inspect(self) -> tuple[GuestState, ...]:
        """Tell what guests, and what remains of guests, there are, now."""
        return tuple(self._state(server) for server in sorted(self._guests))

    def kill(self, server: str) -> None:
        """Let the guest die by itself, as a crash of it does."""
        guest = self._guests[server]
        self._count(server, guest)
        guest.power = Power.SHUTDOWN

    # --- the port ----------------------------------------------------------------------------------------------

    async def guests(self) -> tuple[GuestState, ...]:
        """List all."""
        await checkpoint()
        return self.inspect()

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
                guest = self._guests.get(spec.server, _Guest())
                if spec.image is not None and guest.disk is None:
                    raise self._not_found(spec.server)
                self._establish(spec, guest.disk)
            return self._state(spec.server)

    async def power_on(self, server: str, *, permit: int) -> None:
        """Start counting, or go on."""
        async with self._turn(server):
            guest, spec = self._defined(server)
            if self._runs(server, permit):
                self._resume(guest)
                return
            self._check_reach(spec.volumes)
            if self._root(guest) is None:
                raise self._not_found(server)
            guest.spec = attrs.evolve(spec, permit=permit)
            self._boot(guest)

    async def power_off(self, server: str, *, grace_s: float = GRACE_S) -> None:
        """Stop counting.  These guests obey at once, whatever the grace."""
        del grace_s
        async with self._turn(server):
            self._stop(server)

    async def pause(self, server: str) -> None:
        """Hold the count."""
        async with self._turn(server):
            guest = self._active(server)
            self._count(server, guest)
            guest.power = Power.PAUSED

    async def unpause(self, server: str) -> None:
        """Let it count on."""
        async with self._turn(server):
            self._resume(self._active(server))

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

    async def connect_volume(self, server: str, connection: VolumeConnection) -> None:
        """Take the volume into use."""
        async with self._turn(server):
            guest, spec = self._defined(server)
            self._check_reach([connection])
            self._count(server, guest)
            guest.spec = attrs.evolve(spec, volumes=with_connection(spec.volumes, connection))
            if guest.power is not Power.SHUTDOWN:
                self._write_volumes(guest)

    async def disconnect_volume(self, server: str, volume: str) -> None:
        """Let the volume go, the newest count on it."""
        async with self._turn(server):
            guest = self._guests.get(server)
            if guest is None or guest.spec is None:
                return
            rest = without_volume(guest.spec.volumes, volume)
            self._count(server, guest)
            guest.spec = attrs.evolve(guest.spec, volumes=rest)

    async def copy_volume(self, server: str, volume: str, connection: VolumeConnection) -> None:
        """Copy the volume between two ticks, and take the copy into use."""
        async with self._turn(server):
            guest, spec = self._defined(server)
            original = to_copy(spec.volumes, volume, connection)
            if original is None:
                return
            self._check_reach([original, connection])
            self._count(server, guest)
            self._copy(original.path, connection.path)
            guest.spec = attrs.evolve(spec, volumes=with_connection(spec.volumes, connection))

    async def undefine(self, server: str) -> None:
        """Stop and forget the guest, keep its disk."""
        async with self._turn(server):
            self._stop(server)
            guest = self._guests.get(server)
            if guest and guest.disk is not None:
                guest.spec = None
            else:
                self._guests.pop(server, None)

    async def destroy(self, server: str) -> None:
        """Stop and forget the guest and its disk."""
        async with self._turn(server):
            self._stop(server)
            self._guests.pop(server, None)

    # --- one call at a time ------------------------------------------------------------------------------------

    def _turn(self, server: str) -> anyio.Lock:
        return self._turns.setdefault(check_name("server", server), anyio.Lock())

    # --- guests ------------------------------------------------------------------------------------------------

    def _state(self, server: str) -> GuestState:
        guest = self._guests[server]
        self._count(server, guest)
        spec, root = guest.spec, self._root(guest)
        page = read_page(root) if root is not None else None
        return GuestState(
            server=server,
            is_defined=spec is not None,
            power=guest.power,
            permit=spec.permit if spec else None,
            has_disk=guest.disk is not None,
            volumes=tuple(sorted(volume.volume for volume in spec.volumes)) if spec else (),
            witness=page.witness if page else None,
        )

    async def _made_disk(self, spec: GuestSpec) -> bytearray | None:
        """Give the disk that is there, which is never thrown away, or one made from the image."""
        guest = self._guests.get(spec.server, _Guest())
        if spec.image is None:
            return guest.disk
        if guest.disk is None:
            async with aclosing(disk_chunks(self._images, spec.image)) as chunks:
                return bytearray(b"".join([chunk async for chunk in chunks]))
        page = read_page(guest.disk)
        check_origin(page.witness if page else None, image=spec.image, server=spec.server, host=self._host)
        return guest.disk

    def _establish(self, spec: GuestSpec, disk: bytearray | None) -> None:
        guest = self._guests.setdefault(spec.server, _Guest())
        guest.spec, guest.disk = spec, disk
        if spec.is_powered_on:
            self._boot(guest)

    def _boot(self, guest: _Guest) -> None:
        root, spec = self._root(guest), guest.spec
        assert root is not None
        assert spec is not None
        page = read_page(root) or BLANK
        write_page(root, page.after(page.witness.booted(host=self._host, permit=spec.permit)))
        guest.power, guest.counted_to_us = Power.RUNNING, self._clock.now_us()
        self._write_volumes(guest)

    def _resume(self, guest: _Guest) -> None:
        if guest.power is Power.PAUSED:
            guest.power, guest.counted_to_us = Power.RUNNING, self._clock.now_us()

    def _stop(self, server: str) -> None:
        if server in self._guests:
            self.kill(server)

    # --- counting ----------------------------------------------------------------------------------------------

    def _count(self, server: str, guest: _Guest) -> None:
        """Write the ticks since the last time this was asked: nobody can tell that it was not done at each."""
        root, now_us = self._root(guest), self._clock.now_us()
        if guest.power is not Power.RUNNING or root is None:
            return
        ticks = max(0, now_us - guest.counted_to_us) // self._tick_us
        # A clock that jumped back starts a new count of time; the counter itself never goes back.
        guest.counted_to_us = min(guest.counted_to_us + ticks * self._tick_us, now_us)
        if ticks:
            page = read_page(root) or BLANK
            write_page(root, page.after(page.witness.counted(page.witness.counter + ticks, writer=server)))
            self._write_volumes(guest)

    def _write_volumes(self, guest: _Guest) -> None:
        root, spec = self._root(guest), guest.spec
        assert root is not None
        assert spec is not None
        counter = (read_page(root) or BLANK).witness.counter
        for content in self._data_volumes(spec):
            page = read_page(content) or BLANK
            write_page(content, page.after(page.witness.counted(counter, writer=spec.server)))

    def _copy(self, original: str, copy: str) -> None:
        content, target = self._volumes.content(original), self._volumes.content(copy)
        assert content is not None
        assert target is not None
        target[:] = content

    def _data_volumes(self, spec: GuestSpec) -> Iterator[bytearray]:
        for volume in spec.volumes:
            content = self._volumes.content(volume.path)
            if content is not None and not volume.is_root:
                yield content

    def _root(self, guest: _Guest) -> bytearray | None:
        """Give the bytes of the disk that the guest boots from."""
        if guest.spec is None or guest.spec.image is not None:
            return guest.disk
        paths = [volume.path for volume in guest.spec.volumes if volume.is_root]
        return self._volumes.content(paths[0]) if paths else None

    # --- what is refused ---------------------------------------------------------------------------------------

    def _runs(self, server: str, permit: int) -> bool:
        guest = self._guests.get(server, _Guest())
        had = guest.spec.permit if guest.spec else None
        runs_by = had if guest.power is not Power.SHUTDOWN else None
        check_permit(server, self._host, permit, runs_by=runs_by, had=had)
        return runs_by is not None

    def _check_reach(self, connections: Iterable[VolumeConnection]) -> None:
        for connection in connections:
            if self._volumes.content(connection.path) is None:
                raise VolumeUnreachable(volume=connection.volume, host=self._host)

    def _defined(self, server: str) -> tuple[_Guest, GuestSpec]:
        guest = self._guests.get(server)
        if guest is None or guest.spec is None:
            raise self._not_found(server)
        return guest, guest.spec

    def _active(self, server: str) -> _Guest:
        guest, _ = self._defined(server)
        if guest.power is Power.SHUTDOWN:
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
