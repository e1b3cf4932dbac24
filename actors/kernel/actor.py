"""An actor: takes messages from its queue, carries each out exactly once, and answers."""

from __future__ import annotations

import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, Final, assert_never

import anyio

from actors.kernel.frames import take_apart
from actors.kernel.handlers import Ensuring, Handler, Transactional, as_it_is
from actors.kernel.leaving import Leaving
from actors.kernel.mailbox import MAILBOX_MAX, Letter, Mailbox
from actors.kernel.metrics import ENVELOPES_RECEIVED, ENVELOPES_REFUSED, HANDLERS, MAILBOX_LETTERS, OTHER, watched
from actors.kernel.ports import Accepted, Closing, Command, Connection, Fresh, Known, Queue
from actors.kernel.workers import Workers
from protocol.bodies import decode_body, encode_body
from protocol.effects.registry import Moment, Refused
from protocol.envelope import Targeted
from protocol.errors import (
    CellferryError,
    Expired,
    InternalError,
    Malformed,
    Overflow,
    Stale,
    StaleEpoch,
    Superseded,
    UnknownMethod,
    report,
)
from protocol.errors_wire import decode_error, encode_error
from protocol.requests import Close, Done, Poison

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from anyio.abc import TaskStatus

    from actors.kernel.ports import Clock, Delivery, Inbox, Store
    from actors.kernel.post import Post
    from actors.kernel.workers import Starter
    from protocol.envelope import Envelope

PREFETCH: Final = 64
#: Refusals that are no outcome of the command itself: they are never stored as its reply.
_NO_OUTCOME: Final = (StaleEpoch, Superseded, Stale)

Reply = tuple[bytes, bool]


