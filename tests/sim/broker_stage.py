"""A sender and a host that consumes, under a plan of faults: what the tests of single faults play on."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio

from protocol.envelope import Key
from protocol.errors import CellferryError
from sim.faults import Fault, FaultKind
from sim.history import Fired
from tests.actors.wire.inbox import QUEUE, Inbox
from tests.sim.simulated_wire import HOST, SENDER, Site, frame_about, hold_open

CALL = frame_about("power_on")
KEY = Key(scope="c1", attempt=1, step="spawn", is_undo=False)


class Stage:
    """A sender and a host that consumes, under faults that were let loose."""

    def __init__(self, site: Site, *, acks: bool = True) -> None:
        self.site = site
        self.sender = site.wire(SENDER)
        self.host_process = site.process(HOST)
        self.host = site.brokers.connect(self.host_process)
        self.inbox = Inbox(acks=acks)

    async def send(self, *frames: bytes) -> None:
        for frame in frames:
            await self.sender.send(QUEUE, frame)

    async def try_to_send(self, frame: bytes) -> tuple[CellferryError | None, float]:
        """Send; give what came of it, and how long that took."""
        begun_s = anyio.current_time()
        try:
            await self.send(frame)
        except CellferryError as error:
            return error, anyio.current_time() - begun_s
        return None, anyio.current_time() - begun_s

    def noted(self) -> list[tuple[FaultKind, bool]]:
        """End the world, and tell which faults were noted."""
        self.site.injector.end()
        self.site.brokers.close()
        assert self.site.unaccounted() == 0
        fired = [(fired.fault.kind, fired.mattered) for fired in self.site.happened(Fired)]
        for kind, mattered in fired:
            assert self.site.history.probes[f"fault:{kind}"] >= mattered
        return fired


@asynccontextmanager
async def stage(*plan: Fault, acks: bool = True, prefetch: int = 100) -> AsyncIterator[Stage]:
    """Open the curtain: the queue is there, the host consumes, the faults are loose."""
    site = Site(*plan)
    made = Stage(site, acks=acks)
    await made.host.declare(QUEUE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(hold_open, prefetch=prefetch), made.host, QUEUE, made.inbox)
        await anyio.sleep(1)
        site.injector.begin()
        yield made
        tasks.cancel_scope.cancel()


def fault(
    kind: FaultKind,
    *,
    at_s: float = 0.0,
    for_s: float = math.inf,
    where: str = "",
    other: str = "",
    amount_s: float = 0.0,
) -> Fault:
    """Write a fault down."""
    return Fault(kind=kind, name="f1", at_s=at_s, for_s=for_s, where=where, other=other, amount_s=amount_s)
