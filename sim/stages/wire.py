"""The production actors on a real loop, over a real wire that the test opens: as far as they go, the same stories."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs

from actors.wire.topology import dead_letter_queue
from protocol.invariants.no_leaks import memories
from sim.brokers.rights import require_own, require_write
from sim.brokers.traffic import Traffic, glance
from sim.faults import FaultKind
from sim.stages.loop import WorldStage
from sim.stages.stage import NotOffered
from sim.world import CLIENT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from actors.kernel.ports import Delivery, Outage, Queue, Receive, Wire
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


@attrs.define
class Real:
    """The real wire below a stage, and what is seen of it: what was declared, and what was handed to whom."""

    wire: Wire | None = None
    injector: Injector | None = None
    declared: dict[Queue, None] = attrs.field(factory=dict)
    handed: list[tuple[str, Traffic]] = attrs.field(factory=list)

    @property
    def open(self) -> Wire:
        """The wire, once it is open."""
        assert self.wire is not None, "the wire is not open"
        return self.wire


class ProcessWire:
    """What a process has of a real wire: what its rights allow; frames are lost by plan after they are confirmed."""

    def __init__(self, real: Real, process: str) -> None:
        self._real = real
        self._process = process
        # The client is the scenario's own hand, and its visitors are in all cells.
        self._has_rights = process.partition("/")[2] != CLIENT

    async def declare(self, queue: Queue) -> None:
        """Make the queue exist, and that of its cell's dead letters."""
        self._require_own(queue, "declare")
        self._real.declared |= {queue: None, dead_letter_queue(queue.cell): None}
        await self._real.open.declare(queue)

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Send a frame, or lose it."""
        if self._has_rights:
            require_write(self._process, queue)
        if not self._is_lost(frame):
            await self._real.open.send(queue, frame)

    def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AbstractAsyncContextManager[None]:
        """Hand out the queue's frames, and note them."""
        self._require_own(queue, "read")

        def note(delivery: Delivery) -> None:
            self._real.handed.append((str(queue), glance(delivery.frame)))
            receive(delivery)

        return self._real.open.consume(queue, note, prefetch=prefetch)

    async def purge(self, queue: Queue) -> None:
        """Delete the queue."""
        self._require_own(queue, "delete")
        await self._real.open.purge(queue)

    def outage(self, cell: CellPath) -> Outage | None:
        """Tell what the wire itself knows."""
        return self._real.open.outage(cell)

    def _require_own(self, queue: Queue, what: str) -> None:
        if self._has_rights:
            require_own(self._process, queue, what)

    def _is_lost(self, frame: bytes) -> bool:
        injector = self._real.injector
        assert injector is not None, "the wire has no faults"
        traffic = glance(frame)
        if not traffic.notes or not injector.is_active:
            return False
        where = traffic.notes[0].source
        fault = injector.strike(FaultKind.LOSE, where=where, point=traffic.method, about=traffic.about)
        if fault is not None:
            injector.note(fault, mattered=traffic.is_awaited, text=f"{traffic.about}: lost", process=where)
        return fault is not None


class WireStage(WorldStage):
    """A stage over a wire that `connect` opens; everything takes real time, but hypervisors take none."""

    patience_s = PATIENCE_S
    look_s = LOOK_S

    def __init__(self, layout: Layout, seed: int, *, connect: Callable[[], AbstractAsyncContextManager[Wire]]) -> None:
        """Make a cloud that does not run yet."""
        self.real = Real()
        self._connect = connect
        super().__init__(layout, seed=seed, pace=0.0, wires=partial(ProcessWire, self.real))
        self.real.injector = self.world.injector

    def run(self, play: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Play on a fresh loop of real time."""

        async def main() -> T:
            async with self._connect() as wire:
                self.real.wire = wire
                try:
                    return await self.play(play)
                finally:
                    for queue in self.real.declared:
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