class Actor:
    """One replica of an actor, with its queue, its handlers, its store and what it remembers."""

    def __init__(
        self, *, post: Post, store: Store, inbox: Inbox, clock: Clock, handlers: Iterable[Handler],
        background: Iterable[Callable[[], Any]] = (), stored: Callable[[], None] = lambda: None,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        self.post = post
        self.store = store
        self.inbox = inbox
        self.clock = clock
        self._handlers = {handler.request.METHOD.name: handler for handler in handlers}
        self._background = tuple(background)
        self._stored = stored
        self._prepare = prepare
        poison = Transactional(request=Poison, run=lambda _connection, _request, _moment: Done())
        self._handlers.setdefault(Poison.METHOD.name, poison)
        self._mailbox = Mailbox(self._handle)
        self._leaving = Leaving()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Finish what a crash interrupted, then take messages until cancelled, or asked to leave."""
        queue = Queue(self.post.me.cell, self.post.me.mailbox)
        await self.post.wire.declare(queue)
        self._mailbox = Mailbox(self._handle)  # What an earlier run left unfinished comes again, or is reconciled.
        if self._prepare is not None:
            await self._prepare()
        await self._reconcile()
        with watched(self.post.events.meters, MAILBOX_LETTERS, self._letters):
            async with anyio.create_task_group() as tasks:
                for work in self._background:
                    tasks.start_soon(work)
                async with self.post.wire.consume(queue, partial(self._receive, Workers(tasks)), prefetch=PREFETCH):
                    task_status.started()
                    await self._leaving.asked()
                    await self._mailbox.emptied()
                tasks.cancel_scope.cancel()
        self._leaving.done()

    def _letters(self) -> dict[tuple[str, ...], float]:
        return {(self.post.role,): float(len(self._mailbox))}

    async def leave(self) -> None:
        """Take nothing more, finish and answer what was taken; then `run` returns, and the rest is for others."""
        await self._leaving.leave()

    async def _reconcile(self) -> None:
        for command in await self.store.transact(self.inbox.unfinished):
            handler = self._handlers.get(command.method)
            if isinstance(handler, Ensuring) and handler.is_resumed:
                await self._guarded(command.method, partial(self._go_on, handler, command))

    async def _go_on(self, handler: Ensuring, command: Command) -> Reply:
        moment = self._moment(str(command.key), Fresh(undoes_nothing=False))
        return await self._ensure(handler, decode_body(command.body, handler.request), command, moment)

    # --- intake ----------------------------------------------------------------------------------------------

    def _receive(self, tasks: Starter, delivery: Delivery) -> None:
        if self._leaving.is_asked:
            return  # Not settled, so that another replica gets it when this one is gone.
        envelopes, failure = take_apart(delivery.frame, _targeted)
        room = self._mailbox.room
        if len(envelopes) > room:
            failure = failure or Overflow(what=f"the mailbox of {self.post.me}", limit=MAILBOX_MAX)
            envelopes = envelopes[:room]
        last = partial(self.post.settle, delivery, self.post.me, failure)
        if not envelopes:
            last()
            return
        settle = _countdown(len(envelopes), last)
        for envelope in envelopes:
            self.post.events.meters.add(ENVELOPES_RECEIVED, self.post.role, self._called(envelope.method))
            self._mailbox.put(Letter(envelope, anyio.current_time(), _once(settle)), tasks)

    async def _handle(self, letter: Letter) -> None:
        envelope, since_s = letter.envelope, anyio.current_time()
        with self.post.events.traces.handling(envelope, self.post.me):
            body, is_error = await self._guarded(envelope.method, partial(self._carry_out, letter))
            if is_error:
                self._note_refusal(envelope.method, decode_error(body).code)
        took_s, outcome = anyio.current_time() - since_s, "refused" if is_error else "done"
        self.post.events.meters.observe(HANDLERS, took_s, self._called(envelope.method), outcome)
        # Whatever was to be stored is stored; a letter that is settled already (an ensuring one) is not settled twice.
        letter.settle()
        self._stored()
        await self.post.answer(envelope, body, is_error=is_error)

    async def _guarded(self, method: str, work: Callable[[], Any]) -> Reply:
        """Turn whatever goes wrong into an error answer: the actor lives on."""
        try:
            return await work()  # type: ignore[no-any-return]  # partial loses what it was made of
        except CellferryError as error:
            return self._refusal(error), True
        except Exception as error:  # noqa: BLE001  the actor's edge: our mistake must not cost others their actor
            self.post.events.emit("handler_failed", actor=str(self.post.me), method=method, error=repr(error))
            internal = InternalError(actor=str(self.post.me), method=method, text=repr(error))
            text = "".join(traceback.format_exception(error))
            return encode_error(report(internal, cell=str(self.post.me.cell), traceback=text)), True

    def _note_refusal(self, method: str, code: str) -> None:
        self.post.events.meters.add(ENVELOPES_REFUSED, self._called(method), code)
        self.post.events.traces.failed(code)

    def _called(self, method: str) -> str:
        """Give a method's name for a label: whoever sends may call it anything."""
        return method if method in self._handlers or method == Close.METHOD.name else OTHER

    # --- carrying out ----------------------------------------------------------------------------------------

    async def _carry_out(self, letter: Letter) -> Reply:
        envelope = letter.envelope
        if anyio.current_time() - letter.arrived_s > envelope.budget_s > 0:
            raise Expired(method=envelope.method)
        if envelope.method == Close.METHOD.name:
            return await self._close(envelope)
        handler = self._handlers.get(envelope.method)
        if handler is None:
            raise UnknownMethod(method=envelope.method, actor=str(self.post.me))
        request = decode_body(envelope.body, handler.request)
        command = _command(envelope)
        match handler:
            case Transactional():
                return await self._transact(handler, request, command, str(envelope.source.cell))
            case Ensuring():
                return await self._begin_ensuring(handler, request, command, letter)
            case _:
                assert_never(handler)

    async def _close(self, envelope: Targeted) -> Reply:
        request = decode_body(envelope.body, Close)
        closing = Closing(
            conversation=request.conversation, server=request.server, epoch=envelope.epoch,
            lowest_open=request.lowest_open,
        )  # fmt: skip
        await self.store.transact(self.inbox.close, closing)
        return encode_body(Done()), False

    async def _transact(self, handler: Transactional, request: Any, command: Command | None, sender: str) -> Reply:
        now_us = self.clock.now_us()

        def work(connection: Connection) -> Reply:
            verdict = Fresh(undoes_nothing=False)
            if command is not None:
                found = self.inbox.look(connection, command)
                if isinstance(found, Known):
                    return found.body, found.is_error
                verdict = found if isinstance(found, Fresh) else verdict
            moment = self._moment(str(command.key) if command else "", verdict, now_us, sender)
            value = handler.run(connection, request, moment)
            is_error = isinstance(value, Refused)
            reply = self._refusal(value.error) if isinstance(value, Refused) else encode_body(value)
            if command is not None and (not is_error or _is_outcome(command, value.error)):
                self.inbox.settle(connection, command, reply=reply, is_error=is_error)
            return reply, is_error

        try:
            return await self.store.transact(work)
        except CellferryError as error:
            return await self._remember_refusal(command, error)

    async def _remember_refusal(self, command: Command | None, error: CellferryError) -> Reply:
        """Store what a plain call is refused with, so that the same call is always refused alike.

        A step's refusal is not stored: it has left nothing, or (an ensuring one) is still being worked on.  The step
        is undone with poison, or, where its conversation can only go forward, asked again until it is done.
        """
        body = self._refusal(error)
        if command is None or not _is_outcome(command, error):
            return body, True
        return await self.store.transact(self._settle, command, body, is_error=True)

    def _refusal(self, error: CellferryError) -> bytes:
        return encode_error(report(error, cell=str(self.post.me.cell)))

    def _settle(self, connection: Connection, command: Command, body: bytes, *, is_error: bool) -> Reply:
        found = self.inbox.look(connection, command)
        if isinstance(found, Known):
            return found.body, found.is_error
        self.inbox.settle(connection, command, reply=body, is_error=is_error)
        return body, is_error

    async def _begin_ensuring(self, handler: Ensuring, request: Any, command: Command | None, letter: Letter) -> Reply:
        moment = self._moment("", Fresh(undoes_nothing=False))
        if command is not None:
            try:
                found, moment = await self.store.transact(self._accept, handler, request, command)
            except CellferryError as error:
                return await self._remember_refusal(command, error)
            if isinstance(found, Known):
                return found.body, found.is_error
            if moment.undoes_nothing and request.reply_type() is Done:
                return await self.store.transact(self._settle, command, encode_body(Done()), is_error=False)
            letter.settle()  # The wish is durable: should we die now, `_reconcile` goes on.
        return await self._ensure(handler, request, command, moment)

    def _accept(
        self,
        connection: Connection,
        handler: Ensuring,
        request: Any,
        command: Command,
    ) -> tuple[Fresh | Known | Accepted, Moment]:
        found = self.inbox.look(connection, command)
        verdict = found if isinstance(found, Fresh) else Fresh(undoes_nothing=False)
        moment = self._moment(str(command.key), verdict)
        if isinstance(found, Fresh) and not (found.undoes_nothing and request.reply_type() is Done):
            handler.accept(connection, request, moment)
            self.inbox.accept(connection, command)
        return found, moment

    async def _ensure(self, handler: Ensuring, request: Any, command: Command | None, moment: Moment) -> Reply:
        try:
            result = await handler.ensure(request, moment)
        except CellferryError as error:
            return await self._remember_refusal(command, error)
        if command is None and handler.settle is as_it_is:
            return encode_body(result), False  # There is nothing to store.

        def settle(connection: Connection) -> Reply:
            reply = encode_body(handler.settle(connection, request, result, moment))
            if command is not None:
                self.inbox.settle(connection, command, reply=reply, is_error=False)
            return reply, False

        return await self.store.transact(settle)

    def _moment(self, key: str, verdict: Fresh, now_us: int | None = None, sender: str = "") -> Moment:
        return Moment(
            now_us=self.clock.now_us() if now_us is None else now_us,
            cell=str(self.post.me.cell),
            key=key,
            undoes_nothing=verdict.undoes_nothing,
            sender=sender,
        )


def _targeted(envelope: Envelope) -> Targeted:
    if not isinstance(envelope, Targeted):
        raise Malformed(where="mailbox", what="only targeted envelopes are for actors")
    return envelope


def _command(envelope: Targeted) -> Command | None:
    if envelope.key is None:
        return None
    return Command(
        key=envelope.key, server=envelope.server, epoch=envelope.epoch, method=envelope.method, body=envelope.body
    )


def _is_outcome(command: Command, error: CellferryError) -> bool:
    """Tell whether a refusal is what a command is answered with from now on."""
    return command.key.is_plain and not error.is_retryable and not isinstance(error, _NO_OUTCOME)


def _countdown(count: int, last: Callable[[], None]) -> Callable[[], None]:
    """Give a function that calls `last` at its `count`-th call: a frame is settled when all its letters are."""
    left = count

    def settle() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            last()

    return settle


def _once(function: Callable[[], None]) -> Callable[[], None]:
    is_called = False

    def call() -> None:
        nonlocal is_called
        if not is_called:
            is_called = True
            function()

    return call
