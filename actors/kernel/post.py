"""How an actor speaks: calls, casts, gathers and answers, over the queues of its own cell."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs

from actors.kernel.calls import Calls
from actors.kernel.frames import take_apart
from actors.kernel.metrics import CALLS, CALLS_PENDING, ENVELOPES_SENT, known_method, role_of, watched
from actors.kernel.outlets import Outlets
from actors.kernel.ports import Queue
from protocol.authority import LINK, may_answer
from protocol.bodies import decode_body, encode_body
from protocol.cell_path import Address
from protocol.codec import encode
from protocol.dead_letters import reason_of
from protocol.envelope import Broadcast, Context, Direction, Key, Response, Targeted, answer
from protocol.errors import CallTimeout, CellferryError, ErrorReport, Forbidden, revive
from protocol.errors_wire import decode_error, encode_error
from protocol.gather import decode_answers
from protocol.pins import NEWEST, pinned
from protocol.requests import Gathered, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.kernel.ports import Delivery, Events, Ids, Wire
    from protocol.envelope import Envelope

R = TypeVar("R")
BUDGET_S: Final = 30.0
REPLY_PREFETCH: Final = 256
ANONYMOUS: Final = Context(request_id="")


@attrs.define
class Pin:
    """Which version of the messages a process writes: all its actors share it, and it may be lifted while they run."""

    version: int = NEWEST


@attrs.frozen(kw_only=True)
class Stamp:
    """What a call carries beside its request: whose server, which key, under which epoch, on whose behalf."""

    server: str = ""
    key: Key | None = None
    epoch: int = 0
    context: Context = ANONYMOUS


PLAIN: Final = Stamp()


def result_of(response: Response, request: Request[R]) -> R:
    """Read a reply; raise the error that the answer is."""
    if response.is_error:
        raise revive(decode_error(response.body))
    return decode_body(response.body, request.reply_type())  # type: ignore[no-any-return]  # reply_type is type[Any]


class Post:
    """One replica's way to all other actors.  Open it before use."""

    def __init__(
        self, *, me: Address, replies: str, wire: Wire, ids: Ids, events: Events, is_passing: bool = False,
        pin: Pin | None = None,
    ) -> None:  # fmt: skip
        """Answers come to the queue `replies`; of one who is passing, it goes when he goes."""
        self.me = me
        self.replies = Queue(me.cell, replies, is_exclusive=is_passing)
        self.wire = wire
        self.ids = ids
        self.events = events
        self.pin = pin or Pin()
        self.calls = Calls()
        self.role = role_of(me.mailbox)
        self._outlets: Outlets | None = None
        self._incarnation, self._sequence = "", 0  # Of the keys that it gives.

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Post]:
        """Take answers and send, until the context is left."""
        await self.wire.declare(self.replies)
        async with anyio.create_task_group() as tasks:
            self._outlets = Outlets(self.wire, tasks)
            with watched(self.events.meters, CALLS_PENDING, lambda: {(self.role,): float(len(self.calls))}):
                async with self.wire.consume(self.replies, self._receive, prefetch=REPLY_PREFETCH):
                    yield self
            if self.replies.is_exclusive:
                await self.wire.purge(self.replies)
            self._outlets = None
            tasks.cancel_scope.cancel()

    async def call(self, to: Address, request: Request[R], *, stamp: Stamp = PLAIN, budget_s: float = BUDGET_S) -> R:
        """Send a request and give its reply; raise the error it is answered with, or `CallTimeout`."""
        method = type(request).METHOD.name
        with self.events.traces.calling(method, to):
            envelope = self.targeted(to, method, encode_body(request), stamp=stamp, budget_s=budget_s)
            return result_of(await self.ask(envelope), request)

    async def cast(self, to: Address, request: Request[Any], *, stamp: Stamp = PLAIN) -> None:
        """Send a request and want no answer.  At most once: only where a loss repairs itself."""
        envelope = self.targeted(to, type(request).METHOD.name, encode_body(request), stamp=stamp)
        await self.send(attrs.evolve(envelope, call=False, reply_to=""))

    async def gather(
        self, request: Request[Any], *, direction: Direction = Direction.DOWN, budget_s: float = BUDGET_S,
        stamp: Stamp = PLAIN, include_self: bool = True,
    ) -> Gathered:  # fmt: skip
        """Ask every cell up or down the tree; give each one's answer, a value or an error."""
        envelope = Broadcast(
            id=self.ids.new(), method=type(request).METHOD.name,
            context=self.events.traces.carried(stamp.context), source=self.me,
            route=(self.me.cell,), call=True, reply_to=self.replies.name, budget_s=budget_s, server=stamp.server,
            key=self._key(request, stamp), epoch=stamp.epoch, body=encode_body(request), direction=direction,
            include_self=include_self,
        )  # fmt: skip
        response = await self.ask(envelope)
        if response.is_error:
            raise revive(decode_error(response.body))
        return Gathered(answers=decode_answers(response.body))

    async def ask(self, envelope: Targeted | Broadcast) -> Response:
        """Send a call and give its answer; raise `CallTimeout` when none comes within the envelope's budget."""
        asked = envelope.target if isinstance(envelope, Targeted) else Address(self.me.cell, LINK)
        since_s = anyio.current_time()
        pending = self.calls.open(envelope.id, until_s=since_s + envelope.budget_s, asked=asked)
        outcome = "failed"
        try:
            with anyio.move_on_after(envelope.budget_s):
                await self.send(envelope)
                outcome = "timeout"
                await pending.arrived.wait()
            if pending.answer is not None:
                outcome = "refused" if pending.answer.is_error else "answered"
        finally:
            self.calls.close(envelope.id)
            took_s = anyio.current_time() - since_s
            self.events.meters.observe(CALLS, took_s, known_method(envelope.method), outcome)
        if pending.answer is None:
            to = envelope.target if isinstance(envelope, Targeted) else f"{envelope.source.cell} {envelope.direction}"
            raise CallTimeout(address=str(to), method=envelope.method, waited_s=envelope.budget_s)
        return pending.answer

    async def answer(self, envelope: Targeted | Broadcast, body: bytes, *, is_error: bool) -> None:
        """Answer a call; a cast is answered by nothing."""
        if not envelope.call:
            return
        response = answer(envelope, id=self.ids.new(), source=self.me, body=body, is_error=is_error)
        try:
            await self.send(response)
        except CellferryError as error:
            # The asker will ask again, and the inbox will answer.
            self.events.emit("answer_lost", method=envelope.method, to=str(response.target), error=str(error))

    async def refuse(self, envelope: Targeted | Broadcast, report: ErrorReport) -> None:
        """Answer a call with an error."""
        await self.answer(envelope, encode_error(report), is_error=True)

    async def send(self, envelope: Envelope) -> None:
        """Put an envelope on its way: to the queue of its target here, or to the link of this cell."""
        if self.pin.version < NEWEST:
            envelope = pinned(envelope, self.pin.version)
        if isinstance(envelope, Broadcast) or envelope.target.cell != self.me.cell:
            await self.put(Queue(self.me.cell, LINK), envelope)
        else:
            await self.put(Queue(self.me.cell, envelope.target.mailbox), envelope)

    async def put(self, queue: Queue, envelope: Envelope) -> None:
        """Put an envelope into that very queue."""
        assert self._outlets is not None, "the post is not open"
        await self._outlets.put(queue, encode(envelope))
        self.events.meters.add(ENVELOPES_SENT, self.role, known_method(envelope.method))

    def targeted(
        self, to: Address, method: str, body: bytes, *, stamp: Stamp = PLAIN, budget_s: float = BUDGET_S
    ) -> Targeted:
        """Make the envelope of a call."""
        context = self.events.traces.carried(stamp.context)
        return Targeted(
            id=self.ids.new(), method=method, context=context, source=self.me, route=(self.me.cell,), call=True,
            reply_to=self.replies.name, budget_s=budget_s, server=stamp.server, key=stamp.key, epoch=stamp.epoch,
            body=body, target=to,
        )  # fmt: skip

    def _key(self, request: Request[Any], stamp: Stamp) -> Key | None:
        """Give a broadcast that may not run twice a key: doubled, two replicas of a cell may both carry it out."""
        if stamp.key is not None or type(request).METHOD.is_idempotent:
            return stamp.key
        self._incarnation = self._incarnation or self.ids.new().hex()
        self._sequence += 1
        return Key.plain(self._incarnation, self._sequence)

    def _receive(self, delivery: Delivery) -> None:
        answers, failure = take_apart(delivery.frame, self._admitted)
        for envelope in answers:
            if not isinstance(envelope, Response) or not self.take(envelope):
                self.events.emit("answer_unwanted", queue=str(self.replies), method=envelope.method)
        self.settle(delivery, self.replies, failure)

    def _admitted(self, envelope: Envelope) -> Envelope:
        """Refuse an answer of somebody who was not asked."""
        asked = self.calls.asked(envelope.answers) if isinstance(envelope, Response) else None
        if asked is not None and not may_answer(envelope, asked=asked, asker=self.me.cell):  # type: ignore[arg-type]  # it is a Response
            reason = f"{asked} was asked, and not {envelope.source}"
            raise Forbidden(sender=str(envelope.source.cell), method=envelope.method, reason=reason)
        return envelope

    def settle(self, delivery: Delivery, queue: object, failure: CellferryError | None) -> None:
        """Acknowledge a frame, or make it a dead letter for what was wrong with it."""
        if failure is None:
            delivery.ack()
            return
        reason = reason_of(failure)
        self.events.emit("dead_letter", queue=str(queue), reason=reason.value, error=str(failure))
        delivery.reject(reason.value, str(failure))

    def take(self, response: Response) -> bool:
        """Take an answer; tell whether it was waited for."""
        return self.calls.resolve(response)
