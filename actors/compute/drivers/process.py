"""Guests as operating-system processes that count on real disks.  Linux; no root and no virtual machine needed."""

from __future__ import annotations

import os
import shutil
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import anyio
import anyio.to_thread
import attrs

from actors.compute.drivers import domain, replacing
from actors.compute.drivers.base import GRACE_S, ConsolePort, GuestSpec, GuestState, Power, Traffic, Uptime
from actors.compute.drivers.copying import copy_bytes
from actors.compute.drivers.disk import WITNESS_BYTES, GuestMemory
from actors.compute.drivers.domain import Definition, NetworkInfo, VolumeConnection
from actors.compute.drivers.home import GuestHome
from actors.compute.drivers.imaging import disk_chunks
from actors.compute.drivers.machine import read_uptime
from actors.compute.drivers.observing import inspect, observe, page_of
from actors.compute.drivers.rules import (
    check_origin,
    to_copy,
    unprepared,
    with_connection,
    with_network,
    without_volume,
)
from actors.partners import durable
from actors.partners.polling import poll
from actors.partners.ports import check_name
from protocol.errors import HypervisorFailed, VolumeUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from actors.compute.drivers.disk import Boot, Page
    from actors.partners.ports import ImageFiles

__all__ = ["ProcessDriver", "inspect"]

CHUNK_BYTES: Final = 256 * 1024
TICK_S: Final = 0.02
#: How long a call waits for another call about the same guest, of this driver or of another.
TURN_S: Final = 60.0


