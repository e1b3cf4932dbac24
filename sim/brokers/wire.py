"""A process's wire: its connections to simulated brokers, made again with all that lived on them when they are lost."""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from actors.kernel.ports import Outage
from protocol.errors import CellferryError, TooLarge, TransportLost, Unroutable
from sim.brokers.ground import CONFIRM, PUBLISH
from sim.brokers.links import Held
from sim.brokers.queues import Attachment, Consumer, Frame
from sim.brokers.rights import require_own, require_write
from sim.brokers.traffic import consumer_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

    from actors.kernel.ports import Queue, Receive
    from actors.wire.topology import DeadLetter
    from protocol.cell_path import CellPath
    from sim.brokers.cell_broker import CellBroker
    from sim.brokers.ground import Ground, Strike
    from sim.brokers.links import Links
    from sim.process import Process

PRESENT_S: Final = 5.0
"""How long a call waits for a connection that was lost."""

RECONNECT_S: Final = (0.25, 5.0)
"""How long it takes to reconnect to a broker that is back."""


class Sending:
    """A frame between its sender and the broker, and the sender's wait for the confirm."""

    def __init__(self, frame: Frame, done: asyncio.Future[None]) -> None:
        self.frame = frame
        self.done = done
        self.arrival: asyncio.TimerHandle | None = None  # While it is on its way.
        self.is_taken = False
        self.is_over = False


