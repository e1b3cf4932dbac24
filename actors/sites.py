"""The machines of a deployment: its hypervisors, and the images and volumes that all hosts reach."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from actors.compute.drivers.base import GuestState
from actors.compute.drivers.disk import WITNESS_BYTES
from actors.compute.drivers.memory import MemoryDriver
from actors.compute.drivers.process import ProcessDriver, inspect
from actors.ops.system import SystemClock
from actors.partners.files import FileImages, FileVolumes
from actors.partners.memory import MemoryImages, MemoryVolumes


class ProcessSite:
    """Guests as processes, images and volumes as files, all below one directory."""

    def __init__(self, directory: Path) -> None:
        """Use the directory, which fills as it is used."""
        self._directory = directory
        self.images = FileImages(directory / "images")
        self.volumes = FileVolumes(directory / "volumes")

    def driver(self, host: str) -> ProcessDriver:
        """Make a driver of the host's directory; several exclude each other."""
        return ProcessDriver(host, self._guests(host), self.images)

    def inspect(self, host: str) -> tuple[GuestState, ...]:
        """Read disks and processes."""
        return inspect(self._guests(host)) if self._guests(host).exists() else ()

    def block(self, volume: str) -> bytes:
        """Read the head of the volume's file."""
        with Path(self.volumes.path(volume)).open("rb") as file:
            return file.read(WITNESS_BYTES)

    def _guests(self, host: str) -> Path:
        return self._directory / "hosts" / host / "guests"


class MemorySite:
    """Guests, images and volumes as a model in this process."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.images = MemoryImages()
        self.volumes = MemoryVolumes()
        self._drivers: dict[str, MemoryDriver] = {}

    def driver(self, host: str) -> MemoryDriver:
        """Give the host's only hypervisor."""
        if host not in self._drivers:
            self._drivers[host] = MemoryDriver(host, self.images, SystemClock(), self.volumes)
        return self._drivers[host]

    def inspect(self, host: str) -> tuple[GuestState, ...]:
        """Look into the model."""
        return self.driver(host).inspect()

    def block(self, volume: str) -> bytes:
        """Copy the head of the volume."""
        return bytes((self.volumes.content(volume) or b"")[:WITNESS_BYTES])


Site: TypeAlias = ProcessSite | MemorySite
