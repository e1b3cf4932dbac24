"""A whole deployment in one process: the production actors over simulated brokers, disks, hypervisors and partners."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from actors import assembly
from actors.assembly import Member, Ports
from actors.cell.gate import UNGUARDED, Guard
from actors.client import Client
from actors.compute.drivers.disk import BLANK, WITNESS_BYTES, DiskWitness, read_page, write_page
from actors.compute.drivers.memory import MemoryDriver
from actors.observing import PARTNERS, Observed, ObservedHost, collect
from actors.partners.memory import MemoryImages, MemoryVolumes
from actors.store.tables import CELL_TABLES, CONDUCTOR_TABLES, HOST_TABLES, ROOT_TABLES, partner_tables
from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.messages.groups import CreateGroup
from protocol.messages.orders import FenceHost, UnfenceHost
from protocol.messages.partners import RegisterImage, RegisterVolume
from protocol.truth import CallTruth, Truth, VolumeTruth, Witnessed
from sim.brokers.broker import Brokers
from sim.brokers.rights import link_of
from sim.cases.layout import REPLICA, Layout
from sim.chance import Chance
from sim.edges.disk import Disk
from sim.edges.hypervisor import SimDriver
from sim.edges.partners import SimImages, SimVolumes
from sim.edges.wallclocks import NS_PER_S, Clocks, LoopTime
from sim.edges.watching import WatchedEvents, WatchedInbox, WatchedJournals
from sim.history import GuestOff, History, Noted
from sim.injector import Injector
from sim.machines import Machines
from sim.ports import SeededRandom, SerialIds
from sim.process import Process
from sim.users import Conversations, Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from actors.kernel.ports import Inbox, Store, Wire
    from protocol.records import HostFence, ServerGroup
    from sim.faults import Plan
    from sim.history import Line

__all__ = ["Layout", "World"]

IMAGE_CHUNK: Final = b"cellferry image "
CLIENT: Final = "client"
OPERATOR: Final = "operator"
#: How often a cell's replica looks for news that another one has left.
LOOK_S: Final = 10.0
#: How long a process is down that its disk took along.
DOWN_S: Final = 1.0


class World:
    """Everything there is, and a client to make it move.

    `pace` scales how long hypervisors and partners take: 0 is at once, 1 as long as real ones.  `wires` given, to each
    process by its name, take the place of the simulated brokers, and an `inbox` that of all actors' own; a `guard` says
    what links ask of others.
    """

    def __init__(
        self, layout: Layout | None = None, *, seed: int = 0, plan: Plan = (), pace: float = 0.0,
        inbox: Inbox | None = None, wires: Callable[[str], Wire] | None = None, guard: Guard = UNGUARDED,
    ) -> None:  # fmt: skip
        self.layout = layout or Layout()
        self.time = LoopTime()
        self.history = History(self.time.now_ns, steps=self.time.steps)
        self.chance = Chance(seed)
        self.injector = Injector(plan, chance=self.chance, history=self.history)
        self.brokers = Brokers(
            history=self.history, injector=self.injector, chance=self.chance, has_rights=guard is not UNGUARDED
        )
        self.clocks = Clocks(self.time, self.injector)
        self.clock = self.clocks.of(f"{self.layout.root}/{CLIENT}")
        self.machines = Machines(
            history=self.history, time=self.time, member_of=self._member_of, events_of=self._events
        )
        self.machines.when_thawed.append(self.brokers.wake)
        self.counts: Counter[str] = Counter()  # Of what actors noted, by event.
        self.history.listen(self._count, Noted)
        self._inbox, self._wires, self._pace = inbox, wires, pace
        # Only simulated brokers say who has sent something.
        self._guard = guard if wires is not None else attrs.evolve(guard, users=link_of)
        self._look_s = LOOK_S if self.layout.cell_replicas > 1 else math.inf
        self._ids = SerialIds()
        self._ports: dict[str, Ports] = {}
        self._make_outside()
        self._make_disks()
        self._post = self._ports_of(Process(f"{self.layout.root}/{CLIENT}")).post(self.layout.root, CLIENT)
        self.client = Client(self._post, incarnation=CLIENT)
        self.conversations = Conversations(self.history)
        self.users = Users(self.client, history=self.history, conversations=self.conversations)

    def _make_outside(self) -> None:
        self.images = MemoryImages()
        self.volumes = MemoryVolumes()
        self._image_store = SimImages(
            self.images, history=self.history, injector=self.injector, chance=self.chance, scale=self._pace
        )
        self._volume_store = SimVolumes(
            self.volumes, history=self.history, injector=self.injector, chance=self.chance, scale=self._pace
        )
        clock_of = self.clocks.of
        self.drivers = {
            name: MemoryDriver(name, self.images, clock_of(self.host_process(name)), self.volumes)
            for name in self.layout.hosts
        }
        self._hypervisors: dict[str, SimDriver] = {}

    def _make_disks(self) -> None:
        root = self.layout.root
        tables = {f"{cell}/cell": ROOT_TABLES if cell == root else CELL_TABLES for cell in self.layout.cells}
        tables |= {f"{root}/{name}": partner_tables(*records) for name, records in PARTNERS.items()}
        tables |= {self.host_process(name): HOST_TABLES for name in self.layout.hosts}
        tables[f"{root}/conductor"] = CONDUCTOR_TABLES
        self.disks = {
            name: Disk(metadata, name=name, history=self.history, injector=self.injector, chance=self.chance)
            for name, metadata in tables.items()
        }
        for disk in self.disks.values():
            disk.on_kill = self._kill

    def _kill(self, process: Process) -> None:
        self.machines.kill(process.name, down_s=DOWN_S)

    # --- processes ---------------------------------------------------------------------------------------------

    def host_process(self, name: str) -> str:
        """Name the process of a host's actor."""
        return str(Address(self.layout.hosts[name], host_mailbox(name)))

    def processes(self) -> tuple[str, ...]:
        """Name all processes, in the order in which they are started."""
        root = self.layout.root
        return (
            *self.layout.replicas("cell"),
            *self.layout.replicas("link"),
            *(f"{root}/{name}" for name in PARTNERS),
            *(self.host_process(name) for name in self.layout.hosts),
            *(f"{root}/{name}" for name in self.layout.conductor_names),
        )

    def _events(self, name: str) -> WatchedEvents:
        return WatchedEvents(self.history, name)

    def _ports_of(self, process: Process) -> Ports:
        name = process.name
        slot = name.partition(REPLICA)[2] or "0"
        ports = Ports(
            wire=self._wires(name) if self._wires else self.brokers.connect(process),
            clock=self.clocks.of(name),
            ids=self._ids,
            random=SeededRandom(f"{self.chance.seed}/{process.owner}"),
            events=self._events(name),
            inbox=self._inbox or WatchedInbox(self.history, name),
            journals=WatchedJournals(self.history, name),
            slot=slot,
        )
        self._ports[name] = ports
        return ports

    def _member_of(self, process: Process) -> Member:
        ports, root = self._ports_of(process), self.layout.root
        address = Address.parse(process.name.partition(REPLICA)[0])
        here, role = address.cell, address.mailbox
        if role == "link":
            children, look_s = self.layout.children(here), self.layout.look_s
            return assembly.router(ports, here, children, look_s=look_s, guard=self._guard)
        store = self.disks[str(address)].mount(process)
        make: dict[str, Callable[[], Member]] = {
            "cell": lambda: assembly.cell(
                ports,
                here,
                store,
                look_s=self._look_s,
                rules=self.layout.rules.get(here),
                healing=self.layout.healing,
                audit_s=self.layout.audit_s,
            ),
            "conductor": lambda: assembly.conductor(
                ports, root, store, waits=self.layout.waits, crossing=self.layout.crossing
            ),
            "image": lambda: assembly.image(ports, root, store, self._image_store.for_process(process)),
            "volume": lambda: assembly.volume(ports, root, store, self._volume_store.for_process(process)),
            "network": lambda: assembly.network(ports, root, store),
        }
        return make[role]() if role in make else self._host(role, ports, store, process)

    def _host(self, mailbox: str, ports: Ports, store: Store, process: Process) -> Member:
        name = mailbox.removeprefix(host_mailbox(""))
        return assembly.host(
            ports, self.layout.hosts[name], self.layout.host_record(name), store=store,
            driver=self._hypervisor(name).for_process(process), images=self._image_store.for_process(process),
            volumes=self._volume_store.for_process(process), report_s=self.layout.report_s,
            usage_s=self.layout.usage_s,
        )  # fmt: skip

    def _hypervisor(self, name: str) -> SimDriver:
        if name not in self._hypervisors:
            self._hypervisors[name] = SimDriver(
                self.drivers[name], self.host_process(name), history=self.history, injector=self.injector,
                chance=self.chance, scale=self._pace,
            )  # fmt: skip
        return self._hypervisors[name]

    def host(self, name: str) -> Member:
        """Make one host's actor, to be run by somebody else."""
        return self._member_of(Process(self.host_process(name)))

    @property
    def ports(self) -> Ports:
        """What an actor of somebody else's may be given."""
        return self._ports[f"{self.layout.root}/{CLIENT}"]

    @asynccontextmanager
    async def running(self, *, but: tuple[str, ...] = ()) -> AsyncIterator[World]:
        """Run all processes while the context is open, `but` those that somebody else runs."""
        self.time.bind()
        self.time.loop.set_exception_handler(_stop)
        async with anyio.create_task_group() as tasks, self._post.open():
            self.machines.open(tasks)
            for name in self.processes():
                if name not in but:
                    await self.machines.start(name)
            await self.client.settle_hosts(len(self.layout.hosts))
            yield self
            tasks.cancel_scope.cancel()

    # --- what it is furnished with -----------------------------------------------------------------------------

    async def add_image(self, name: str, *, size_bytes: int = 4096) -> None:
        """Put an image into the image store and register it."""
        content = (IMAGE_CHUNK * (size_bytes // len(IMAGE_CHUNK) + 1))[:size_bytes]
        await self.images.write(name, _once(content))
        request = RegisterImage(image=name, name=name, size_bytes=size_bytes, sha256=sha256(content).hexdigest())
        await self.client.call(Address(self.layout.root, "image"), request)

    async def add_volume(self, name: str, *, size_gb: int = 1) -> None:
        """Make and register a volume, on which is nothing but its name."""
        request = RegisterVolume(volume=name, name=name, size_gb=size_gb)
        await self.client.call(Address(self.layout.root, "volume"), request)
        content = self.volumes.content(self.volumes.path(name))
        assert content is not None
        write_page(content, BLANK.after(DiskWitness(image=name)))

    async def add_group(self, group: ServerGroup) -> None:
        """Make a group of servers."""
        await self.client.call(Address(self.layout.root, "cell"), CreateGroup(group=group))

    async def quiet(self, *, for_s: float = 60.0) -> None:
        """Let virtual time pass, so that whatever is under way comes to its end."""
        await anyio.sleep(for_s)

    def kill_guests(self, host: str, server: str = "") -> list[str]:
        """Let the guests that run on a host die by themselves; all, or that of one server."""
        driver = self.drivers[host]
        running = [guest.server for guest in driver.inspect() if guest.power.is_on]
        died = [name for name in running if server in {"", name}]
        for name in died:
            driver.kill(name)
            self.history.record(GuestOff(process=self.host_process(host), host=host, server=name))
        return died

    def lose_power(self, host: str) -> list[str]:
        """Switch the machine of a host off: its guests stop, and what its hypervisor was doing is lost."""
        self._hypervisor(host).lose_power()
        return self.kill_guests(host)

    async def fence(self, host: str) -> HostFence:
        """Have an operator fence a host."""
        return await self.client.call(Address(self.layout.root, "conductor"), FenceHost(host=host, user=OPERATOR))

    async def unfence(self, host: str) -> HostFence:
        """Have an operator lift a host's fence."""
        return await self.client.call(Address(self.layout.root, "conductor"), UnfenceHost(host=host, user=OPERATOR))

    # --- the truth ---------------------------------------------------------------------------------------------

    async def truth(self, *, witnessed: tuple[Witnessed, ...] = ()) -> Truth:
        """Read the truth, never through an actor."""
        return self.peek(witnessed=witnessed)

    def peek(self, *, witnessed: tuple[Witnessed, ...] = ()) -> Truth:
        """Read the truth here and now, without a step of the loop."""
        return _at_once(collect(self.observed(), witnessed=witnessed))

    @property
    def cells(self) -> dict[CellPath, Store]:
        """The cells' databases, to be read."""
        return {cell: self.disks[f"{cell}/cell"].peeking for cell in self.layout.cells}

    @property
    def partners(self) -> dict[str, Store]:
        """The databases of image, volume and network, to be read."""
        return {name: self.disks[f"{self.layout.root}/{name}"].peeking for name in PARTNERS}

    @property
    def conductor(self) -> Store:
        """The conductor's database, to be read."""
        return self.disks[f"{self.layout.root}/conductor"].peeking

    @property
    def host_stores(self) -> dict[str, Store]:
        """The hosts' databases, to be read."""
        return {name: self.disks[self.host_process(name)].peeking for name in self.layout.hosts}

    def observed(self) -> Observed:
        """Say where the truth is."""
        stores = self.host_stores
        return Observed(
            root=self.layout.root,
            cells=self.cells,
            partners=self.partners,
            conductor=self.conductor,
            hosts={
                name: ObservedHost(cell=cell, store=stores[name], inspect=self.drivers[name].inspect)
                for name, cell in self.layout.hosts.items()
            },
            images=self._image_store.peeking,
            read_volume=self._read_volume,
            calls=self._calls,
        )

    def _calls(self) -> tuple[CallTruth, ...]:
        """Tell of the calls of those who can keep a deadline: whoever stands still can not."""
        now_s = self.time.now_ns() / NS_PER_S
        steady = (ports for name, ports in self._ports.items() if self.machines.is_steady(name))
        return tuple(call for ports in steady for call in ports.calls(now_s))

    def _read_volume(self, volume: str) -> VolumeTruth:
        content = self.volumes.content(self.volumes.path(volume))
        page = read_page(content[:WITNESS_BYTES]) if content else None
        return VolumeTruth(
            volume=volume,
            writer=page.witness.writer or None if page else None,
            counter=page.witness.counter if page else 0,
            origin=page.witness.image if page else "",
        )

    def _count(self, line: Line) -> None:
        if isinstance(line.what, Noted):
            self.counts[line.what.event] += 1

    def close(self) -> None:
        """Let go of all stores."""
        self.brokers.close()
        for disk in self.disks.values():
            disk.close()


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _stop(_loop: object, context: dict[str, Any]) -> None:
    """End the run: what goes wrong in a callback is a mistake of the simulator's, or of a checker's."""
    raise context.get("exception") or RuntimeError(str(context.get("message")))


def _at_once(reading: Coroutine[None, None, Truth]) -> Truth:
    """Run a coroutine that never waits."""
    try:
        reading.send(None)
    except StopIteration as done:
        truth: Truth = done.value
        return truth
    raise AssertionError("reading the truth never waits")
