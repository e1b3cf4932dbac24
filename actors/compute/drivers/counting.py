"""How guests in memory count in virtual time, on the bytes of their disks and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actors.compute.drivers.base import ConsolePort, Power, Traffic
from actors.compute.drivers.disk import BLANK, read_page, write_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.compute.drivers.base import GuestSpec
    from actors.compute.drivers.disk import DiskWitness, GuestMemory
    from actors.compute.drivers.domain import NetworkInfo
    from actors.kernel.ports import Clock
    from actors.partners.memory import MemoryVolumes


#: Consoles of a model.
CONSOLE_KIND: Final = "tcp"
ADDRESS: Final = "127.0.0.1"
FIRST_PORT: Final = 20_000
PORTS: Final = 40_000
TICK_BYTES_IN: Final = 10
TICK_BYTES_OUT: Final = 30


@attrs.define(kw_only=True)
class Guest:
    """A guest, or the disk that is left of one."""

    spec: GuestSpec | None = None
    disk: bytearray | None = None
    prepared: bytearray | None = None
    former: bytearray | None = None
    power: Power = Power.SHUTDOWN
    counted_to_us: int = 0
    counted_at_boot: int = 0  # How far it had counted when it was last started.
    networks: tuple[NetworkInfo, ...] = ()
    memory: GuestMemory | None = None  # Of one that was saved.


class Counting:
    """What the guests of one host do by themselves."""

    def __init__(self, host: str, clock: Clock, volumes: MemoryVolumes, *, tick_us: int) -> None:
        self._host = host
        self._clock = clock
        self._volumes = volumes
        self._tick_us = tick_us

    def boot(self, guest: Guest) -> None:
        """Note one more start, and begin to count."""
        root, spec = self.root(guest), guest.spec
        assert root is not None
        assert spec is not None
        page = read_page(root) or BLANK
        write_page(root, page.after(page.witness.booted(host=self._host, permit=spec.permit)))
        guest.power, guest.counted_to_us, guest.memory = Power.RUNNING, self._clock.now_us(), None
        guest.counted_at_boot = page.witness.counter
        self.write_volumes(guest)

    def hold(self, server: str, guest: Guest, power: Power) -> None:
        """Stop counting where it is."""
        self.count(server, guest)
        guest.power = power

    def witness(self, guest: Guest) -> DiskWitness:
        """Give what the disk says that the guest boots from."""
        root = self.root(guest)
        assert root is not None
        return (read_page(root) or BLANK).witness

    def go_on(self, server: str, guest: Guest, memory: GuestMemory) -> None:
        """Count on from a memory, which the disk is made to agree with; that is no start."""
        root = self.root(guest)
        assert root is not None
        page = read_page(root) or BLANK
        write_page(root, page.after(memory.onto(page.witness, writer=server)))
        guest.power, guest.counted_to_us, guest.memory = Power.RUNNING, self._clock.now_us(), None
        guest.counted_at_boot = memory.counter
        self.write_volumes(guest)

    def resume(self, guest: Guest) -> None:
        """Count on, if it was held."""
        if guest.power in {Power.PAUSED, Power.SUSPENDED}:
            guest.power, guest.counted_to_us = Power.RUNNING, self._clock.now_us()

    def count(self, server: str, guest: Guest) -> None:
        """Write the ticks since the last time this was asked: nobody can tell that it was not done at each."""
        root, now_us = self.root(guest), self._clock.now_us()
        if guest.power is not Power.RUNNING or root is None:
            return
        ticks = max(0, now_us - guest.counted_to_us) // self._tick_us
        # A clock that jumped back starts a new count of time; the counter itself never goes back.
        guest.counted_to_us = min(guest.counted_to_us + ticks * self._tick_us, now_us)
        if ticks:
            page = read_page(root) or BLANK
            write_page(root, page.after(page.witness.counted(page.witness.counter + ticks, writer=server)))
            self.write_volumes(guest)

    def console(self, guest: Guest) -> ConsolePort:
        """Give a guest that runs a port that no other start of it has had lately."""
        port = FIRST_PORT + self.witness(guest).boots_total % PORTS
        return ConsolePort(kind=CONSOLE_KIND, address=ADDRESS, port=port)

    def traffic(self, server: str, guest: Guest | None) -> Traffic | None:
        """Let each tick since the start be so many bytes, either way."""
        if guest is None or guest.power is Power.SHUTDOWN:
            return None
        self.count(server, guest)
        ticks = self.witness(guest).counter - guest.counted_at_boot
        return Traffic(bytes_in=ticks * TICK_BYTES_IN, bytes_out=ticks * TICK_BYTES_OUT)

    def write_volumes(self, guest: Guest) -> None:
        """Write the counter to the volumes, too."""
        root, spec = self.root(guest), guest.spec
        assert root is not None
        assert spec is not None
        counter = (read_page(root) or BLANK).witness.counter
        for content in self._data_volumes(spec):
            page = read_page(content) or BLANK
            write_page(content, page.after(page.witness.counted(counter, writer=spec.server)))

    def copy(self, original: str, copy: str) -> None:
        """Copy a volume's bytes to another."""
        content, target = self._volumes.content(original), self._volumes.content(copy)
        assert content is not None
        assert target is not None
        target[:] = content

    def _data_volumes(self, spec: GuestSpec) -> Iterator[bytearray]:
        for volume in spec.volumes:
            content = self._volumes.content(volume.path)
            if content is not None and not volume.is_root:
                yield content

    def root(self, guest: Guest) -> bytearray | None:
        """Give the bytes of the disk that the guest boots from."""
        if guest.spec is None or guest.spec.image is not None:
            return guest.disk
        paths = [volume.path for volume in guest.spec.volumes if volume.is_root]
        return self._volumes.content(paths[0]) if paths else None