class Session:
    """A process's connection to one broker, over all its lives."""

    def __init__(self, wire: SimWire, broker: CellBroker) -> None:
        self._wire = wire
        self._ground = wire.ground
        self._process = wire.process
        self.broker = broker
        self.is_up = not broker.is_down
        self.outage = None if self.is_up else self._outage("connection refused")
        self.hangs: dict[Strike, None] = {}  # Nothing passes while there are any, and nobody notices.
        self.is_closed = False
        self._declared: dict[Queue, None] = {}
        self.consumers: dict[Consumer, None] = {}
        self._sendings: dict[Sending, None] = {}
        self._arrivals_s: dict[Queue, float] = {}
        self._waiting: list[asyncio.Future[None]] = []  # For the connection.
        self._hanging: list[asyncio.Future[None]] = []  # Until it is known to be lost.
        self._lives = 0
        self._reopening: asyncio.TimerHandle | None = None
        if not self.is_up:
            self.reopen_later()

    # --- life --------------------------------------------------------------------------------------------------

    async def present(self) -> None:
        """Wait for the connection, but not for long."""
        if not self.is_up:
            self._waiting.append(self._ground.loop.create_future())
            with anyio.move_on_after(PRESENT_S):
                await self._waiting[-1]
        if not self.is_up:
            why = f": {self.outage.reason}" if self.outage is not None else ""
            raise self.lost(f"not connected within {PRESENT_S:g} s{why}")

    async def answered(self) -> None:
        """Return when the broker has answered a call; a connection that hangs is lost before that."""
        if self.hangs:
            self._hanging.append(self._ground.loop.create_future())
            await self._hanging[-1]
        if not self.is_up:
            raise self.lost("it went away")

    def lost(self, reason: str) -> TransportLost:
        """Say that the broker was lost."""
        return TransportLost(cell=str(self.broker.cell), reason=reason)

    def _outage(self, reason: str) -> Outage:
        return Outage(since_s=self._ground.loop.time(), reason=reason)

    def lose(self, reason: str) -> None:
        """Lose the connection: consumers are detached, and of what is on its way some is taken and some is not."""
        if not self.is_up:
            return
        self.is_up = False
        self.outage = self._outage(reason)
        for sending in self._cut_off():
            self._finish(sending, self.lost(reason))
        self._detach_all()
        self.hangs.clear()
        _wake(self._hanging)
        self.reopen_later()

    def close(self) -> None:
        """End with the process: nobody hears of anything any more."""
        self.is_closed = True
        self.is_up = False
        for sending in self._cut_off():
            sending.is_over = True
        self._sendings.clear()
        self._detach_all()
        if self._reopening is not None:
            self._reopening.cancel()

    def reopen_later(self) -> None:
        """Connect again some time after the broker is back."""
        if self.is_up or self.is_closed or self.broker.is_down or self._reopening is not None:
            return
        self._lives += 1
        about = ("reconnect", self._process.name, self._process.run, self.broker.cell, self._lives)
        self._reopening = self._ground.later(self._ground.chance.between(*RECONNECT_S, *about), self.reopen)

    def reopen(self) -> None:
        """Connect, and bring back the queues and the consumers; a process that stands still does it afterwards."""
        self._reopening = None
        if self.is_up or self.is_closed or self.broker.is_down or self._process.is_frozen:
            return
        self.is_up = True
        self.outage = None
        for queue in self._declared:
            self.broker.declare(queue)
        for consumer in self.consumers:
            self._attach(consumer)
        _wake(self._waiting)

    @property
    def is_deprived(self) -> bool:
        """Tell whether the broker cancelled a consumer of it, which it has not noticed."""
        return any(consumer.attachment is not None and consumer.attachment.is_void for consumer in self.consumers)

    def wake(self) -> None:
        """Go on after the process stood still."""
        for consumer in tuple(self.consumers):
            if consumer.attachment is not None:
                consumer.attachment.wake()
        if not self.is_up:
            self.reopen_later()

    def hang(self, strike: Strike) -> None:
        """Let nothing pass from now on, without anybody noticing; a connection that is lost anyway cannot hang."""
        if not self.is_up:
            return
        self.hangs[strike] = None
        for consumer in self.consumers:
            if consumer.attachment is not None:
                consumer.attachment.is_hung = True
        if self._sendings:
            strike.matter()

    def _cut_off(self) -> list[Sending]:
        """Take off the wire what is on its way: what the broker read of it arrives, the rest of the stream does not."""
        sendings, is_read = list(self._sendings), True
        for sending in sendings:
            if sending.arrival is None:
                continue
            is_read = is_read and self._ground.chance.hits(0.5, "cut off", sending.frame.key)
            sending.arrival.cancel()
            sending.arrival = None
            if is_read:
                sending.is_taken = True
                self.broker.take(sending.frame)
        return sendings

    # --- queues and consumers ----------------------------------------------------------------------------------

    def declare(self, queue: Queue) -> None:
        """Make a queue exist, now and after each time the broker was lost."""
        self.broker.declare(queue)
        self._declared[queue] = None

    def forget(self, queue: Queue) -> None:
        """Want a queue no more; consumers that it has here get nothing any more."""
        self._declared.pop(queue, None)
        for consumer in [each for each in self.consumers if each.queue == queue]:
            self.close_consumer(consumer)

    def open_consumer(self, consumer: Consumer) -> None:
        """Begin to consume from a queue that must exist."""
        if consumer.queue not in self.broker.queues:
            raise Unroutable(cell=str(self.broker.cell), queue=consumer.queue.name)
        self._attach(consumer)
        self.consumers[consumer] = None
        self._declared[consumer.queue] = None

    def close_consumer(self, consumer: Consumer) -> None:
        """Consume no more; what is settled by now stays settled."""
        self.consumers.pop(consumer, None)
        if (attachment := consumer.attachment) is not None and not attachment.is_void:
            attachment.flush()
            attachment.source.detach(attachment)
        consumer.attachment = None

    def _attach(self, consumer: Consumer) -> None:
        source = self.broker.queues[consumer.queue]
        when_silent = partial(self.lose, "no heartbeat")
        consumer.attachment = Attachment(self._ground, consumer, source, when_silent=when_silent)
        consumer.attachment.is_hung = bool(self.hangs)
        source.attach(consumer.attachment)

    def _detach_all(self) -> None:
        for consumer in self.consumers:
            if (attachment := consumer.attachment) is not None:
                attachment.source.detach(attachment)
            consumer.attachment = None

    # --- sending -----------------------------------------------------------------------------------------------

    async def send(self, queue: Queue, data: bytes) -> None:
        """Publish a frame, and wait for the confirm."""
        if not self.is_up:
            self.broker.miss()
            await self.present()
        process = self._process
        sending = Sending(Frame.make(self._ground, process.name, queue, data), self._ground.loop.create_future())
        self._sendings[sending] = None
        receiver = consumer_of(queue)
        if self.hangs:
            for strike in self.hangs:
                strike.matter()
        elif self._wire.links.holds(process.name, receiver):
            held = Held(
                self._ground.loop.time(), depart=partial(self._depart, sending), fail=partial(self._fail, sending)
            )
            self._wire.links.hold(process.name, receiver, held)
        else:
            self._depart(sending)
        await sending.done

    def _depart(self, sending: Sending) -> None:
        if sending.is_over or self.hangs:
            return
        frame, ground = sending.frame, self._ground
        at_s = ground.loop.time() + ground.latency_s(frame.draw, PUBLISH)
        at_s = self._arrivals_s[frame.queue] = max(at_s, self._arrivals_s.get(frame.queue, 0.0))
        sending.arrival = ground.at(at_s, self._arrive, sending)

    def _arrive(self, sending: Sending) -> None:
        sending.arrival = None
        sending.is_taken = True
        outcome = self.broker.take(sending.frame)
        self._ground.later(self._ground.latency_s(sending.frame.draw, CONFIRM), self._confirm, sending, outcome)

    def _confirm(self, sending: Sending, outcome: CellferryError | None) -> None:
        if not self.hangs:
            self._finish(sending, outcome)

    def _fail(self, sending: Sending) -> None:
        self._finish(sending, self.lost("no answer"))

    def _finish(self, sending: Sending, outcome: CellferryError | None) -> None:
        if sending.is_over:
            return
        sending.is_over = True
        del self._sendings[sending]
        if sending.done.done():  # Its sender was cancelled.
            return
        if outcome is None:
            sending.done.set_result(None)
        else:
            sending.done.set_exception(outcome)

    @property
    def sending(self) -> int:
        """Count the frames that are on their way to a queue."""
        return sum(not sending.is_taken for sending in self._sendings)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()


