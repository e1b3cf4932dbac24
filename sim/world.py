"""A whole deployment in one process under virtual time: the production actors over memory ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final

import anyio
import attrs

from actors import assembly
from actors.assembly import Member, Ports
from actors.client import Client
from actors.compute.drivers.disk import WITNESS_BYTES, read_page
from actors.compute.drivers.memory import MemoryDriver
from actors.kernel.ports import Inbox
from actors.observing import PARTNERS, Observed, ObservedHost, collect
from actors.ops.events import MemoryEvents
from actors.partners.memory import MemoryImages, MemoryVolumes
from actors.store.inbox import SqlInbox
from actors.store.sqlite import InlineStore, open_inline
from actors.store.tables import CELL_TABLES, CONDUCTOR_TABLES, HOST_TABLES, ROOT_TABLES, partner_tables
from actors.wire.memory import MemoryWire
from protocol.cell_path import Address, CellPath
from protocol.messages.partners import RegisterImage, RegisterVolume
from protocol.records import Host
from protocol.truth import Truth, VolumeTruth, Witnessed
from sim.ports import SeededRandom, SerialIds, VirtualClock

IMAGE_CHUNK: Final = b"cellferry image "
TREE: Final = ("api", "api!eu", "api!eu!eu-1", "api!eu!eu-2", "api!us")
HOSTS: Final = {"api!eu!eu-1": ("h1", "h2"), "api!eu!eu-2": ("h3",), "api!us": ("h4",)}


@attrs.frozen(kw_only=True)
class Layout:
    """Which cells and hosts a world has."""

    cells: tuple[CellPath, ...] = attrs.field(factory=lambda: tuple(CellPath.parse(text) for text in TREE))
    hosts: dict[str, CellPath] = attrs.field(
        factory=lambda: {name: CellPath.parse(cell) for cell, names in HOSTS.items() for name in names}
    )

    @property
    def root(self) -> CellPath:
        """The cell that has no parent."""
        return next(cell for cell in self.cells if cell.parent is None)

    def children(self, cell: CellPath) -> tuple[CellPath, ...]:
        """The cells directly below one."""
        return tuple(other for other in self.cells if other.parent == cell)

    def host_record(self, name: str) -> Host:
        """What a host has to give."""
        cell = self.hosts[name]
        return Host(name=name, vcpus=16, memory_mb=16_384, disk_gb=200, availability_zone=f"az-{cell.name}")


class World:
    """Everything there is, and a client to make it move."""

    def __init__(
        self, layout: Layout | None = None, *, seed: int = 0, inbox: Inbox | None = None, wire: MemoryWire | None = None
    ) -> None:
        self.layout = layout or Layout()
        self.wire = wire or MemoryWire()
        self.clock = VirtualClock()
        self.events = MemoryEvents()
        self.ports = Ports(
            wire=self.wire,
            clock=self.clock,
            ids=SerialIds(),
            random=SeededRandom(seed),
            events=self.events,
            inbox=inbox or SqlInbox(),
        )
        self.images = MemoryImages()
        self.volumes = MemoryVolumes()
        root = self.layout.root
        self.cells = {cell: open_inline(ROOT_TABLES if cell == root else CELL_TABLES) for cell in self.layout.cells}
        self.partners = {name: open_inline(partner_tables(*records)) for name, records in PARTNERS.items()}
        self.conductor = open_inline(CONDUCTOR_TABLES)
        self.host_stores = {name: open_inline(HOST_TABLES) for name in self.layout.hosts}
        self.drivers = {name: MemoryDriver(name, self.images, self.clock, self.volumes) for name in self.layout.hosts}
        post = self.ports.post(root, "client")
        self._post = post
        self.client = Client(post, incarnation="client")

    @asynccontextmanager
    async def running(self, *, but: tuple[str, ...] = ()) -> AsyncIterator["World"]:
        """Run all actors while the context is open, `but` those that somebody else runs."""
        async with anyio.create_task_group() as tasks, self._post.open():
            members = tuple(member for member in self.members() if member.name not in but)
            await assembly.start(members, tasks, self.events)
            await self.client.settle_hosts(len(self.layout.hosts))
            yield self
            tasks.cancel_scope.cancel()

    def members(self) -> tuple[Member, ...]:
        """Make every actor there is."""
        ports, root = self.ports, self.layout.root
        return (
            *(assembly.cell(ports, cell, store) for cell, store in self.cells.items()),
            *(assembly.router(ports, cell, self.layout.children(cell)) for cell in self.layout.cells),
            assembly.image(ports, root, self.partners["image"], self.images),
            assembly.volume(ports, root, self.partners["volume"], self.volumes),
            assembly.network(ports, root, self.partners["network"]),
            *(self.host(name) for name in self.layout.hosts),
            assembly.conductor(ports, root, self.conductor),
        )

    def host(self, name: str) -> Member:
        """Make one host's actor."""
        return assembly.host(
            self.ports,
            self.layout.hosts[name],
            self.layout.host_record(name),
            store=self.host_stores[name],
            driver=self.drivers[name],
            images=self.images,
            volumes=self.volumes,
        )

    async def add_image(self, name: str, *, size_bytes: int = 4096) -> None:
        """Put an image into the image store and register it."""
        content = (IMAGE_CHUNK * (size_bytes // len(IMAGE_CHUNK) + 1))[:size_bytes]
        await self.images.write(name, _once(content))
        request = RegisterImage(image=name, name=name, size_bytes=size_bytes, sha256=sha256(content).hexdigest())
        await self.client.call(Address(self.layout.root, "image"), request)

    async def add_volume(self, name: str, *, size_gb: int = 1) -> None:
        """Make and register a blank volume."""
        request = RegisterVolume(volume=name, name=name, size_gb=size_gb)
        await self.client.call(Address(self.layout.root, "volume"), request)

    async def quiet(self, *, for_s: float = 60.0) -> None:
        """Let virtual time pass, so that whatever is under way comes to its end."""
        await anyio.sleep(for_s)

    async def truth(self, *, witnessed: tuple[Witnessed, ...] = ()) -> Truth:
        """Read the truth, never through an actor."""
        return await collect(self.observed(), witnessed=witnessed)

    def observed(self) -> Observed:
        """Say where the truth is."""
        return Observed(
            root=self.layout.root,
            cells=self.cells,
            partners=self.partners,
            conductor=self.conductor,
            hosts={
                name: ObservedHost(cell=cell, store=self.host_stores[name], inspect=self.drivers[name].inspect)
                for name, cell in self.layout.hosts.items()
            },
            images=self.images,
            read_volume=self._read_volume,
            calls=self.ports.calls,
        )

    def _read_volume(self, volume: str) -> VolumeTruth:
        content = self.volumes.content(self.volumes.path(volume))
        page = read_page(content[:WITNESS_BYTES]) if content else None
        return VolumeTruth(
            volume=volume,
            writer=page.witness.writer or None if page else None,
            counter=page.witness.counter if page else 0,
        )

    def close(self) -> None:
        """Let go of all stores."""
        stores: list[InlineStore] = [
            *self.cells.values(), *self.partners.values(), self.conductor, *self.host_stores.values()
        ]  # fmt: skip
        for store in stores:
            store.close()


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
