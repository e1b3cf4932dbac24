"""Servers that are moved between cells all the time, while disasters befall what the deployment stands on.

After each disaster is healed nobody begins anything new: all that was begun must end, one way or the other, within a
minute; then all promises must hold, and every actor must be there.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import attrs
from anyio.to_thread import run_sync

from actors.deployment import Deployment
from actors.kernel.ports import Queue
from actors.ops.links import LinkSettings
from protocol.cell_path import CellPath
from protocol.errors import StoreUnavailable
from protocol.journal import ending_of
from protocol.messages.orders import CreateServer, MoveServer, SettleMove
from protocol.messages.servers import Origin
from protocol.states import Goal
from protocol.truth import Witnessed
from tests.chaos.disasters import Disaster, Scene
from tests.chaos.fleet import IMAGE, ROOT, SOURCE, SOURCE_CELL, TARGET, TARGET_CELL, TINY, afloat, cloud
from tests.chaos.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from protocol.messages.orders import Order
    from protocol.truth import Violation
    from tests.chaos.fleet import Fleet
    from tests.own_services import OwnPostgreSQL, OwnRabbitMQ

DISPLACED: Final = ("-m", "tests.chaos.displaced")
#: Within which all that was begun must have ended, once everything is healed.
TERMINAL_S_MAX: Final = 60.0
#: How long the first orders may take.
BEGIN_S_MAX: Final = 300.0
POLL_S: Final = 0.5
#: How long moves go on undisturbed before a disaster.
CALM_S: Final = 5.0


@attrs.frozen(kw_only=True)
class Result:
    """What came of a disaster."""

    disaster: str
    ended: dict[str, int]  # Conversations that ended in it, by how.
    in_flight: int  # When it struck.
    during: int  # So many ended while it was on.
    lasted_s: float
    terminal_s: float  # From its end until the last conversation was over.
    deaths: int  # Of the deployment's own processes.
    problems: tuple[str, ...]


class User:
    """Moves one server there and back, and confirms or reverts each move."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.server = fleet.new_server()
        self.in_flight = ""  # The conversation that is under way.
        self.ended: Counter[str] = Counter()
        self.witnessed: list[Witnessed] = []
        self._fleet = fleet
        self._number = number
        self._count = 0
        self._origin = Origin(request_id=f"req-{self.server}", user="u", project="p")

    async def create(self) -> None:
        """Have the server made, and its guest counting."""
        where = (SOURCE, TARGET)[self._number % 2]
        await self._carry_out(
            CreateServer(
                server=self.server, name=f"web-{self._number}", flavor=TINY, image=IMAGE, volumes=(), host=where,
                origin=self._origin,
            )
        )  # fmt: skip

    async def move(self, stop: anyio.Event) -> None:
        """Move it until told to stop; what was begun is brought to its end."""
        while not stop.is_set():
            counter = self._fleet.counter(self.server)
            self.witnessed.append(Witnessed(server=self.server, volume=None, counter=counter))
            move = MoveServer(server=self.server, flavor=None, host=None, origin=self._origin)
            if not await self._carry_out(move):
                continue
            goal = (Goal.CONFIRM, Goal.REVERT)[self._count % 4 // 2]
            settle = SettleMove(server=self.server, goal=goal, origin=self._origin)
            while not await self._carry_out(settle):
                pass

    async def _carry_out(self, order: Order) -> bool:
        """Have an order carried out, however long that takes; tell whether it ended well."""
        self._count += 1
        journal = await self._fleet.carry_out(order, self._note, limit_s=math.inf)
        ending = ending_of(journal)
        self.in_flight = ""
        how = "none" if ending is None else "done" if ending.is_success else "undone"
        self.ended[f"{journal.goal.value} {how}"] += 1
        return how == "done"

    async def _note(self, conversation: str) -> None:
        self.in_flight = conversation


class Weather:
    """A deployment with users, and disasters one after the other."""

    def __init__(self, fleet: Fleet, scene: Scene, *, servers: int) -> None:
        self._fleet = fleet
        self._scene = scene
        self._users = [User(fleet, number) for number in range(servers)]

    async def begin(self) -> None:
        """Make all servers."""
        with anyio.fail_after(BEGIN_S_MAX):
            async with anyio.create_task_group() as tasks:
                for user in self._users:
                    tasks.start_soon(user.create)

    async def endure(self, name: str, disaster: Disaster) -> Result:
        """Let a disaster strike while all servers are being moved; judge what it has left."""
        stop, before, deaths = anyio.Event(), self._ended(), self._fleet.keeper.deaths
        problems: list[str] = []
        async with anyio.create_task_group() as tasks:
            for user in self._users:
                tasks.start_soon(user.move, stop)
            await anyio.sleep(CALM_S)
            in_flight, then, struck_s = self._in_flight(), self._ended().total(), anyio.current_time()
            await disaster(self._scene)
            during, healed_s = self._ended().total() - then, anyio.current_time()
            stop.set()
            with anyio.move_on_after(TERMINAL_S_MAX):
                while self._in_flight():  # noqa: ASYNC110 - the ends of many, in other processes
                    await anyio.sleep(POLL_S / 5)
            terminal_s = anyio.current_time() - healed_s
            late = [user for user in self._users if user.in_flight]
            problems += [f"{user.server} is not at rest: {await self._why(user)}" for user in late]
            tasks.cancel_scope.cancel()
        problems += await self._judged()
        deaths = self._fleet.keeper.deaths - deaths
        problems += [f"{deaths} processes of the deployment died"] if deaths else []
        return Result(
            disaster=name, ended=dict(self._ended() - before), in_flight=in_flight, during=during,
            lasted_s=healed_s - struck_s, terminal_s=terminal_s, deaths=deaths, problems=tuple(problems),
        )  # fmt: skip

    def _ended(self) -> Counter[str]:
        return sum((user.ended for user in self._users), Counter[str]())

    def _in_flight(self) -> int:
        return sum(bool(user.in_flight) for user in self._users)

    async def _why(self, user: User) -> str:
        journal = await self._fleet.journal(user.in_flight)
        if journal is None:
            return "its order was never taken"
        last = journal.entries[-1]
        return f"{journal.goal} stands at {last.kind} of {last.step}"

    async def _judged(self) -> list[str]:
        """Say what promise is broken, and who is not there any more."""
        witnessed = tuple(each for user in self._users for each in user.witnessed)
        broken = await self._broken(witnessed)
        found = [f"{each.invariant} of {each.subject}: {each.text}" for each in broken]
        await self._fleet.whole()
        return [*found, *(f"nobody reads {queue}" for queue in await self._unread())]

    async def _broken(self, witnessed: tuple[Witnessed, ...]) -> tuple[Violation, ...]:
        with anyio.fail_after(TERMINAL_S_MAX):
            while True:
                try:
                    return (await self._fleet.at_rest(witnessed))[1]
                except StoreUnavailable:
                    # Ours too have connections that the disaster broke: each is noticed when it is used.
                    await anyio.sleep(POLL_S)
        raise AssertionError  # fail_after has raised.

    async def _unread(self) -> list[str]:
        """List the mailboxes that fewer processes read than there are for them."""
        said = await run_sync(self._scene.broker.control, "list_queues", "name", "consumers")
        readers = {
            line[0]: int(line[1]) for line in map(str.split, said.splitlines()) if line[1:2] and line[1].isdigit()
        }
        made = self._fleet.deployment
        wanted = Counter(made.accounts.topology.name(Queue(task.cell, task.mailbox)) for task in made.tasks())
        return [name for name, count in wanted.items() if readers.get(name, 0) < count]


@asynccontextmanager
async def deployed(
    directory: Path, broker: OwnRabbitMQ, postgresql: OwnPostgreSQL, *, warn: Callable[[str], None]
) -> AsyncGenerator[tuple[Fleet, Scene]]:
    """Bring a deployment up: the root and one cell on PostgreSQL, the other's store a file, and a link by a proxy."""
    link = Proxy(broker.url)
    async with link.listening():
        small = cloud(conductors=2)
        stores = {ROOT: postgresql.url, SOURCE_CELL: postgresql.url}
        made = Deployment(
            cloud=attrs.evolve(
                small,
                cells=tuple(attrs.evolve(cell, store=stores.get(str(cell.path))) for cell in small.cells),
                links=(LinkSettings(source=CellPath.parse(ROOT), target=CellPath.parse(TARGET_CELL), broker=link.url),),
            ),
            wire=broker.url, directory=directory, prefix="cellferry-weather",
        )  # fmt: skip
        async with afloat(made, warn=warn, program=DISPLACED, poll_s=POLL_S) as fleet:
            yield fleet, Scene(directory=directory, broker=broker, postgresql=postgresql, link=link)
