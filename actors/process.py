"""Settings -> ports -> assembly -> running process: a whole cloud in one process, or one role of it."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import anyio
import attrs
from cattrs.preconf.json import JsonConverter, make_converter

from actors import assembly
from actors.assembly import Member, Ports
from actors.compute.drivers.base import GuestState
from actors.compute.drivers.disk import WITNESS_BYTES, read_page
from actors.compute.drivers.memory import MemoryDriver
from actors.compute.drivers.process import ProcessDriver, inspect
from actors.kernel.ports import Events, Queue, Store, Wire
from actors.kernel.post import Post
from actors.observing import PARTNERS, Observed, ObservedHost
from actors.ops.inventory import host_record
from actors.ops.settings import BROKERS, STORES, Cloud, SettingsError, check_url
from actors.partners.files import FileImages, FileVolumes
from actors.partners.memory import MemoryImages, MemoryVolumes
from actors.store.postgresql import open_postgresql, schema_name
from actors.store.sqlite import open_sqlite
from actors.store.tables import CELL_TABLES, CONDUCTOR_TABLES, HOST_TABLES, ROOT_TABLES, partner_tables
from actors.wire.memory import MemoryWire
from actors.wire.rabbitmq import RabbitWire
from actors.wire.topology import dead_letter_queue
from protocol.cell_path import CellPath, host_mailbox
from protocol.truth import VolumeTruth

MEMORY: Final = "memory"
SQLITE: Final = "sqlite"
CLIENT: Final = "client"
SLOT: Final = "0"
ID_WORD_BITS: Final = 64
_CHANCE: Final = random.SystemRandom()


# --- the ports of a real process ---------------------------------------------------------------------------


class SystemClock:
    """The machine's wall clock."""

    def now_us(self) -> int:
        """Tell the time in microseconds since 1970."""
        return time.time_ns() // 1000


class SystemIds:
    """Ids of 16 bytes: the time, rising within this process, then chance."""

    def __init__(self) -> None:
        """Begin at the present."""
        self._last_ns = 0

    def new(self) -> bytes:
        """Make the next id."""
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return ((self._last_ns << ID_WORD_BITS) | _CHANCE.getrandbits(ID_WORD_BITS)).to_bytes(16)


class SystemRandom:
    """The operating system's chance."""

    def uniform(self) -> float:
        """Draw from 0 (included) to 1 (excluded)."""
        return _CHANCE.random()


# --- what a run is made of ---------------------------------------------------------------------------------


class Duty(StrEnum):
    """What a process may be there for."""

    CELL = "cell"  # The actor that owns the cell's database, and the cell's router.
    HOST = "host"
    CONDUCTOR = "conductor"
    IMAGE = "image"
    VOLUME = "volume"
    NETWORK = "network"


@attrs.frozen(kw_only=True)
class Task:
    """One role of one cell or host: what one operating-system process does when each has its own."""

    duty: Duty
    cell: CellPath
    host: str = ""
    replica: int = 0  # Of those that share a mailbox and a store, which.

    def __str__(self) -> str:
        """Name it as addresses do; each replica but the first with its number."""
        return f"{self.cell}/{self.mailbox}" + (f"~{self.replica}" if self.replica else "")

    @property
    def mailbox(self) -> str:
        """Name the mailbox that its actor reads."""
        return host_mailbox(self.host) if self.host else self.duty.value


