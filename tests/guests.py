"""Clouds of two hosts and shared storage for tests of guests: one in memory, one of real processes and files."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import anyio

from actors.compute.drivers.base import Driver, GuestSpec, GuestState, Power, VolumeConnection
from actors.compute.drivers.domain import Running
from actors.compute.drivers.memory import MemoryDriver
from actors.compute.drivers.process import ProcessDriver, inspect
from actors.compute.drivers.processes import GuestProcess
from actors.kernel.ports import Clock
from actors.partners.files import FileImages, FileVolumes
from actors.partners.memory import MemoryImages, MemoryVolumes
from actors.partners.ports import ImageFiles, VolumeFiles

SERVER = "5f3c0e0a-0000-4000-8000-000000000001"
IMAGE = "cirros"
IMAGE_BYTES = b"what the image holds, some of it. " * 1000
UNTIL_S = 10.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true of a real process.

    The only wait in real time of these tests: a process of its own takes the time it takes, and tells no loop of ours.
    In virtual time it takes none.
    """
    with anyio.fail_after(UNTIL_S):
        while not condition():  # noqa: ASYNC110 - another process changes it, and can set no event of ours.
            await anyio.sleep(0.005)


async def chunked(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Give bytes in chunks."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


def connection(volumes: VolumeFiles, volume: str, *, boot_index: int | None = None) -> VolumeConnection:
    """Describe a volume's connection."""
    return VolumeConnection(
        volume=volume,
        attachment=f"attachment-of-{volume}",
        device="/dev/vdb",
        path=volumes.path(volume),
        boot_index=boot_index,
    )


def spec(
    *,
    permit: int = 1,
    image: str | None = IMAGE,
    volumes: tuple[VolumeConnection, ...] = (),
    is_powered_on: bool = True,
) -> GuestSpec:
    """Describe the guest of these tests."""
    return GuestSpec(
        server=SERVER,
        name="web-1",
        vcpus=1,
        memory_mb=512,
        disk_gb=1,
        image=image,
        volumes=volumes,
        permit=permit,
        is_powered_on=is_powered_on,
    )


class Cloud(Protocol):
    """Hosts with a driver each, and what they share."""

    @property
    def images(self) -> ImageFiles:
        """Where all hosts read images."""
        ...

    @property
    def volumes(self) -> VolumeFiles:
        """Where all hosts reach volumes."""
        ...

    def driver(self, host: str, *, images: ImageFiles | None = None) -> Driver:
        """Give a host's driver; asked again, the driver of the host's restarted actor."""
        ...

    def truth(self, host: str) -> tuple[GuestState, ...]:
        """Tell what is on a host, without asking its driver."""
        ...

    def kill(self, host: str) -> None:
        """Let the guest die by itself."""
        ...

    def volume_bytes(self, volume: str) -> bytes:
        """Read a volume."""
        ...

    def write_volume(self, volume: str, start: int, content: bytes) -> None:
        """Write to a volume what no guest writes there."""
        ...


def found(cloud: Cloud, host: str) -> GuestState:
    """Give the only guest on a host."""
    (state,) = cloud.truth(host)
    return state


def counter(cloud: Cloud, host: str) -> int:
    """Tell how far the guest on a host has counted."""
    witness = found(cloud, host).witness
    return witness.counter if witness else 0


async def counts(cloud: Cloud, host: str, *, by: int = 2) -> None:
    """Wait until the guest has counted on."""
    goal = counter(cloud, host) + by
    await until(lambda: counter(cloud, host) >= goal)


class MemoryCloud:
    """Hosts in memory.  A restarted actor finds the same hypervisor."""

    def __init__(self, clock: Clock) -> None:
        self.images = MemoryImages()
        self.volumes = MemoryVolumes()
        self._clock = clock
        self._drivers: dict[str, MemoryDriver] = {}

    def driver(self, host: str, *, images: ImageFiles | None = None) -> Driver:
        """Give the host's only driver; with images of its own, one for a host that has none yet."""
        if host not in self._drivers or images is not None:
            self._drivers[host] = MemoryDriver(host, images or self.images, self._clock, self.volumes)
        return self._drivers[host]

    def truth(self, host: str) -> tuple[GuestState, ...]:
        """Look into the hypervisor."""
        return self._drivers[host].inspect()

    def kill(self, host: str) -> None:
        """Let the guest die."""
        self._drivers[host].kill(SERVER)

    def volume_bytes(self, volume: str) -> bytes:
        """Read the byte array."""
        content = self.volumes.content(self.volumes.path(volume))
        assert content is not None
        return bytes(content)

    def write_volume(self, volume: str, start: int, content: bytes) -> None:
        """Write to the byte array."""
        before = self.volumes.content(self.volumes.path(volume))
        assert before is not None
        before.extend(bytes(max(0, start + len(content) - len(before))))
        before[start : start + len(content)] = content


class ProcessCloud:
    """Hosts whose guests are processes.  To be closed, lest processes stay."""

    def __init__(self, directory: Path) -> None:
        self.images = FileImages(directory / "images")
        self.volumes = FileVolumes(directory / "volumes")
        self._directory = directory

    def home(self, host: str) -> Path:
        """Tell a host's directory."""
        return self._directory / "hosts" / host

    def driver(self, host: str, *, images: ImageFiles | None = None) -> ProcessDriver:
        """Make a new driver of the host's directory."""
        return ProcessDriver(host, self.home(host), images or self.images, tick_s=0.005)

    def truth(self, host: str) -> tuple[GuestState, ...]:
        """Read disks and processes."""
        return inspect(self.home(host))

    def running(self, host: str) -> Running:
        """Give what the guest's process says of itself."""
        running = Running.read(self.home(host) / SERVER)
        assert running is not None
        return running

    def kill(self, host: str) -> None:
        """Send SIGKILL."""
        os.kill(self.running(host).pid, signal.SIGKILL)

    def volume_bytes(self, volume: str) -> bytes:
        """Read the file."""
        return Path(self.volumes.path(volume)).read_bytes()

    def write_volume(self, volume: str, start: int, content: bytes) -> None:
        """Write to the file."""
        with Path(self.volumes.path(volume)).open("r+b") as file:
            file.seek(start)
            file.write(content)

    def close(self) -> None:
        """Kill every guest that is left."""
        for home in self._directory.glob(f"hosts/*/{SERVER}"):
            process = GuestProcess.find(Running.read(home))
            if process:
                with process:
                    process.send(signal.SIGKILL)


def is_off(cloud: Cloud, host: str) -> bool:
    """Tell whether the guest on a host is off."""
    return found(cloud, host).power is Power.SHUTDOWN