class ProcessDriver:
    """A host whose guests are processes.  Several drivers of one directory exclude each other guest by guest."""

    def __init__(self, host: str, directory: Path, images: ImageFiles, tick_s: float = TICK_S) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._host = check_name("host", host)
        self._directory = directory.resolve()
        self._images = images
        self._tick_s = tick_s

    async def guests(self) -> tuple[GuestState, ...]:
        """List what is in the directory."""
        return await anyio.to_thread.run_sync(inspect, self._directory)

    async def console(self, server: str) -> ConsolePort:
        """Read where the guest's process listens."""
        home = self._home(server)
        home.definition()
        spoken = home.spoken()
        if spoken is None:
            raise home.busy("it is off")
        return ConsolePort(kind="tcp", address=spoken.address, port=spoken.port)

    async def traffic(self, server: str) -> Traffic | None:
        """Read what the guest's process has counted."""
        spoken = self._home(server).spoken()
        return Traffic(bytes_in=spoken.bytes_in, bytes_out=spoken.bytes_out) if spoken else None

    async def uptime(self) -> Uptime:
        """Ask the operating system of this machine."""
        return read_uptime()

    async def guest(self, server: str) -> GuestState | None:
        """Look into the guest's directory."""
        return observe(self._home(server).path)

    async def spawn(self, spec: GuestSpec) -> GuestState:
        """Make the disk if there is none, then the guest."""
        async with self._turn(spec.server) as home:
            if not home.runs(permit=spec.permit):
                home.check_reach(spec.volumes)
                await self._ensure_disk(home, spec)
                await self._establish(home, spec)
            return home.state()

    async def define(self, spec: GuestSpec) -> GuestState:
        """Make the guest over the disk that is there."""
        async with self._turn(spec.server) as home:
            if not home.runs(permit=spec.permit):
                home.check_reach(spec.volumes)
                if spec.image is not None and not home.disk.exists():
                    raise home.not_found()
                await self._establish(home, spec)
            return home.state()

    async def power_on(self, server: str, *, permit: int) -> None:
        """Start the process, or let it go on."""
        async with self._turn(server) as home:
            await home.call_off_suspend()
            await home.start(permit=permit)
            await home.resume()

    async def power_off(self, server: str, *, grace_s: float = GRACE_S) -> None:
        """End the process."""
        async with self._turn(server) as home:
            await home.stop(grace_s=grace_s)

    async def pause(self, server: str) -> None:
        """Hold the process."""
        async with self._turn(server) as home:
            await home.pause()

    async def unpause(self, server: str) -> None:
        """Let the process go on."""
        async with self._turn(server) as home:
            home.definition()
            await home.resume()

    async def suspend(self, server: str) -> None:
        """Have the process save where it is, and end."""
        async with self._turn(server) as home:
            await home.suspend()

    async def snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Read the disk file, and compare its newest page before and after: every boot and tick writes another."""
        home = self._home(server)
        try:
            file = home.disk.open("rb")
        except FileNotFoundError:
            raise home.not_found() from None
        with file:
            before = _page_at_rest(home)
            while chunk := await anyio.to_thread.run_sync(file.read, CHUNK_BYTES):
                yield chunk
            if _page_at_rest(home) != before:
                raise home.busy("it ran while its disk was read")

    async def live_snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Read the witness block at once: of its two slots the guest writes one, so the other is whole; then the rest.

        What follows the block no guest ever writes to.
        """
        home = self._home(server)
        try:
            file = home.disk.open("rb")
        except FileNotFoundError:
            raise home.not_found() from None
        with file:
            yield os.pread(file.fileno(), WITNESS_BYTES, 0)
            file.seek(WITNESS_BYTES)
            while chunk := await anyio.to_thread.run_sync(file.read, CHUNK_BYTES):
                yield chunk

    async def connect_volume(self, server: str, connection: VolumeConnection) -> None:
        """Write the connection into the definition and wait until the guest follows it."""
        async with self._turn(server) as home:
            before = home.definition().volumes
            home.check_reach([connection])
            await self._take(home, before, connection)

    async def disconnect_volume(self, server: str, volume: str) -> None:
        """Take the connection out of the definition and wait until the guest follows it."""
        async with self._turn(server) as home:
            definition = Definition.read(home.path)
            if definition is None:
                return
            await home.change_volumes(without_volume(definition.volumes, volume))

    async def copy_volume(self, server: str, volume: str, connection: VolumeConnection) -> None:
        """Copy the bytes while the guest writes nothing, then have it follow a definition with both."""
        async with self._turn(server) as home:
            before = home.definition().volumes
            original = to_copy(before, volume, connection)
            if original is None:
                await home.change_volumes(before)  # Whoever was cut off may have had no time to see the guest follow.
                return
            home.check_reach([original, connection])
            await home.quiesce()
            try:
                await anyio.to_thread.run_sync(copy_bytes, Path(original.path), Path(connection.path))
            except OSError as error:
                await home.change_volumes(before)
                raise HypervisorFailed(
                    server=server, host=self._host, action="copy_volume", reason=str(error)
                ) from error
            await self._take(home, before, connection)

    async def save(self, server: str) -> GuestMemory:
        """Have the process write its memory down, and end."""
        async with self._turn(server) as home:
            home.definition()
            return await home.save()

    async def restore(self, server: str, *, permit: int) -> None:
        """Start a process that goes on from the memory."""
        async with self._turn(server) as home:
            memory, definition = domain.read_memory(home.path), home.definition()
            if home.runs(permit=permit):
                await home.resume()
            elif memory is not None and definition.is_handed:
                root = definition.root(home.path)
                page = page_of(root) if root else None
                is_current = page is not None and memory == GuestMemory.of(page.witness)
                await home.start(permit=permit, is_resumed=is_current)

    async def receive(self, spec: GuestSpec, memory: GuestMemory) -> GuestState:
        """Write the memory down here, have the disk agree with it, and start a process that goes on from there."""
        async with self._turn(spec.server) as home:
            if not home.runs(permit=spec.permit):
                home.check_reach(spec.volumes)
                if spec.image is not None and not home.disk.exists():
                    raise home.not_found()
                await self._establish(home, attrs.evolve(spec, is_powered_on=False))
                root = home.definition().root(home.path)
                if root is None:
                    raise home.not_found()
                await anyio.to_thread.run_sync(replacing.write_memory, root, memory, spec.server)
                durable.replace(home.path / domain.MEMORY, domain.encode_memory(memory))
                await home.start(permit=spec.permit, is_resumed=True)
            return home.state()

    async def prepare_disk(self, server: str, image: str) -> None:
        """Write the other disk file beside the guest's."""
        async with self._turn(server) as home:
            home.definition()
            page = page_of(home.disk)
            if page is None:
                raise home.not_found()
            await self._make_disk(home.path / domain.PREPARED, image, boots=page.witness.boots)

    async def replace_disk(self, server: str) -> None:
        """Rename the files."""
        async with self._turn(server) as home:
            home.definition()
            _check_off(home)
            if not await anyio.to_thread.run_sync(replacing.replace, home.path):
                raise unprepared(server, self._host)

    async def restore_disk(self, server: str) -> None:
        """Rename them back."""
        async with self._turn(server) as home:
            if (home.path / domain.FORMER).exists():
                _check_off(home)
            if home.path.exists():
                await anyio.to_thread.run_sync(replacing.restore, home.path)

    async def keep_disk(self, server: str) -> None:
        """Remove the former file."""
        async with self._turn(server) as home:
            if home.path.exists():
                await anyio.to_thread.run_sync(replacing.keep, home.path)

    async def apply_network(self, server: str, info: NetworkInfo) -> None:
        """Write it into the guest's directory."""
        async with self._turn(server) as home:
            home.definition()
            applied = with_network(NetworkInfo.read(home.path), info)
            durable.replace(home.path / domain.NETWORK, domain.encode_networks(applied))

    async def networks(self, server: str) -> tuple[NetworkInfo, ...]:
        """Read it from the guest's directory."""
        return NetworkInfo.read(self._home(server).path)

    async def undefine(self, server: str) -> None:
        """End the process and remove all but the disk."""
        async with self._turn(server) as home:
            await home.stop(grace_s=GRACE_S)
            await anyio.to_thread.run_sync(_forget, home.path)

    async def destroy(self, server: str) -> None:
        """End the process and remove the directory."""
        async with self._turn(server) as home:
            await home.stop(grace_s=GRACE_S)
            await anyio.to_thread.run_sync(_remove, home.path)

    def _home(self, server: str) -> GuestHome:
        return GuestHome(self._directory / check_name("server", server), host=self._host)

    @asynccontextmanager
    async def _turn(self, server: str) -> AsyncIterator[GuestHome]:
        """Wait until no other call about this guest runs, in this driver or in another of the same directory."""
        home = self._home(server)
        lock = durable.hidden(home.path, "lock")
        lock_fd = None
        with anyio.move_on_after(TURN_S):
            lock_fd = await poll(lambda: durable.try_lock(lock))
        if lock_fd is None:
            raise home.busy("another call about it does not end")
        try:
            yield home
        finally:
            if not home.path.exists():
                lock.unlink()
            os.close(lock_fd)

    async def _take(self, home: GuestHome, before: tuple[VolumeConnection, ...], connection: VolumeConnection) -> None:
        await home.change_volumes(with_connection(before, connection))
        if connection.volume not in home.state().volumes:
            await home.change_volumes(before)
            raise VolumeUnreachable(volume=connection.volume, host=self._host)

    async def _ensure_disk(self, home: GuestHome, spec: GuestSpec) -> None:
        if spec.image is None:
            return
        if home.disk.exists():
            page = page_of(home.disk)
            check_origin(page.witness if page else None, image=spec.image, server=spec.server, host=self._host)
            return
        home.path.mkdir(exist_ok=True)
        try:
            await self._make_disk(home.disk, spec.image)
        finally:
            if not any(home.path.iterdir()):
                home.path.rmdir()

    async def _make_disk(self, disk: Path, image: str, *, boots: tuple[Boot, ...] | None = None) -> None:
        partial = durable.hidden(disk, "partial")
        try:
            await self._write_disk(partial, image, boots)
            await anyio.to_thread.run_sync(_put_in_place, partial, disk)
        finally:
            partial.unlink(missing_ok=True)

    async def _write_disk(self, partial: Path, image: str, boots: tuple[Boot, ...] | None) -> None:
        with partial.open("wb") as file:  # Whatever a crashed try has left there is overwritten.
            async with aclosing(disk_chunks(self._images, image, boots=boots)) as chunks:
                async for chunk in chunks:
                    await anyio.to_thread.run_sync(file.write, chunk)
            await anyio.to_thread.run_sync(_sync, file)

    async def _establish(self, home: GuestHome, spec: GuestSpec) -> None:
        definition = Definition(
            server=spec.server,
            name=spec.name,
            host=self._host,
            vcpus=spec.vcpus,
            memory_mb=spec.memory_mb,
            disk_gb=spec.disk_gb,
            image=spec.image,
            volumes=spec.volumes,
            permit=spec.permit,
            tick_s=self._tick_s,
        )
        home.define(definition)
        durable.remove(home.path / domain.SAVED)  # Of a guest that was another.
        if spec.is_powered_on:
            await home.start(permit=spec.permit)


def _check_off(home: GuestHome) -> None:
    if home.power() is not Power.SHUTDOWN:
        raise home.busy("it is not off")


def _page_at_rest(home: GuestHome) -> Page | None:
    if home.power() is Power.RUNNING:
        raise home.busy("it is running")
    return page_of(home.disk)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put_in_place(partial: Path, disk: Path) -> None:
    partial.rename(disk)
    durable.sync_directory(disk.parent)
    durable.sync_directory(disk.parent.parent)


def _forget(home: Path) -> None:
    """Remove all but the disk, the definition first."""
    if not (home / domain.DISK).exists():
        _remove(home)
        return
    for name in (
        domain.DEFINITION, domain.RUNNING, domain.PORT, domain.CONSOLE, domain.NETWORK, domain.MEMORY, domain.SAVED,
    ):  # fmt: skip
        (home / name).unlink(missing_ok=True)
    durable.sync_directory(home)


def _remove(home: Path) -> None:
    if home.exists():
        shutil.rmtree(home)
        durable.sync_directory(home.parent)
