"""The wire over RabbitMQ: one connection to each broker, made again with all that lived on it when it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final, Self, TypeVar

import anyio
from aio_pika import Connection, DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage, AbstractQueue
from aio_pika.connection import make_url
from anyio.abc import TaskGroup

from actors.kernel.ports import Events, Queue, Random, Receive
from actors.wire.guard import Refused, Subject, guard
from actors.wire.rabbitmq_consumer import Consumer
from actors.wire.topology import DeadLetter, RabbitSettings, Topology, dead_letter_queue
from protocol.cell_path import CellPath
from protocol.errors import CellferryError, TooLarge, TransportLost, Unroutable

T = TypeVar("T")

AMQP_PORTS: Final = {"amqp": 5672, "amqps": 5671}
DEAD_LETTERS_LISTED_MAX: Final = 1_000
REASON_CHARS_MAX: Final = 1_024


DEFAULTS: Final = RabbitSettings()


class RabbitWire:
    """Queues kept by one broker for all cells, or by one for each.

    A frame is sent persistent and mandatory, and `send` returns when the broker has confirmed it.
    """

    def __init__(self, brokers: Mapping[CellPath | None, _Broker], settings: RabbitSettings) -> None:
        """Take brokers that are kept by `connect`; the one for None serves all other cells."""
        self._brokers = brokers
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        brokers: Mapping[CellPath, str] | str,
        *,
        prefix: str,
        events: Events,
        random: Random,
        settings: RabbitSettings = DEFAULTS,
        required: Collection[CellPath] | None = None,
    ) -> AsyncIterator[Self]:
        """Open the wire to brokers given by their URLs, one for all cells or one for each.

        Raises `TransportLost` when the broker of a `required` cell (of any cell, when None) is away.  To the others,
        and to each that is lost later, the connection is made as soon as it can be.
        """
        topology = Topology(prefix, queue_type=settings.queue_type, messages_max=settings.messages_max)
        urls: Sequence[tuple[CellPath | None, str]]
        urls = [(None, brokers)] if isinstance(brokers, str) else list(brokers.items())
        needed = {url for cell, url in urls if required is None or cell is None or cell in required}
        by_url: dict[str, _Broker] = {}
        async with AsyncExitStack() as stack:
            for url in dict.fromkeys(url for _cell, url in urls):
                by_url[url] = _Broker(url, topology, settings, events=events, random=random)
                stack.push_async_callback(by_url[url].close)
                if url in needed:
                    await by_url[url].open()
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for broker in by_url.values():
                broker.start(tasks)
            yield cls({cell: by_url[url] for cell, url in urls}, settings)
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

    async def dead_letters(self, cell: CellPath) -> tuple[DeadLetter, ...]:
        """List the frames that consumers in `cell` rejected, oldest first; they stay where they are."""
        queue = dead_letter_queue(cell)
        messages = await self._find(queue).peek(queue, count_max=DEAD_LETTERS_LISTED_MAX)
        return tuple(
            DeadLetter(Queue(cell, str(each.headers.get("queue"))), each.body, str(each.headers.get("reason")))
            for each in messages
        )

    def _find(self, queue: Queue) -> _Broker:
        broker = self._brokers.get(queue.cell) or self._brokers.get(None)
        if broker is None:
            raise Unroutable(cell=str(queue.cell), queue=queue.name)
        return broker


class _Broker:
    """A broker: the queues and consumers that are to exist there, and the present session with it, if there is one."""

    def __init__(
        self, url: str, topology: Topology, settings: RabbitSettings, *, events: Events, random: Random
    ) -> None:
        self._url = make_url(url, heartbeat=settings.heartbeat_s, name=topology.prefix)
        self.name = f"{self._url.host}:{self._url.port or AMQP_PORTS.get(self._url.scheme)}"
        self.topology = topology
        self.settings = settings
        self.events = events
        self._random = random
        self._tasks: TaskGroup | None = None
        self._window = anyio.Semaphore(settings.window)
        self._declared: dict[Queue, None] = {}
        self.consumers: dict[Consumer, None] = {}
        self._session: _Session | None = None
        self._opened = anyio.Event()

    async def call(self, call: Awaitable[T], queue: Queue | None = None) -> T:
        """Await a call of the client library, which all go through here to the guard."""
        return await guard(call, subject=self._subject(queue), deadline_s=self.settings.deadline_s)

    def start(self, tasks: TaskGroup) -> None:
        """Run what keeps the connection, and later the consumers, in `tasks`."""
        self._tasks = tasks
        tasks.start_soon(self._keep)

    async def open(self) -> _Session:
        """Connect, and bring back the queues and the consumers."""
        session = _Session(Connection(self._url), self)
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
        self.events.emit("broker_connected", broker=self.name, consumers=len(consumers))
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
        async with session.side_channel() as channel:
            await self.call(channel.queue_delete(self.topology.name(queue)))

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Publish a frame to a queue."""
        async with self._window:
            await (await self._present()).publish(queue, Message(frame))

    async def peek(self, queue: Queue, *, count_max: int) -> list[AbstractIncomingMessage]:
        """Look at the oldest messages of a queue; they go back when the channel is closed."""
        messages: list[AbstractIncomingMessage] = []
        session = await self._present()
        with suppress(Unroutable):
            async with session.side_channel() as channel:
                source = await self.call(channel.get_queue(self.topology.name(queue), ensure=False))
                while len(messages) < count_max and (message := await self.call(source.get(fail=False))) is not None:
                    messages.append(message)
        return messages

    @asynccontextmanager
    async def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AsyncIterator[None]:
        """Keep a consumer on a queue, over as many sessions as it takes."""

        async def bury(frame: bytes, reason: str) -> None:
            await self._bury(queue, frame, reason)

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

    async def _bury(self, queue: Queue, frame: bytes, reason: str) -> None:
        headers = {"queue": queue.name, "cell": str(queue.cell), "reason": reason[:REASON_CHARS_MAX]}
        try:
            session = await self._present()
            await session.publish(dead_letter_queue(queue.cell), Message(frame, headers=dict(headers)))
        except CellferryError as error:
            self.events.emit("dead_letter_failed", queue=str(queue), reason=str(error))
            raise
        self.events.emit("frame_dead_lettered", queue=str(queue), reason=reason)

    async def _present(self) -> _Session:
        """Wait at the gate for a session, but not for long."""
        if self._session is None:
            with anyio.move_on_after(self.settings.deadline_s):
                await self._opened.wait()
        if self._session is None:
            raise self._subject().lost(f"not connected within {self.settings.deadline_s:g} s")
        return self._session

    async def _keep(self) -> None:
        """Make the connection again whenever it is lost."""
        attempt = 0
        while True:
            try:
                session = self._session or await self.open()
                attempt = 0
                reason = await session.wait_until_lost()
            except (TransportLost, Unroutable) as error:
                reason = str(error)
            await self.close()
            self.events.emit("broker_lost", broker=self.name, attempt=attempt, reason=reason)
            wait_s = min(self.settings.reconnect_max_s, self.settings.reconnect_min_s * 2**attempt)
            await anyio.sleep(wait_s * (0.5 + self._random.uniform()))
            attempt = min(attempt + 1, 16)  # Its power of two stays small.

    def _subject(self, queue: Queue | None = None) -> Subject:
        if queue is None:
            return Subject(cell="every cell", broker=self.name)
        full = self.settings.messages_max
        return Subject(cell=str(queue.cell), broker=self.name, queue=queue.name, messages_max=full)


