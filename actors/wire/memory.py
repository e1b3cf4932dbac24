"""The wire in one process: bounded queues in memory that keep the same promises as a broker's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.lowlevel

from actors.kernel.ports import Outage, Queue, Receive
from actors.wire.topology import FRAME_BYTES_MAX, MESSAGES_MAX, DeadLetter
from protocol.cell_path import CellPath
from protocol.errors import Overflow, TooLarge, TransportLost, Unroutable


class MemoryWire:
    """Queues that all actors of one process share.

    It needs no task: a queue hands its frames out from a plain callback of the loop, in the order in which it took
    them, to its consumers in turn.
    """

    def __init__(self, *, messages_max: int = MESSAGES_MAX, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        """Begin without queues, each of which will hold `messages_max` waiting frames."""
        self._messages_max = messages_max
        self._frame_bytes_max = frame_bytes_max
        self._queues: dict[Queue, _MemoryQueue] = {}
        self._dead: dict[CellPath, list[DeadLetter]] = {}
        self._outages: dict[CellPath, Outage] = {}

    async def declare(self, queue: Queue) -> None:
        """Make the queue exist; declaring it again changes nothing."""
        await anyio.lowlevel.checkpoint()
        self._require(queue.cell)
        dead = self._dead.setdefault(queue.cell, [])
        self._queues.setdefault(queue, _MemoryQueue(queue, dead, self._messages_max))

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Return once the queue has taken the frame."""
        if len(frame) > self._frame_bytes_max:
            raise TooLarge(what=f"a frame to {queue}", size=len(frame), limit=self._frame_bytes_max)
        await anyio.lowlevel.checkpoint()  # Here, so that what is cancelled was not sent.
        self._find(queue).put(frame)

    @asynccontextmanager
    async def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AsyncIterator[None]:
        """Hand the queue's frames to `receive` while the context is open."""
        assert prefetch >= 1, "a consumer without prefetch gets nothing"
        await anyio.lowlevel.checkpoint()
        source = self._find(queue)
        consumer = _Consumer(receive, prefetch)
        source.attach(consumer)
        try:
            yield
        finally:
            source.detach(consumer)

    async def purge(self, queue: Queue) -> None:
        """Delete the queue with all that is in it; a missing queue is no error."""
        await anyio.lowlevel.checkpoint()
        self._require(queue.cell)
        if (gone := self._queues.pop(queue, None)) is not None:
            gone.close()

    def dead_letters(self, cell: CellPath) -> tuple[DeadLetter, ...]:
        """List the frames that consumers in `cell` rejected, oldest first."""
        return tuple(self._dead.get(cell, ()))

    def outage(self, cell: CellPath) -> Outage | None:
        """Tell whether somebody has made the cell's queues unreachable."""
        return self._outages.get(cell)

    def lose(self, cell: CellPath, reason: str) -> None:
        """Make a cell's queues unreachable, as a broker's are that is stopped: they keep what they have."""
        self._outages[cell] = Outage(since_s=anyio.current_time(), reason=reason)
        for queue in self._of(cell):
            queue.pause()

    def restore(self, cell: CellPath) -> None:
        """Make a cell's queues reachable again; their consumers are there again at once."""
        del self._outages[cell]
        for queue in self._of(cell):
            queue.go_on()

    def _of(self, cell: CellPath) -> list[_MemoryQueue]:
        return [queue for name, queue in self._queues.items() if name.cell == cell]

    def _require(self, cell: CellPath) -> None:
        if (outage := self._outages.get(cell)) is not None:
            raise TransportLost(cell=str(cell), reason=outage.reason)

    def _find(self, queue: Queue) -> _MemoryQueue:
        self._require(queue.cell)
        found = self._queues.get(queue)
        if found is None:
            raise Unroutable(cell=str(queue.cell), queue=queue.name)
        return found


