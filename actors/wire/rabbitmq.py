"""The wire over RabbitMQ: one connection to each broker, made again with all that lived on it when it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Final, Self, TypeVar

import anyio
from aio_pika import Connection, Message
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.connection import make_url
from anyio.abc import TaskGroup

from actors.kernel.ports import Events, Outage, Queue, Random, Receive
from actors.wire.guard import Subject, guard
from actors.wire.identities import Access
from actors.wire.rabbitmq_consumer import Consumer, Dead
from actors.wire.rabbitmq_session import Session
from actors.wire.topology import DeadLetter, RabbitSettings, Topology, dead_letter_queue
from protocol.cell_path import CellPath
from protocol.errors import CellferryError, TooLarge, TransportLost, Unroutable

T = TypeVar("T")

AMQP_PORTS: Final = {"amqp": 5672, "amqps": 5671}
DEAD_LETTERS_LISTED_MAX: Final = 1_000
DEAD_HEADERS: Final = ("queue", "reason", "why", "sender")
REASON_CHARS_MAX: Final = 1_024


DEFAULTS: Final = RabbitSettings()


class RabbitWire:
    """Queues kept by one broker for all cells, or by one for each.

    A frame is sent persistent and mandatory, and `send` returns when the broker has confirmed it.
    """

    def __init__(self, brokers: Mapping[CellPath | None, Broker], settings: RabbitSettings) -> None:
        """Take brokers that are kept by `connect`; the one for None serves all other cells."""
        self._brokers = brokers
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        brokers: Mapping[CellPath, str] | Mapping[CellPath | None, str] | Mapping[CellPath, Access] | str,
        *,
        prefix: str,
        events: Events,
        random: Random,
        settings: RabbitSettings = DEFAULTS,
        required: Collection[CellPath] | None = None,
    ) -> AsyncIterator[Self]:
        """Open the wire to brokers given by their URLs, one for all cells, or one for each and for None all others.

        Beside a URL may be said how to get there.

        Raises `TransportLost` when the broker of a `required` cell (of any cell, when None) is away.  To the others,
        and to each that is lost later, the connection is made as soon as it can be.
        """
        topology = Topology(prefix, queue_type=settings.queue_type, messages_max=settings.messages_max)
        given: Iterable[tuple[CellPath | None, str | Access]]
        given = [(None, brokers)] if isinstance(brokers, str) else brokers.items()
        ways = [(cell, each if isinstance(each, Access) else Access(url=each)) for cell, each in given]
        needed = {access for cell, access in ways if required is None or cell in required}
        found: dict[Access, Broker] = {}
        async with AsyncExitStack() as stack:
            for access in dict.fromkeys(access for _cell, access in ways):
                cells = tuple(str(cell) for cell, each in ways if each == access and cell is not None)
                found[access] = Broker(access, topology, settings, events=events, random=random, cells=cells)
                stack.push_async_callback(found[access].close)
                if access in needed:
                    await found[access].open()
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for broker in found.values():
                broker.start(tasks)
            yield cls({cell: found[access] for cell, access in ways}, settings)
            tasks.cancel_scope.cancel()

    async def declare(self, queue: Queue) -> None:
        """Make the queue, and that of its cell's dead letters, exist; declaring it again changes nothing."""
        broker = self._find(queue)
        await broker.declare(dead_letter_queue(queue.cell))
        await broker.declare(queue)

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Return once the broker has confirmed that the queue has the frame."""
        if len(frame) > self._settings.frame_bytes_max:
            raise TooLarge(what=f"a frame to {queue}", size=len(frame), limit=self._settings.frame_bytes_max)
        await self._find(queue).send(queue, frame)

    def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AbstractAsyncContextManager[None]:
        """Hand the queue's frames to `receive` while the context is open; what it raises ends the whole wire."""
        assert prefetch >= 1, "RabbitMQ takes a prefetch of 0 for no limit at all"
        return self._find(queue).consume(queue, receive, prefetch=prefetch)

    async def purge(self, queue: Queue) -> None:
        """Delete the queue with all that is in it; a missing queue is no error."""
        await self._find(queue).delete(queue)

    def outage(self, cell: CellPath) -> Outage | None:
        """Tell whether the cell's broker is away, and since when; one that was not tried yet is not known to be."""
        broker = self._brokers.get(cell) or self._brokers.get(None)
        return None if broker is None else broker.outage

    async def dead_letters(self, cell: CellPath) -> tuple[DeadLetter, ...]:
        """List the frames that consumers in `cell` rejected, oldest first; they stay where they are."""
        queue = dead_letter_queue(cell)
        messages = await self._find(queue).peek(queue, count_max=DEAD_LETTERS_LISTED_MAX)
        return tuple(_dead_letter(cell, each) for each in messages)

    async def settle_dead_letters(self, cell: CellPath, ids: Collection[str], *, replayed: bool) -> AsyncIterator[str]:
        """Take dead letters away, those that are replayed after they are back in their queues; name each then."""
        broker = self._find(dead_letter_queue(cell))
        async with broker.looking(dead_letter_queue(cell), count_max=DEAD_LETTERS_LISTED_MAX) as messages:
            for message in messages:
                letter = _dead_letter(cell, message)
                if letter.id not in ids:
                    continue
                if replayed:
                    await self.send(letter.queue, letter.frame)
                await broker.call(message.ack())
                yield letter.id

    def _find(self, queue: Queue) -> Broker:
        broker = self._brokers.get(queue.cell) or self._brokers.get(None)
        if broker is None:
            raise Unroutable(cell=str(queue.cell), queue=queue.name)
        return broker


