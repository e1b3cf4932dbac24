"""What the tests of the wire share: names of queues, and a receiver that tests can wait on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
import anyio
import pytest

from actors.kernel.metrics import NO_METERS
from actors.kernel.ports import Delivery, Queue, Wire
from actors.kernel.traces import NO_TRACES
from actors.wire.topology import Topology, dead_letter_queue
from protocol.cell_path import CellPath

CELL: Final = CellPath.parse("api!eu")
QUEUE: Final = Queue(CELL, "host:h1")
OTHER: Final = Queue(CELL, "cell")
PATIENCE_S: Final = 10.0


class Inbox:
    """A receiver that keeps its deliveries, and acknowledges them at once if told so."""

    def __init__(self, *, acks: bool = False) -> None:
        self.deliveries: list[Delivery] = []
        self._acks = acks
        self._arrived = anyio.Event()

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self._acks:
            delivery.ack()
        self._arrived.set()

    @property
    def frames(self) -> list[bytes]:
        return [delivery.frame for delivery in self.deliveries]

    async def until(self, count: int, *, patience_s: float = PATIENCE_S) -> list[bytes]:
        """Wait until `count` frames have come, and give all that have."""
        with anyio.fail_after(patience_s):
            while len(self.deliveries) < count:
                self._arrived = anyio.Event()
                await self._arrived.wait()
        return self.frames


class Diary:
    """The port `Events`: keeps what it is told, and can be waited on."""

    meters, traces = NO_METERS, NO_TRACES

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, object]]] = []
        self._written = anyio.Event()

    def emit(self, event: str, /, **fields: object) -> None:
        self.entries.append((event, fields))
        self._written.set()

    def count(self, event: str) -> int:
        return sum(name == event for name, _fields in self.entries)

    async def until(self, event: str, *, count: int = 1, patience_s: float = PATIENCE_S) -> dict[str, object]:
        """Wait until `event` has happened `count` times, and give the last one's data."""
        with anyio.fail_after(patience_s):
            while self.count(event) < count:
                self._written = anyio.Event()
                await self._written.wait()
        return [fields for name, fields in self.entries if name == event][-1]


async def settled_so_far(wire: Wire) -> None:
    """Return when a frame sent now, by another queue, has come back: what was under way before it has arrived."""
    await wire.declare(OTHER)
    inbox = Inbox(acks=True)
    async with wire.consume(OTHER, inbox, prefetch=1):
        await wire.send(OTHER, b"echo")
        await inbox.until(1)


def prefix_of(request: pytest.FixtureRequest) -> str:
    """Name a prefix that no other test, worker or run uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    digest = hashlib.blake2b(request.node.nodeid.encode(), digest_size=6).hexdigest()
    return f"test-{worker}-{os.getpid()}-{digest}"


@asynccontextmanager
async def cleaned(url: str, prefix: str, *queues: Queue) -> AsyncIterator[None]:
    """Delete what a test declared under its prefix, when it has ended."""
    try:
        yield
    finally:
        topology = Topology(prefix)
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for queue in {*queues, *(dead_letter_queue(queue.cell) for queue in queues)}:
                await channel.queue_delete(topology.name(queue))