class SimWire:
    """The port `Wire` of one process.  With the process goes all that it has here."""

    def __init__(self, ground: Ground, links: Links, process: Process, find: Callable[[CellPath], CellBroker]) -> None:
        self.ground = ground
        self.links = links
        self.process = process
        self.sessions: dict[CellPath, Session] = {}
        self._find = find

    async def declare(self, queue: Queue) -> None:
        """Make the queue exist; declaring it again changes nothing."""
        (await self._reach(queue, "declare")).declare(queue)

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Return once the queue has taken the frame."""
        limit = self.ground.frame_bytes_max
        if len(frame) > limit:
            raise TooLarge(what=f"a frame to {queue}", size=len(frame), limit=limit)
        if self.ground.has_rights:
            require_write(self.process.name, queue)
        if self.process.is_cut:
            await self.process.live()
        await self.session(queue.cell).send(queue, frame)
        if self.process.is_cut:
            await self.process.live()

    @asynccontextmanager
    async def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AsyncIterator[None]:
        """Hand the queue's frames to `receive` while the context is open."""
        assert prefetch >= 1, "a consumer without prefetch gets nothing"
        session = await self._reach(queue, "consume")
        consumer = Consumer(queue, receive, prefetch=prefetch, process=self.process, context=copy_context())
        session.open_consumer(consumer)
        try:
            yield
        finally:
            session.close_consumer(consumer)

    async def purge(self, queue: Queue) -> None:
        """Delete the queue with all that is in it; a missing queue is no error."""
        session = await self._reach(queue, "purge")
        session.forget(queue)
        session.broker.delete(queue, "purged")

    def outage(self, cell: CellPath) -> Outage | None:
        """Tell whether the process has no connection to the cell's broker; a link has one to each neighbour's."""
        return self.session(cell).outage

    def dead_letters(self, cell: CellPath) -> tuple[DeadLetter, ...]:
        """List the frames that consumers in `cell` rejected, oldest first."""
        return tuple(self._find(cell).dead)

    def session(self, cell: CellPath) -> Session:
        """Give the connection to a cell's broker."""
        found = self.sessions.get(cell)
        if found is None:
            broker = self._find(cell)
            found = self.sessions[cell] = Session(self, broker)
            broker.sessions[found] = None
        return found

    def vanish(self) -> None:
        """Let go of everything: the process was killed."""
        for session in self.sessions.values():
            session.broker.sessions.pop(session, None)
            session.close()

    def wake(self) -> None:
        """Go on after the process stood still."""
        if not self.process.is_frozen:
            for session in self.sessions.values():
                session.wake()

    async def _reach(self, queue: Queue, call: str) -> Session:
        """Wait for what a call to a broker takes, and give the connection."""
        if self.ground.has_rights:
            require_own(self.process.name, queue, call)
        await self.process.live()
        session = self.session(queue.cell)
        await session.present()
        about = f"{call} {self.process.name} {queue}"
        draw = self.ground.chance.uniform(about, self.ground.count(about))
        await anyio.sleep(self.ground.latency_s(draw, PUBLISH) + self.ground.latency_s(draw, CONFIRM))
        await session.answered()
        await self.process.live()
        return session