@attrs.frozen(kw_only=True)
class Deployment:
    """One run of a cloud: over which wire, on which stores, in which directory, by which prefix of all names.

    A host keeps its store beside its guests, always as a file: what it may run is known on its own disk.
    """

    cloud: Cloud
    wire: str = attrs.field(default=MEMORY, repr=False)
    store: str = attrs.field(default=SQLITE, repr=False)
    directory: Path
    prefix: str

    def __attrs_post_init__(self) -> None:
        """Refuse URLs that cannot be, and what does not fit together."""
        if self.wire != MEMORY:
            check_url("wire", self.wire, BROKERS)
        if self.store != SQLITE:
            check_url("store", self.store, STORES)
        for index, cell in enumerate(self.cloud.cells):
            if cell.broker and self.wire == MEMORY:
                what = "the memory wire has no brokers; give the wire a URL too (amqp://...), or remove this one"
                raise SettingsError(where=f"cells[{index}].broker", what=what)

    def broker_of(self, cell: CellPath) -> str:
        """Give the URL of a cell's broker."""
        return self.cloud.cell(cell).broker or self.wire

    def store_of(self, cell: CellPath) -> str:
        """Give the URL of a cell's stores, or the word for files."""
        return self.cloud.cell(cell).store or self.store

    def schema(self, name: str, cell: CellPath) -> str:
        """Name the schema of an actor's tables in a PostgreSQL database; the cell's own actor has no name."""
        prefix = self.prefix.replace("-", "_")
        return schema_name(f"{prefix}_{name}" if name else prefix, cell)

    def tasks(self) -> tuple[Task, ...]:
        """List every role that there is to play, cells first: hosts announce themselves to them."""
        root = self.cloud.root
        partners = (Duty.IMAGE, Duty.VOLUME, Duty.NETWORK)
        return (
            *(Task(duty=Duty.CELL, cell=cell.path) for cell in self.cloud.cells),
            *(Task(duty=duty, cell=root) for duty in partners),
            *(Task(duty=Duty.HOST, cell=host.cell, host=host.name) for host in self.cloud.hosts),
            *(Task(duty=Duty.CONDUCTOR, cell=root, replica=replica) for replica in range(self.cloud.conductors)),
        )

    def queues(self) -> tuple[Queue, ...]:
        """List every durable queue that the actors and the wire itself declare."""
        queues = []
        for cell in self.cloud.cells:
            queues.extend([dead_letter_queue(cell.path), Queue(cell.path, "link"), _replies(cell.path, "link", SLOT)])
            neighbours = (*self.cloud.children(cell.path), *([cell.path.parent] if cell.path.parent else []))
            queues.extend(Queue(cell.path, f"from:{neighbour}") for neighbour in neighbours)
        for task in self.tasks():
            queues.extend([Queue(task.cell, task.mailbox), _replies(task.cell, task.mailbox, str(task.replica))])
        return tuple(dict.fromkeys(queues))

    def encode(self) -> bytes:
        """Write it as one line, for a process of this deployment."""
        return bytes(_CONVERTER.dumps(self).encode())

    @classmethod
    def decode(cls, line: bytes) -> Deployment:
        """Read what `encode` wrote."""
        decoded: Deployment = _CONVERTER.loads(line, cls)
        return decoded


def _make_converter() -> JsonConverter:
    converter = make_converter()
    for kind, parse in ((CellPath, CellPath.parse), (Path, Path)):
        converter.register_unstructure_hook(kind, str)
        converter.register_structure_hook(kind, lambda text, _, parse=parse: parse(text))
    return converter


_CONVERTER: Final = _make_converter()


def _replies(cell: CellPath, mailbox: str, slot: str) -> Queue:
    return Queue(cell, f"replies:{mailbox}:{slot}")


# --- hypervisors and what hosts share ----------------------------------------------------------------------


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


def site_of(deployment: Deployment) -> Site:
    """Make the machines that the cloud's settings ask for."""
    return MemorySite() if deployment.cloud.driver == MEMORY else ProcessSite(deployment.directory)


# --- running -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_wire(deployment: Deployment, events: Events) -> AsyncIterator[Wire]:
    """Open the wire; raise `TransportLost` when a broker is away."""
    if deployment.wire == MEMORY:
        yield MemoryWire()
        return
    brokers = {cell.path: deployment.broker_of(cell.path) for cell in deployment.cloud.cells}
    async with RabbitWire.connect(brokers, prefix=deployment.prefix, events=events, random=SystemRandom()) as wire:
        yield wire


class Stores:
    """The stores of a deployment, each opened when it is first asked for."""

    def __init__(self, deployment: Deployment, stack: AsyncExitStack) -> None:
        """Open nothing yet; what will be opened is closed with the stack."""
        self._deployment = deployment
        self._stack = stack
        self._opened: dict[Task, Store] = {}

    async def of(self, task: Task) -> Store:
        """Give the store of a role, which its replicas share; raise `StoreUnavailable` when the database is away."""
        task = attrs.evolve(task, replica=0)
        if task not in self._opened:
            self._opened[task] = await self._open(task)
        return self._opened[task]

    async def _open(self, task: Task) -> Store:
        deployment, duty = self._deployment, task.duty
        if duty is Duty.HOST:
            metadata = HOST_TABLES
        elif duty is Duty.CELL:
            metadata = ROOT_TABLES if task.cell == deployment.cloud.root else CELL_TABLES
        else:
            metadata = CONDUCTOR_TABLES if duty is Duty.CONDUCTOR else partner_tables(*PARTNERS[duty])
        url = deployment.store_of(task.cell)
        if url == SQLITE or duty is Duty.HOST:
            path = deployment.directory / ("hosts" if task.host else "stores") / (task.host or str(task.cell))
            path.mkdir(parents=True, exist_ok=True)
            return await self._stack.enter_async_context(open_sqlite(path / f"{duty}.sqlite", metadata))
        schema = deployment.schema("" if duty is Duty.CELL else duty, task.cell)
        return await self._stack.enter_async_context(open_postgresql(url, schema, metadata=metadata))


