"""Programs for the loop that leave a trace, to be run in several processes and compared."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable
from importlib import import_module
from typing import Any, Final

import anyio
from anyio.lowlevel import checkpoint

from sim.chance import Chance
from sim.clock import SimLoop, run
from sim.loop.strategies import strategy_of

ACTORS: Final = 40
ROUNDS: Final = 12
PATIENCE_S: Final = 3.0

#: Taken before any loop seals it off, as a careless library might.
REAL_CLOCK_NS: Final[Callable[[], int]] = import_module("time").perf_counter_ns


def loop_running() -> SimLoop:
    """Give the loop that runs, which must be ours."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


def digest(lines: Iterable[object]) -> str:
    """Hash a trace."""
    return hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()


def cancelled_together(count: str, strategy: str = "fifo") -> str:
    """Cancel many children of one group at once, and hash the order in which they learn of it."""
    order: list[int] = []

    async def wait(number: int) -> None:
        try:
            with anyio.move_on_after(100):
                await anyio.sleep_forever()
        finally:
            order.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(int(count)):
                group.start_soon(wait, number)
            await anyio.sleep(1)
            group.cancel_scope.cancel()

    run(main, strategy=strategy_of(strategy, 1))
    assert len(order) == int(count)
    return digest(order)


class Office:
    """Actors that write to each other's mailboxes, wait, lose patience, and send others home."""

    def __init__(self, seed: int, defect: str) -> None:
        self.defect = defect
        self.chance = Chance(seed)
        self.trace: list[str] = []
        names = [f"actor{number}" for number in range(ACTORS)]
        self.mailboxes = {name: anyio.create_memory_object_stream[str](3) for name in names}
        self.scopes: dict[str, anyio.CancelScope] = {}

    def note(self, actor: str, event: str) -> None:
        """Add a line to the trace."""
        when: object = REAL_CLOCK_NS() if self.defect == "real clock" else loop_running().now_ns
        self.trace.append(f"{when} {loop_running().steps} {actor} {event}")

    def others(self, actor: str, turn: int) -> list[str]:
        """Choose whom to write to."""
        chosen = self.chance.shuffled(list(self.mailboxes), "others", actor, turn)[:3]
        if self.defect == "set of strings":
            return [*{*chosen}]
        if self.defect == "address":
            return sorted(chosen, key=lambda name: id(self.mailboxes[name]) % 1009)
        if self.defect == "sealed clock":
            return chosen[: import_module("time").time_ns() % 3]
        return chosen

    async def send(self, actor: str, turn: int) -> None:
        """Write to some others, one after the other."""
        for other in self.others(actor, turn):
            with anyio.move_on_after(PATIENCE_S * self.chance.uniform("patience", actor, turn)) as scope:
                await self.mailboxes[other][0].send(f"{actor}.{turn}")
            self.note(actor, f"gave up {other}" if scope.cancelled_caught else f"wrote {other}")

    async def read(self, actor: str) -> None:
        """Read until nobody writes any more."""
        while True:
            await anyio.sleep(self.chance.uniform("read", actor, len(self.trace)))
            self.note(actor, f"read {await self.mailboxes[actor][1].receive()}")

    async def work(self, actor: str) -> None:
        """Do an actor's rounds, and now and then send somebody's reader home."""
        async with anyio.create_task_group() as group:
            self.scopes[actor] = group.cancel_scope
            try:
                group.start_soon(self.read, actor, name=f"{actor} reads")
                for turn in range(ROUNDS):
                    await anyio.sleep(self.chance.uniform("pause", actor, turn))
                    await self.send(actor, turn)
                    if self.chance.hits(0.02, "home", actor, turn):
                        self.scopes[self.chance.pick(list(self.scopes), "whom", actor, turn)].cancel()
                group.cancel_scope.cancel()
            finally:
                self.note(actor, "went home")
                with anyio.CancelScope(shield=True):
                    await checkpoint()
                self.note(actor, "is at home")

    async def day(self) -> None:
        """Have everybody work."""
        async with anyio.create_task_group() as group:
            for actor in self.mailboxes:
                group.start_soon(self.work, actor, name=actor)
        for sender, receiver in self.mailboxes.values():
            sender.close()
            receiver.close()


def office(seed: str, strategy: str, defect: str = "") -> str:
    """Run an office for a day and hash its trace."""
    place = Office(int(seed), defect)
    run(place.day, strategy=strategy_of(strategy, int(seed)))
    assert len(place.trace) > ACTORS * ROUNDS
    return digest(place.trace)


def closing_step(litter: str) -> str:
    """Drop a generator that only the garbage collector finds, and tell at which step the loop closed it."""
    closed: list[int] = []

    async def count() -> AsyncGenerator[list[Any], None]:
        own: list[Any] = []
        try:
            yield own
        finally:
            closed.append(loop_running().steps)

    async def main() -> None:
        kept: list[list[Any]] = [[] for _ in range(int(litter))]
        generator = count()
        (await anext(generator)).append(generator)
        del generator
        while not closed:
            kept.append([])
            await checkpoint()

    run(main)
    return str(closed[0])
