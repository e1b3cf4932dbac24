"""A small cloud whose every actor is an operating-system process that walks into traps; what is done to it.

A killed process is started again soon, as by a supervisor that never gives up.  Only a conductor stays away until that
is asked for: the other one is to take over meanwhile.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from actors.cli.children import Children
from actors.cli.providing import provide
from actors.cli.sweeping import swept
from actors.client import Client
from actors.deployment import Deployment, Duty
from actors.kernel.leases import slot_of
from actors.kernel.post import Stamp
from actors.observing import Observed, collect
from actors.ops.events import MemoryEvents
from actors.ops.sections import CellSettings, HostSettings, ImageSettings, MovesSettings
from actors.ops.settings import Cloud
from actors.ops.system import SystemIds
from actors.process import SLOT, Parts, open_parts, user
from actors.store.journal import SqlJournals
from actors.store.truth import all_rows
from protocol.cell_path import Address, CellPath
from protocol.envelope import Context, Key
from protocol.errors import CellferryError, NotFound, StoreUnavailable
from protocol.ids import derived_id
from protocol.invariants import violations
from protocol.journal import Kind
from protocol.messages.partners import RegisterVolume
from protocol.records import HOST_RECORDS, Flavor
from tests.chaos.traps import Traps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from anyio.abc import TaskStatus

    from actors.kernel.ports import Events
    from actors.kernel.post import Post
    from protocol.journal import Journal
    from protocol.messages.orders import Order
    from protocol.records import Record
    from protocol.truth import Truth, Violation, Witnessed

ROOT: Final = "api"
SOURCE_CELL: Final = "api!eu"
TARGET_CELL: Final = "api!us"
SOURCE: Final = "h1"
TARGET: Final = "h2"
TINY: Final = Flavor(name="tiny", vcpus=1, memory_mb=512, disk_gb=1)
SMALL: Final = Flavor(name="small", vcpus=1, memory_mb=1024, disk_gb=2)
IMAGE: Final = "cirros"
IMAGE_BYTES: Final = 600_000  # So much that a disk is written, and read, in several chunks.
VICTIM: Final = ("-m", "tests.chaos.victim")
RESTART_S: Final = 0.2
POLL_S: Final = 0.03
ASK_S: Final = 2.0
HOSTS_S_MAX: Final = 60.0
#: How long an order may take in all: a killed host's caller asks again after 30 s, and is killed once.
ORDER_S_MAX: Final = 150.0
REST_S_MAX: Final = 30.0


class Stuck(Exception):
    """Something that was to happen has not."""


def cloud(conductors: int) -> Cloud:
    """Describe three cells and two hosts with room for every server of a run."""
    roomy = {"vcpus": 4096, "memory_mb": 4 << 20, "disk_gb": 1 << 14}
    return Cloud(
        driver="process",
        conductors=conductors,
        moves=MovesSettings(cross_cell="everyone", own_cell_weight=-1),
        cells=tuple(CellSettings(path=CellPath.parse(path)) for path in (ROOT, SOURCE_CELL, TARGET_CELL)),
        hosts=(
            HostSettings(name=SOURCE, cell=CellPath.parse(SOURCE_CELL), **roomy),
            HostSettings(name=TARGET, cell=CellPath.parse(TARGET_CELL), **roomy),
        ),
        flavors=(TINY, SMALL),
        images=(ImageSettings(name=IMAGE, size_bytes=IMAGE_BYTES),),
        volumes=(),
    )


def deployment_of(url: str, directory: Path, *, conductors: int) -> Deployment:
    """Describe a deployment of that cloud, with names of its own."""
    prefix = f"cellferry-chaos-{SystemIds().new()[-5:].hex()}"
    return Deployment(cloud=cloud(conductors), wire=url, directory=directory, prefix=prefix)


class Keeper:
    """Starts again what died."""

    def __init__(self) -> None:
        self.deaths = 0
        self._down: set[str] = set()
        self._back = anyio.Event()

    @property
    def is_whole(self) -> bool:
        """Whether every process is up."""
        return not self._down

    def hold(self) -> None:
        """From now on, keep a dead conductor away."""
        self._back = anyio.Event()

    def bring_back(self) -> None:
        """Let it come again."""
        self._back.set()

    async def keep(
        self, name: str, child: Callable[..., Coroutine[Any, Any, None]], events: Events, *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:  # fmt: skip
        """Run a child for ever."""
        is_told = False
        while True:
            try:
                async with anyio.create_task_group() as tasks:
                    await tasks.start(child)
                    self._down.discard(name)
                    if not is_told:
                        is_told = True
                        task_status.started()
            except Exception as error:  # Supervision: any failure is an event like others.
                if not is_told:
                    raise
                self._down.add(name)
                self.deaths += 1
                events.emit("killed", child=name, error=repr(error))
            if Duty.CONDUCTOR in name:
                await self._back.wait()
            await anyio.sleep(RESTART_S)


@attrs.frozen(kw_only=True)
class Fleet:
    """A deployment that is up."""

    deployment: Deployment
    observed: Observed
    parts: Parts
    post: Post
    client: Client
    traps: Traps
    keeper: Keeper
    poll_s: float = POLL_S  # How often it is looked whether an order is carried out.
    _journals: SqlJournals = attrs.field(factory=SqlJournals, init=False)
    _sequence: list[int] = attrs.field(factory=lambda: [0], init=False)
    _incarnation: str = attrs.field(factory=lambda: SystemIds().new().hex(), init=False)

    def new_server(self) -> str:
        """Make the id of a server."""
        return derived_id(SystemIds().new().hex())

    async def add_volume(self, volume: str) -> None:
        """Make a blank volume."""
        await self.client.call(
            Address(self.observed.root, "volume"), RegisterVolume(volume=volume, name=volume, size_gb=1)
        )

    async def whole(self) -> None:
        """Wait until every process is up."""
        with anyio.move_on_after(HOSTS_S_MAX):
            while not self.keeper.is_whole:  # noqa: ASYNC110 - processes tell no event of ours
                await anyio.sleep(POLL_S)
            return
        raise Stuck("not every process came up again")

    async def journal(self, conversation: str) -> Journal | None:
        """Read a journal where it is stored: no conductor is asked.  None: it is not there, or cannot be read now."""
        try:
            return await self.observed.conductor.transact(self._journals.read, conversation)
        except (NotFound, StoreUnavailable):
            return None

    async def carry_out(
        self, order: Order, meanwhile: Callable[[str], Coroutine[Any, Any, None]] | None = None, *,
        limit_s: float = ORDER_S_MAX,
    ) -> Journal:  # fmt: skip
        """Place an order, by asking again and again under one key, and wait until its conversation is over."""
        self._sequence[0] += 1
        key = Key.plain(self._incarnation, self._sequence[0])
        conversation = derived_id(str(key))
        stamp = Stamp(server=order.server, key=key, context=Context(request_id=order.origin.request_id))
        with anyio.move_on_after(limit_s):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._insist, order, stamp)
                if meanwhile is not None:
                    tasks.start_soon(meanwhile, conversation)
                journal = await self._over(conversation)
                tasks.cancel_scope.cancel()
            return journal
        raise Stuck(f"{type(order).__name__} is not over after {limit_s:g} s; {await self._reason(conversation)}")

    async def _insist(self, order: Order, stamp: Stamp) -> None:
        while True:
            try:
                await self.post.call(Address(self.observed.root, "conductor"), order, stamp=stamp, budget_s=ASK_S)
            except CellferryError as error:
                if not error.is_retryable:
                    return  # The journal tells.
            else:
                return
            await anyio.sleep(self.poll_s)

    async def _over(self, conversation: str) -> Journal:
        while True:
            journal = await self.journal(conversation)
            if journal is not None and journal.entries[-1].kind is Kind.RELEASED:
                return journal
            await anyio.sleep(self.poll_s)

    async def _reason(self, conversation: str) -> str:
        journal = await self.journal(conversation)
        if journal is None:
            return "it was never begun"
        _, waits_for = await self.observed.conductor.transact(self._journals.standing, conversation)
        last = journal.entries[-1]
        return f"its last entry is {last.kind} {last.step}, it waits for {waits_for}"

    async def is_taken(self, conversation: str, *, but: str) -> bool:
        """Tell whether another conductor than that process has a conversation."""
        slot = f"conductor:{but.partition('~')[2] or SLOT}"
        for holder in await self.observed.conductor.transact(self._journals.holders):
            if slot_of(holder.owner) != slot:
                theirs = await self.observed.conductor.transact(self._journals.held_by, holder.owner)
                if conversation in theirs:
                    return True
        return False

    async def at_rest(self, witnessed: tuple[Witnessed, ...]) -> tuple[Truth, tuple[Violation, ...]]:
        """Read the truth once all promises hold and nothing waits; or as it is when that takes too long."""
        broken: tuple[Violation, ...] = ()
        truth = await collect(self.observed, witnessed=witnessed)
        with anyio.move_on_after(REST_S_MAX):
            while (broken := violations(truth, is_at_rest=True)) or any(each.waiting for each in truth.memories):
                await anyio.sleep(5 * POLL_S)
                truth = await collect(self.observed, witnessed=witnessed)
        return truth, broken

    async def held(self) -> tuple[tuple[str, Record], ...]:
        """Read what hosts know of permits."""
        return tuple(
            [
                (name, row)
                for name, host in self.observed.hosts.items()
                for row in await host.store.transact(all_rows, HOST_RECORDS)
            ]
        )

    def files(self) -> tuple[str, ...]:
        """List all files of hosts, images and volumes."""
        top = self.deployment.directory
        found = (path for part in ("hosts", "images", "volumes") for path in (top / part).rglob("*"))
        return tuple(str(path.relative_to(top)) for path in found)

    def counter(self, server: str) -> int:
        """Read how far a server's guest has counted, where it is defined."""
        states = (state for host in self.observed.hosts.values() for state in host.inspect())
        found = (state.witness for state in states if state.server == server and state.is_defined)
        return max((witness.counter for witness in found if witness), default=0)

    def runs_on(self, server: str) -> set[str]:
        """Tell on which hosts a server's guest runs; one that moves while this looks is not there twice."""
        looks = [self._runs_on(host, server) for host in (SOURCE, TARGET, SOURCE)]
        return {TARGET, SOURCE} if all(looks) else {TARGET} if looks[1] else {SOURCE} if looks[2] else set()

    def _runs_on(self, host: str, server: str) -> bool:
        states = self.observed.hosts[host].inspect()
        return any(state.server == server and state.is_defined and state.power != 4 for state in states)


@asynccontextmanager
async def afloat(
    made: Deployment, *, warn: Callable[[str], None], program: tuple[str, ...] = VICTIM, poll_s: float = POLL_S
) -> AsyncGenerator[Fleet]:
    """Bring a deployment up, each actor a process of `program`, and leave nothing of it behind."""
    async with swept(made, is_kept=False, warn=warn) as sweep, open_parts(made, MemoryEvents()) as parts:
        sweep.has_wire = True
        keeper = Keeper()
        async with anyio.create_task_group() as tasks:
            children = Children(made, made.tasks(), program=program, keep=keeper.keep)
            await children.start(tasks, parts.ports.events)
            async with user(parts) as post:
                client = Client(post, incarnation=parts.ports.ids.new().hex())
                await client.settle_hosts(len(made.cloud.hosts))
                await provide(client, made.cloud, parts.site.images)
                yield Fleet(
                    deployment=made, observed=await parts.observed(), parts=parts, post=post, client=client,
                    traps=Traps(made.directory), keeper=keeper, poll_s=poll_s,
                )  # fmt: skip
            tasks.cancel_scope.cancel()