class Broker:
    """A broker: the queues and consumers that are to exist there, and the present session with it, if there is one."""

    def __init__(
        self, access: Access, topology: Topology, settings: RabbitSettings, *, events: Events, random: Random,
        cells: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._url = make_url(access.url, heartbeat=settings.heartbeat_s, name=topology.prefix)
        self.user = (self._url.user or "") if access.is_named else ""
        self._where = ", ".join(cells) or "every cell"  # Whose queues are reached by it.
        self.name = f"{self._url.host}:{self._url.port or AMQP_PORTS.get(self._url.scheme)}"
        self.topology = topology
        self.settings = settings
        self.events = events
        self._random = random
        self._tasks: TaskGroup | None = None
        self._window = anyio.Semaphore(settings.window)
        self._declared: dict[Queue, None] = {}
        self.consumers: dict[Consumer, None] = {}
        self._session: Session | None = None
        self._opened = anyio.Event()
        self.outage: Outage | None = None  # While there is no session, once one was tried.

    async def call(self, call: Awaitable[T], queue: Queue | None = None) -> T:
        """Await a call of the client library, which all go through here to the guard."""
        return await guard(call, subject=self._subject(queue), deadline_s=self.settings.deadline_s)

    def start(self, tasks: TaskGroup) -> None:
        """Run what keeps the connection, and later the consumers, in `tasks`."""
        self._tasks = tasks
        tasks.start_soon(self._keep)

    async def open(self) -> Session:
        """Connect, and bring back the queues and the consumers."""
        session = Session(Connection(self._url), self)
        consumers = tuple(self.consumers)
        try:
            await session.open()
            for queue in tuple(self._declared):
                await session.declare(queue)
            for consumer in consumers:
                await session.attach(consumer)
        except BaseException:
            await session.close()
            raise
        self._session = session
        self._opened.set()
        self.outage = None
        self.events.emit("broker_connected", broker=self.name, cells=self._where, consumers=len(consumers))
        for consumer in consumers:  # Some may have been closed in the meantime.
            if consumer not in self.consumers:
                await session.detach(consumer)
        return session

    async def close(self) -> None:
        """Give up the session, if there is one."""
        if (session := self._session) is not None:
            self._session = None
            self._opened = anyio.Event()
            await session.close()

    async def declare(self, queue: Queue) -> None:
        """Make a queue exist, now and after each time the broker was lost."""
        await (await self._present()).declare(queue)
        self._declared[queue] = None

    async def delete(self, queue: Queue) -> None:
        """Delete a queue; consumers that it has here get nothing any more."""
        self._declared.pop(queue, None)
        for consumer in [each for each in self.consumers if each.queue == queue]:
            del self.consumers[consumer]
        session = await self._present()
        if self.user and not queue.is_exclusive:  # Whose it is to make, it is to take away.
            self.events.emit("queue_left_over", queue=str(queue))
            return
        async with session.side_channel() as channel:
            await self.call(channel.queue_delete(self.topology.name(queue)))

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Publish a frame to a queue."""
        async with self._window:
            await (await self._present()).publish(queue, Message(frame))

    async def peek(self, queue: Queue, *, count_max: int) -> list[AbstractIncomingMessage]:
        """Look at the oldest messages of a queue."""
        async with self.looking(queue, count_max=count_max) as messages:
            return messages

    @asynccontextmanager
    async def looking(self, queue: Queue, *, count_max: int) -> AsyncIterator[list[AbstractIncomingMessage]]:
        """Hold the oldest messages of a queue; what is not acknowledged goes back when the context is left."""
        messages: list[AbstractIncomingMessage] = []
        session = await self._present()
        async with session.side_channel() as channel:
            with suppress(Unroutable):
                source = await self.call(channel.get_queue(self.topology.name(queue), ensure=False))
                while len(messages) < count_max and (message := await self.call(source.get(fail=False))) is not None:
                    messages.append(message)
            yield messages

    @asynccontextmanager
    async def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AsyncIterator[None]:
        """Keep a consumer on a queue, over as many sessions as it takes."""

        async def bury(dead: Dead) -> None:
            await self._bury(queue, dead)

        assert self._tasks is not None, "the broker was not started"
        consumer = Consumer(queue, receive, prefetch=prefetch, tasks=self._tasks, acknowledge=self.call, bury=bury)
        await (await self._present()).attach(consumer)
        self.consumers[consumer] = None
        self._declared[queue] = None
        self._tasks.start_soon(consumer.run)
        try:
            yield
        finally:
            self.consumers.pop(consumer, None)
            await consumer.close()
            if self._session is not None:
                await self._session.detach(consumer)

    async def _bury(self, queue: Queue, dead: Dead) -> None:
        headers = {"queue": queue.name, "cell": str(queue.cell), "reason": dead.reason[:REASON_CHARS_MAX]}
        headers |= {"why": dead.why[:REASON_CHARS_MAX], "sender": dead.sender}
        try:
            session = await self._present()
            await session.publish(dead_letter_queue(queue.cell), Message(dead.frame, headers=dict(headers)))
        except CellferryError as error:
            self.events.emit("dead_letter_failed", queue=str(queue), reason=str(error))
            raise
        self.events.emit("frame_dead_lettered", queue=str(queue), reason=dead.reason)

    async def _present(self) -> Session:
        """Wait at the gate for a session, but not for long: not at all once others have waited in vain."""
        if self._session is None:
            since_s = anyio.current_time() if self.outage is None else self.outage.since_s
            with anyio.CancelScope(deadline=since_s + self.settings.deadline_s):
                await self._opened.wait()
        if self._session is None:
            why = f": {self.outage.reason}" if self.outage is not None else ""
            raise self._subject().lost(f"not connected within {self.settings.deadline_s:g} s{why}")
        return self._session

    async def _keep(self) -> None:
        """Make the connection again whenever it is lost."""
        attempt = 0
        while True:
            try:
                session = self._session or await self.open()
                attempt = 0
                reason = await session.wait_until_lost()
            except TransportLost as error:
                reason = error.reason.removeprefix(f"{self.name}: ")
            except Unroutable as error:
                reason = str(error)
            since_s = anyio.current_time() if self.outage is None else self.outage.since_s
            self.outage = Outage(since_s=since_s, reason=reason)
            await self.close()
            self.events.emit("broker_lost", broker=self.name, cells=self._where, attempt=attempt, reason=reason)
            wait_s = min(self.settings.reconnect_max_s, self.settings.reconnect_min_s * 2**attempt)
            await anyio.sleep(wait_s * (0.5 + self._random.uniform()))
            attempt = min(attempt + 1, 16)  # Its power of two stays small.

    def _subject(self, queue: Queue | None = None) -> Subject:
        if queue is None:
            return Subject(cell=self._where, broker=self.name)
        full = self.settings.messages_max
        return Subject(cell=str(queue.cell), broker=self.name, queue=queue.name, messages_max=full)


def _dead_letter(cell: CellPath, message: AbstractIncomingMessage) -> DeadLetter:
    queue, reason, why, sender = (str(message.headers.get(name) or "") for name in DEAD_HEADERS)
    return DeadLetter(Queue(cell, queue), message.body, reason, why, sender)
