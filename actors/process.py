"""Settings -> ports -> assembly -> running process: a whole cloud in one process, or one role of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, TypeAlias

import anyio
import attrs
from anyio.abc import TaskGroup

from actors import assembly
from actors.accounts import CLIENT, MEMORY, Wires, open_wire
from actors.assembly import Member, Ports
from actors.cell.gate import Guard
from actors.compute.drivers.disk import read_page
from actors.deployment import DRAIN_S_MAX, Deployment, Duty, Task
from actors.kernel.metrics import BROKER_UP, Meters
from actors.kernel.ports import Events, Store, Wire
from actors.kernel.post import Pin, Post
from actors.observing import PARTNERS, Observed, ObservedHost
from actors.ops import plugins
from actors.ops.health import Health
from actors.ops.inventory import host_record, tree_rules
from actors.ops.settings import Cloud
from actors.ops.system import SystemClock, SystemIds, SystemRandom
from actors.sampling import Sampled, Sampler, broker_findings
from actors.sites import MemorySite, ProcessSite, Site
from actors.store.kinds import KINDS
from actors.store.metered import MeteredStore
from actors.store.postgresql import open_postgresql
from actors.store.revisions import prepare
from actors.store.sqlite import open_sqlite
from protocol.cell_path import CellPath
from protocol.truth import VolumeTruth

SLOT: Final = "0"
Tune: TypeAlias = Callable[[Cloud], None]
#: How often a cell's replica looks for news that another one has left.
LOOK_S: Final = 10.0


def site_of(deployment: Deployment) -> Site:
    """Make the machines that the cloud's settings ask for."""
    return MemorySite() if deployment.cloud.driver == MEMORY else ProcessSite(deployment.directory)


# --- running -----------------------------------------------------------------------------------------------


class Stores:
    """The stores of a deployment, each opened when it is first asked for."""

    def __init__(self, deployment: Deployment, stack: AsyncExitStack, meters: Meters) -> None:
        """Open nothing yet; what will be opened is closed with the stack."""
        self._deployment = deployment
        self._meters = meters
        self._stack = stack
        self._opened: dict[Task, Store] = {}

    async def of(self, task: Task) -> Store:
        """Give the store of a role, which its replicas share; raise `StoreUnavailable` when the database is away."""
        task = attrs.evolve(task, replica=0)
        if task not in self._opened:
            self._opened[task] = await self._open(task)
        return self._opened[task]

    async def _open(self, task: Task) -> Store:
        place = self._deployment.place_of(task)
        metadata = KINDS[place.kind]
        ready = prepare(metadata, store=str(place))
        if place.path is not None:
            place.path.parent.mkdir(parents=True, exist_ok=True)
            file = await self._stack.enter_async_context(open_sqlite(place.path, metadata, prepare=ready))
            return MeteredStore(file, "sqlite", self._meters)
        opening = open_postgresql(place.url, place.schema, metadata=metadata, prepare=ready)
        return MeteredStore(await self._stack.enter_async_context(opening), "postgresql", self._meters)


