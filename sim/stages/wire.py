"""The production actors on a real loop, over a real wire that the test opens: as far as they go, the same stories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from actors.wire.topology import dead_letter_queue
from protocol.invariants.no_leaks import memories
from sim.brokers.traffic import glance
from sim.faults import FaultKind
from sim.stages.loop import WorldStage
from sim.stages.stage import NotOffered

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from actors.kernel.ports import Queue, Receive, Wire
    from protocol.cell_path import CellPath
    from sim.cases.layout import Layout
    from sim.faults import Fault
    from sim.injector import Injector

T = TypeVar("T")

PATIENCE_S: Final = 40.0
LOOK_S: Final = 0.05
OFFERED: Final = frozenset(
    {
        FaultKind.LOSE,
        *(kind for kind in FaultKind if kind.value.startswith(("driver", "partner", "store"))),
    }
)


class LossyWire:
    """A wire that loses frames by plan, after it has confirmed them; the sender is the one who wrote them first."""

    def __init__(self) -> None:
        """Make a wire that is not open yet."""
        self.wire: Wire | None = None
        self.injector: Injector | None = None
        self.declared: dict[Queue, None] = {}

    @property
    def _open(self) -> Wire:
        assert self.wire is not None, "the wire is not open"
        return self.wire

    async def declare(self, queue: Queue) -> None:
        """Make the queue exist, and that of its cell's dead letters."""
        self.declared |= {queue: None, dead_letter_queue(queue.cell): None}
        await self._open.declare(queue)

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Send a frame, or lose it."""
        if not self._is_lost(frame):
            await self._open.send(queue, frame)

    def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AbstractAsyncContextManager[None]:
        """Hand out the queue's frames."""
        return self._open.consume(queue, receive, prefetch=prefetch)

    async def purge(self, queue: Queue) -> None:
        """Delete the queue."""
        await self._open.purge(queue)

    def _is_lost(self, frame: bytes) -> bool:
        assert self.injector is not None, "the wire has no faults"
        traffic = glance(frame)
        if not traffic.notes or not self.injector.is_active:
            return False
        where = traffic.notes[0].source
        fault = self.injector.strike(FaultKind.LOSE, where=where, point=traffic.method, about=traffic.about)
        if fault is not None:
            self.injector.note(fault, mattered=traffic.is_awaited, text=f"{traffic.about}: lost", process=where)
        return fault is not None


class WireStage(WorldStage):
    """A stage over a wire that `connect` opens; everything takes real time, but hypervisors take none."""

    patience_s = PATIENCE_S
    look_s = LOOK_S

    def __init__(self, layout: Layout, seed: int, *, connect: Callable[[], AbstractAsyncContextManager[Wire]]) -> None:
        """Make a cloud that does not run yet."""
        self._wire = LossyWire()
        self._connect = connect
        super().__init__(layout, seed=seed, pace=0.0, wire=self._wire)
        self._wire.injector = self.world.injector

    def run(self, play: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Play on a fresh loop of real time."""

        async def main() -> T:
            async with self._connect() as wire:
                self._wire.wire = wire
                try:
                    return await self.play(play)
                finally:
                    for queue in self._wire.declared:
                        await wire.purge(queue)

        return anyio.run(main)

    def _unfinished(self) -> list[str]:
        # A sweep takes as long as the broker does: a few looks are no measure of it, as they are in virtual time.
        remembering = (f"{actor} has not forgotten: it {text}" for actor, text in memories(self.world.peek()))
        return [*super()._unfinished(), *remembering]

    def add(self, fault: Fault) -> None:
        """Let a fault loose that this stage can bring about."""
        if fault.kind not in OFFERED:
            raise NotOffered(self, f"faults of the kind {fault.kind}")
        super().add(fault)

    def dead_letters(self, cell: CellPath) -> tuple[str, ...]:
        """Refuse: they are in a real broker."""
        raise NotOffered(self, f"dead letters of {cell}")
