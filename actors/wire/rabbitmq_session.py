"""One life of a connection to RabbitMQ, with all that lives on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Protocol, TypeVar

import anyio
from aio_pika import Connection, DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage, AbstractQueue

from actors.kernel.ports import Events, Queue
from actors.wire.guard import Refused
from actors.wire.identities import way
from actors.wire.rabbitmq_consumer import Consumer
from actors.wire.topology import RabbitSettings, Topology
from protocol.errors import CellferryError

T = TypeVar("T")


class Broker(Protocol):
    """A broker, as far as a session with it needs to know it."""

    topology: Topology
    settings: RabbitSettings
    user: str  # Who we are to it; empty: one of many.
    events: Events
    consumers: dict[Consumer, None]

    async def call(self, call: Awaitable[T], queue: Queue | None = None) -> T:
        """Await a call of the client library."""
        ...


class Session:
    """One life of a connection.  When anything in it breaks, all of it is given up, and another begins."""

    def __init__(self, connection: Connection, broker: Broker) -> None:
        self._connection = connection
        self._broker = broker
        self._publishing: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._channels: dict[Consumer, AbstractChannel] = {}
        self._echo = anyio.Event()
        self._echo_queue: AbstractQueue | None = None
        self._lost = anyio.Event()
        self._reason = ""

    async def open(self) -> None:
        """Connect, and open what lives as long as the session."""
        await self._broker.call(self._connection.connect())
        self._connection.close_callbacks.add(self._on_close)
        self._publishing = await self._open_channel(publishing=True)
        if not self._broker.user:
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
        exchange, key = way(self._broker.topology, queue, is_named=bool(self._broker.user))
        if self._broker.user:  # The broker takes it from nobody else.
            message.user_id = self._broker.user
        await self._publish(exchange, key, message, queue)

    async def declare(self, queue: Queue) -> None:
        """Declare a queue, durable or exclusive; where the broker refuses that, it must exist already."""
        call, topology = self._broker.call, self._broker.topology
        name, arguments = topology.name(queue), topology.arguments(queue)
        if self._broker.user:
            await self._declare_named(queue)
            return
        try:
            async with self.side_channel() as channel:
                alone = queue.is_exclusive
                await call(channel.declare_queue(name, durable=not alone, exclusive=alone, arguments=dict(arguments)))
        except Refused as refused:
            self._broker.events.emit("queue_declare_refused", queue=str(queue), reason=refused.reason)
            async with self.side_channel() as channel:
                await call(channel.declare_queue(name, passive=True), queue)

    async def _declare_named(self, queue: Queue) -> None:
        """Look whether the queue is there, for somebody else makes it; but that of one who is passing is his own."""
        call, topology = self._broker.call, self._broker.topology
        name = topology.name(queue)
        async with self.side_channel() as channel:
            if not queue.is_exclusive:
                await call(channel.declare_queue(name, passive=True), queue)
                return
            arguments = topology.arguments(queue)
            made = await call(channel.declare_queue(name, durable=False, exclusive=True, arguments=dict(arguments)))
            exchange, key = way(topology, queue, is_named=True)
            await call(made.bind(exchange, key), queue)

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
            await self._publish("", self._echo_queue.name, Message(b""))
            await self._echo.wait()
            return True
        return False

    async def _publish(self, exchange: str, key: str, message: Message, queue: Queue | None = None) -> None:
        assert self._publishing is not None
        found = self._exchanges.get(exchange)
        if found is None:
            found = await self._broker.call(self._publishing.get_exchange(exchange, ensure=False))
            self._exchanges[exchange] = found
        message.delivery_mode = DeliveryMode.PERSISTENT
        await self._broker.call(found.publish(message, key, mandatory=True), queue)

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