class _Session:
    """One life of a connection.  When anything in it breaks, all of it is given up, and another begins."""

    def __init__(self, connection: Connection, broker: _Broker) -> None:
        self._connection = connection
        self._broker = broker
        self._exchange: AbstractExchange | None = None
        self._channels: dict[Consumer, AbstractChannel] = {}
        self._echo = anyio.Event()
        self._echo_queue: AbstractQueue | None = None
        self._lost = anyio.Event()
        self._reason = ""

    async def open(self) -> None:
        """Connect, and open what lives as long as the session."""
        await self._broker.call(self._connection.connect())
        self._connection.close_callbacks.add(self._on_close)
        channel = await self._open_channel(publishing=True)
        self._exchange = await self._broker.call(channel.get_exchange(self._broker.topology.exchange, ensure=False))
        with suppress(Refused):  # Who may not configure has no queue to ping itself through.
            await self._open_echo()

    async def close(self) -> None:
        """Give the connection up."""
        self._fail("closed")
        with anyio.move_on_after(self._broker.settings.close_s, shield=True), suppress(CellferryError):
            await self._broker.call(self._connection.close())

    async def wait_until_lost(self) -> str:
        """Ping ourselves now and then, and return why the session is over."""
        missed = 0
        while missed < self._broker.settings.pings_missed_max:
            with anyio.move_on_after(self._broker.settings.ping_interval_s):
                await self._lost.wait()
                return self._reason
            missed = 0 if await self._ping() else missed + 1
        return f"{missed} self-pings were missed"

    async def publish(self, queue: Queue, message: Message) -> None:
        """Publish a message, and wait for the confirm."""
        await self._publish(self._broker.topology.name(queue), message, queue)

    async def declare(self, queue: Queue) -> None:
        """Declare a queue, durable or exclusive; where the broker refuses that, it must exist already."""
        call, topology = self._broker.call, self._broker.topology
        name, arguments = topology.name(queue), topology.arguments(queue)
        try:
            async with self.side_channel() as channel:
                alone = queue.is_exclusive
                await call(channel.declare_queue(name, durable=not alone, exclusive=alone, arguments=dict(arguments)))
        except Refused as refused:
            self._broker.events.emit("queue_declare_refused", queue=str(queue), reason=refused.reason)
            async with self.side_channel() as channel:
                await call(channel.declare_queue(name, passive=True), queue)

    async def attach(self, consumer: Consumer) -> None:
        """Begin to consume on a channel of its own, from a queue that must exist."""
        call, queue, name = self._broker.call, consumer.queue, self._broker.topology.name(consumer.queue)
        channel = self._channels[consumer] = await self._open_channel()
        try:
            await call(channel.set_qos(prefetch_count=consumer.prefetch))
            source = await call(channel.declare_queue(name, passive=True), queue)
            underlay = await call(channel.get_underlay_channel())
            underlay.on_consumer_cancel_callbacks.add(partial(self._on_cancel, consumer))
            await call(source.consume(consumer.attach().take), queue)
        except BaseException:
            await self.detach(consumer)
            raise

    async def detach(self, consumer: Consumer) -> None:
        """Close a consumer's channel; what was not acknowledged goes back to its place in the queue."""
        if (channel := self._channels.pop(consumer, None)) is not None:
            await self._close_channel(channel)

    @asynccontextmanager
    async def side_channel(self) -> AsyncIterator[AbstractChannel]:
        """Open a channel for calls that the broker may refuse, for that closes the channel."""
        channel = await self._open_channel()
        channel.close_callbacks.discard(self._on_close)
        try:
            yield channel
        finally:
            await self._close_channel(channel)

    async def _open_channel(self, *, publishing: bool = False) -> AbstractChannel:
        """Open a channel whose end is the end of the session."""
        channel = self._connection.channel(publisher_confirms=publishing, on_return_raises=publishing)
        await self._broker.call(channel.initialize())
        channel.close_callbacks.add(self._on_close)
        return channel

    async def _close_channel(self, channel: AbstractChannel) -> None:
        channel.close_callbacks.discard(self._on_close)
        with anyio.move_on_after(self._broker.settings.close_s, shield=True), suppress(CellferryError):
            await self._broker.call(channel.close())

    async def _open_echo(self) -> None:
        """Consume from a queue of our own, which goes when the connection goes."""
        call = self._broker.call
        channel = await self._open_channel()
        channel.close_callbacks.discard(self._on_close)  # Until it is known that we may.
        queue = await call(channel.declare_queue(exclusive=True))
        await call(queue.consume(self._on_echo, no_ack=True))
        channel.close_callbacks.add(self._on_close)
        self._echo_queue = queue

    async def _ping(self) -> bool:
        """Tell whether a message to ourselves comes back in time."""
        with suppress(CellferryError), anyio.move_on_after(self._broker.settings.deadline_s):
            if self._echo_queue is None:
                async with self.side_channel():
                    return True
            self._echo = anyio.Event()
            await self._publish(self._echo_queue.name, Message(b""))
            await self._echo.wait()
            return True
        return False

    async def _publish(self, name: str, message: Message, queue: Queue | None = None) -> None:
        assert self._exchange is not None
        message.delivery_mode = DeliveryMode.PERSISTENT
        await self._broker.call(self._exchange.publish(message, name, mandatory=True), queue)

    def _fail(self, reason: str) -> None:
        if not self._lost.is_set():
            self._reason = reason
            self._lost.set()

    async def _on_echo(self, _message: AbstractIncomingMessage) -> None:
        self._echo.set()

    async def _on_cancel(self, consumer: Consumer, _frame: object) -> None:
        if consumer in self._broker.consumers:
            self._fail(f"the broker cancelled the consumer of {consumer.queue}")

    async def _on_close(self, _sender: object, error: BaseException | None) -> None:
        self._fail(f"{type(error).__name__}: {error}")