@attrs.frozen(kw_only=True)
class Parts:
    """What this process has of a deployment."""

    deployment: Deployment
    ports: Ports
    stores: Stores
    site: Site

    async def members(self, task: Task) -> tuple[Member, ...]:
        """Make the actors of a role."""
        ports, site, cell = self.ports, self.site, task.cell
        store = await self.stores.of(task)
        match task.duty:
            case Duty.CELL:
                children = self.deployment.cloud.children(cell)
                return (assembly.cell(ports, cell, store), assembly.router(ports, cell, children))
            case Duty.HOST:
                return (self._host(task, store),)
            case Duty.CONDUCTOR:
                moves, slot = self.deployment.cloud.moves, str(task.replica)
                after_s, crossing = moves.confirm_after_s, moves.crossing
                return (assembly.conductor(ports, cell, store, slot=slot, confirm_after_s=after_s, crossing=crossing),)
            case Duty.IMAGE:
                return (assembly.image(ports, cell, store, site.images),)
            case Duty.VOLUME:
                return (assembly.volume(ports, cell, store, site.volumes),)
            case Duty.NETWORK:
                return (assembly.network(ports, cell, store),)

    def _host(self, task: Task, store: Store) -> Member:
        record = host_record(self.deployment.cloud, task.host)
        return assembly.host(
            self.ports, task.cell, record, store=store, driver=self.site.driver(task.host), images=self.site.images,
            volumes=self.site.volumes,
        )  # fmt: skip

    async def observed(self) -> Observed:
        """Say where the truth is: in all stores and on all machines, whichever process acts on them."""
        stores = {task: await self.stores.of(task) for task in self.deployment.tasks() if not task.replica}
        of: Mapping[Duty, dict[Task, Store]]
        of = {duty: {task: store for task, store in stores.items() if task.duty is duty} for duty in Duty}
        return Observed(
            root=self.deployment.cloud.root,
            cells={task.cell: store for task, store in of[Duty.CELL].items()},
            partners={name: next(iter(of[Duty(name)].values())) for name in PARTNERS},
            conductor=next(iter(of[Duty.CONDUCTOR].values())),
            hosts={
                task.host: ObservedHost(cell=task.cell, store=store, inspect=partial(self.site.inspect, task.host))
                for task, store in of[Duty.HOST].items()
            },
            images=self.site.images,
            read_volume=self.read_volume,
            calls=self.ports.calls,
        )

    def read_volume(self, volume: str) -> VolumeTruth:
        """Tell what is written on a volume."""
        page = read_page(self.site.block(volume))
        witness = page.witness if page else None
        return VolumeTruth(
            volume=volume,
            writer=(witness.writer or None) if witness else None,
            counter=witness.counter if witness else 0,
        )


@asynccontextmanager
async def open_parts(deployment: Deployment, events: Events) -> AsyncGenerator[Parts]:
    """Open the wire, and whatever stores are asked for, until the context is left."""
    async with open_wire(deployment, events) as wire, AsyncExitStack() as stack:
        ports = Ports(
            wire=wire, clock=SystemClock(), ids=SystemIds(), random=SystemRandom(), events=events, slot=SLOT
        )  # fmt: skip
        yield Parts(deployment=deployment, ports=ports, stores=Stores(deployment, stack), site=site_of(deployment))


@asynccontextmanager
async def run_tasks(parts: Parts, tasks: tuple[Task, ...]) -> AsyncGenerator[None]:
    """Run these roles in this process while the context is open."""
    members = [member for task in tasks for member in await parts.members(task)]
    async with anyio.create_task_group() as group:
        await assembly.start(tuple(members), group, parts.ports.events)
        yield
        group.cancel_scope.cancel()


def user(parts: Parts) -> Post:
    """Make a user's way to the actors, at the root: unlike all others, and gone when he goes."""
    slot = parts.ports.ids.new().hex()
    return parts.ports.post(parts.deployment.cloud.root, CLIENT, slot=slot, is_passing=True)