@attrs.frozen(kw_only=True)
class Parts:
    """What this process has of a deployment."""

    deployment: Deployment
    ports: Ports
    stores: Stores
    site: Site
    wires: Wires
    health: Health | None = None  # None: nobody asks how this process stands.

    async def members(self, task: Task) -> tuple[Member, ...]:
        """Make the actors of a role."""
        ports, site, cell = await self.ports_of(task.cell, task.mailbox), self.site, task.cell
        store = await self.stores.of(task)
        match task.duty:
            case Duty.CELL:
                cloud, slot, guard = self.deployment.cloud, str(task.replica), self._guard(cell, self.deployment.cloud)
                # Even alone: a replica may be added to those that run, and leave again.
                rules, healing = tree_rules(cloud, cell), cloud.mirror.healing
                audit_s = cloud.reports.audit_s
                actor = assembly.cell(
                    ports, cell, store, slot=slot, look_s=LOOK_S, rules=rules, healing=healing, audit_s=audit_s
                )
                children, tree = cloud.children(cell), cloud.tree
                return (actor, assembly.router(ports, cell, children, slot=slot, look_s=tree.look_s, guard=guard))
            case Duty.HOST:
                return (self._host(task, ports, store),)
            case Duty.CONDUCTOR:
                cloud, slot = self.deployment.cloud, str(task.replica)
                waits, crossing = cloud.waits, cloud.crossing
                return (assembly.conductor(ports, cell, store, slot=slot, waits=waits, crossing=crossing),)
            case Duty.IMAGE:
                return (assembly.image(ports, cell, store, site.images),)
            case Duty.VOLUME:
                return (assembly.volume(ports, cell, store, site.volumes),)
            case Duty.NETWORK:
                return (assembly.network(ports, cell, store),)

    async def ports_of(self, cell: CellPath, mailbox: str) -> Ports:
        """Give what an actor is given: it speaks as who it is."""
        if self.deployment.accounts.is_one_user:
            return self.ports
        return attrs.evolve(self.ports, wire=await self.wires.of(cell, mailbox))

    def tune(self, task: Task, members: tuple[Member, ...], cloud: Cloud) -> None:
        """Have the actors of a role take up those settings of a cloud that may change while they run."""
        match task.duty, [member.tune for member in members if member.tune is not None]:
            case Duty.CELL, [router]:
                router(guard=self._guard(task.cell, cloud))
            case Duty.CONDUCTOR, [conductor]:
                conductor(waits=cloud.waits, crossing=cloud.crossing)
            case _:
                pass

    def _guard(self, cell: CellPath, cloud: Cloud) -> Guard:
        settings = cloud.deployment
        return Guard(
            users=partial(self.deployment.accounts.senders, cell), refuses_doubles=True,
            per_s_max=settings.neighbour_per_s_max if settings else 0,
        )  # fmt: skip

    def _host(self, task: Task, ports: Ports, store: Store) -> Member:
        record = host_record(self.deployment.cloud, task.host)
        return assembly.host(
            ports, task.cell, record, store=store, driver=self.site.driver(task.host), images=self.site.images,
            volumes=self.site.volumes, report_s=self.deployment.cloud.reports.service_s,
            usage_s=self.deployment.cloud.reports.usage_s,
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
async def open_parts(
    deployment: Deployment, events: Events, *, needed: Collection[CellPath] | None = None
) -> AsyncGenerator[Parts]:
    """Open the wire, and whatever stores are asked for, until the context is left.

    Without the brokers of the `needed` cells (of all, when None) it cannot begin; the others may be away.
    """
    async with AsyncExitStack() as stack:
        wires = Wires(deployment.accounts, stack, events)
        wire = await stack.enter_async_context(open_wire(deployment.accounts, events, needed=needed))
        ports = Ports(
            wire=wire, clock=SystemClock(), ids=SystemIds(), random=SystemRandom(), events=events, slot=SLOT,
            pin=Pin(deployment.cloud.upgrade.version),
        )  # fmt: skip
        stores = Stores(deployment, stack, events.meters)
        yield Parts(deployment=deployment, ports=ports, stores=stores, site=site_of(deployment), wires=wires)


@asynccontextmanager
async def run_tasks(parts: Parts, tasks: tuple[Task, ...]) -> AsyncGenerator[Tune]:
    """Run these roles in this process while the context is open; then have them finish what they have taken.

    Gives what has them take up settings that were changed meanwhile.
    """
    scheduler = parts.deployment.cloud.scheduler
    plugins.install()
    plugins.check_names(scheduler.filters, scheduler.multipliers)
    members = {
        task: tuple(_watched(member, task, parts.health) for member in await parts.members(task)) for task in tasks
    }
    every = tuple(member for of_task in members.values() for member in of_task)

    def tune(cloud: Cloud) -> None:
        parts.ports.pin.version = cloud.upgrade.version
        for task, of_task in members.items():
            parts.tune(task, of_task, cloud)

    async with anyio.create_task_group() as group:
        if parts.health is not None and parts.deployment.cloud.http.port:  # Else nobody asks for it.
            await _sample(parts, tasks, parts.health, group)
        await assembly.start(every, group, parts.ports.events)
        yield tune
        if parts.health is not None:
            parts.health.leaving()
        with anyio.move_on_after(DRAIN_S_MAX):
            await assembly.drain(every)
        group.cancel_scope.cancel()


def _watched(member: Member, task: Task, health: Health | None) -> Member:
    if health is None:
        return member
    name = f"{member.name}~{task.replica}" if task.replica else member.name
    return attrs.evolve(member, run=health.watched(name, member.run))


async def _sample(parts: Parts, tasks: tuple[Task, ...], health: Health, group: TaskGroup) -> None:
    """Have counted what these roles keep, and looked after their brokers."""
    deployment, events = parts.deployment, parts.ports.events
    wires = {task.cell: (await parts.ports_of(task.cell, task.mailbox)).wire for task in tasks}
    sampled = [
        Sampled(
            name=str(task), role=task.duty.value, store=await parts.stores.of(task),
            is_root=task.duty is Duty.CELL and task.cell == deployment.cloud.root,
            has_journal=task.duty is Duty.CONDUCTOR,
            driver=parts.site.driver(task.host) if task.host else None,
        )
        for task in tasks if not task.replica or len(tasks) == 1
    ]  # fmt: skip
    sampler = Sampler(sampled, events=events, clock=parts.ports.clock, every_s=deployment.cloud.http.sample_s)
    events.meters.watch(BROKER_UP, partial(_brokers_up, wires))
    health.ready = [broker_findings(partial(_outages, wires)), sampler.findings]  # In place of those of a try before.
    group.start_soon(sampler.run, name="sampler")


def _brokers_up(wires: Mapping[CellPath, Wire]) -> dict[tuple[str, ...], float]:
    return {(str(cell),): float(wire.outage(cell) is None) for cell, wire in wires.items()}


def _outages(wires: Mapping[CellPath, Wire]) -> dict[str, str]:
    found = {str(cell): wire.outage(cell) for cell, wire in wires.items()}
    return {cell: outage.reason for cell, outage in found.items() if outage is not None}


@asynccontextmanager
async def user(parts: Parts) -> AsyncGenerator[Post]:
    """Give a user's way to the actors, at the root: unlike all others, and gone when he goes."""
    root, accounts = parts.deployment.cloud.root, parts.deployment.accounts
    async with AsyncExitStack() as stack:
        ports = parts.ports
        if not accounts.is_one_user:
            wires = Wires(accounts, stack, ports.events)
            ports = attrs.evolve(ports, wire=await wires.of(root, CLIENT))
        post = ports.post(root, CLIENT, slot=ports.ids.new().hex(), is_passing=True)
        yield await stack.enter_async_context(post.open())