class _Consumer:
    """Who takes frames from a queue, and which of them it has not settled, by their place in the queue."""

    def __init__(self, receive: Receive, prefetch: int) -> None:
        self.receive = receive
        self.prefetch = prefetch
        self.unsettled: dict[int, bytes] = {}


class _MemoryQueue:
    """Frames by their place, rising; those that wait, and the consumers in the order of their turns."""

    def __init__(self, name: Queue, dead: list[DeadLetter], messages_max: int) -> None:
        self._name = name
        self._dead = dead
        self._messages_max = messages_max
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._consumers: deque[_Consumer] = deque()
        self._place_next = 0
        self._is_woken = False
        self._is_paused = False

    def put(self, frame: bytes) -> None:
        """Take a frame, or raise `Overflow`.  As at a broker, what consumers hold unsettled does not count."""
        if len(self._waiting) >= self._messages_max:
            raise Overflow(what=f"the queue {self._name.name} of cell {self._name.cell}", limit=self._messages_max)
        self._waiting.append((self._place_next, frame))
        self._place_next += 1
        self._wake()

    def attach(self, consumer: _Consumer) -> None:
        """Let the consumer take part from now on."""
        self._consumers.append(consumer)
        self._wake()

    def detach(self, consumer: _Consumer) -> None:
        """Take back what the consumer has not settled, each frame to its old place."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
        self._take_back(consumer)
        self._wake()

    def _take_back(self, consumer: _Consumer) -> None:
        self._waiting = deque(sorted([*consumer.unsettled.items(), *self._waiting]))
        consumer.unsettled.clear()

    def pause(self) -> None:
        """Hand nothing out, and take back what consumers have not settled."""
        self._is_paused = True
        for consumer in self._consumers:
            self._take_back(consumer)

    def go_on(self) -> None:
        """Hand frames out again."""
        self._is_paused = False
        self._wake()

    def close(self) -> None:
        """Forget everything; the consumers get nothing any more."""
        for consumer in self._consumers:
            consumer.unsettled.clear()
        self._consumers.clear()
        self._waiting.clear()

    def ack(self, consumer: _Consumer, place: int) -> None:
        """Forget a frame that the consumer holds; settled before, or taken back, it is none of its business."""
        if consumer.unsettled.pop(place, None) is not None:
            self._wake()

    def reject(self, consumer: _Consumer, place: int, reason: str, why: str) -> None:
        """Move a frame that the consumer holds to the dead letters; when they are full it stays held."""
        if place in consumer.unsettled and len(self._dead) < self._messages_max:
            self._dead.append(DeadLetter(self._name, consumer.unsettled.pop(place), reason, why))
            self._wake()

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._is_woken = False
        while not self._is_paused and self._waiting and (consumer := self._next_consumer()) is not None:
            place, frame = self._waiting.popleft()
            consumer.unsettled[place] = frame
            consumer.receive(_MemoryDelivery(self, consumer, place, frame))

    def _next_consumer(self) -> _Consumer | None:
        for _turn in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if len(consumer.unsettled) < consumer.prefetch:
                return consumer
        return None


class _MemoryDelivery:
    """One frame in the hands of one consumer."""

    __slots__ = ("_consumer", "_frame", "_place", "_queue")

    def __init__(self, queue: _MemoryQueue, consumer: _Consumer, place: int, frame: bytes) -> None:
        self._queue = queue
        self._consumer = consumer
        self._place = place
        self._frame = frame

    @property
    def frame(self) -> bytes:
        """The bytes that were sent."""
        return self._frame

    @property
    def sender(self) -> str:
        """Nobody: all who share these queues are one process."""
        return ""

    def ack(self) -> None:
        """Let the queue forget the frame."""
        self._queue.ack(self._consumer, self._place)

    def reject(self, reason: str, why: str = "") -> None:
        """Put the frame among the dead letters of the queue's cell, with the reason."""
        self._queue.reject(self._consumer, self._place, reason, why)
