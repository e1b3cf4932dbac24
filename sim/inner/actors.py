"""An actor of the inner level: mailbox lanes, exactly-once effects and answers, as in `actors.kernel.actor`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import attrs

from actors.kernel.ports import Accepted, Fresh
from protocol.effects.registry import Moment, Refused, apply, gather
from protocol.errors import (
    CellferryError,
    Expired,
    Stale,
    StaleEpoch,
    Superseded,
    UnknownMethod,
)
from protocol.requests import Close, Done, Poison
from sim.history import Begun, Carried, Closed, Looked
from sim.inner.coding import digest_of, refusal_of, reply_of
from sim.inner.memory import Command, Memory, Reply
from sim.inner.rows import Rows
from sim.points import AFTER_EFFECT, AFTER_REPLY, of_key
from sim.ports import EPOCH_US
from sim.refusals import DIRTY, REFUSES

if TYPE_CHECKING:
    from protocol.cell_path import Address
    from protocol.draft import Changes
    from protocol.requests import Request
    from sim.inner.messages import Question
    from sim.inner.setting import Setting

#: Refusals that are no outcome of the command itself: they are never stored as its reply.
_NO_OUTCOME: Final = (StaleEpoch, Superseded, Stale)
_FRESH: Final = Fresh(undoes_nothing=False)

#: What takes its time: it yields how long each part lasts, in seconds, and returns what came of it.
Working = Generator[float, None, Any]


def _nothing(_request: Any, _moment: Moment) -> None:
    """Accept without storing anything."""


def _as_it_is(_request: Any, result: Any, _moment: Moment) -> Any:
    return result


def _is_outcome(command: Command, error: CellferryError) -> bool:
    return command.key.is_plain and not error.is_retryable and not isinstance(error, _NO_OUTCOME)


@attrs.frozen(kw_only=True)
class Ensuring:
    """How a request is carried out on something that has no transactions: see `actors.kernel.handlers`."""

    ensure: Callable[[Any, Moment], Working]
    accept: Callable[[Any, Moment], None] = _nothing
    settle: Callable[[Any, Any, Moment], Any] = _as_it_is
    is_resumed: bool = True


@attrs.define(kw_only=True, eq=False)
class _Work:
    """A command that is being worked on; the question is None after a restart: nobody waits for an answer."""

    handler: Ensuring
    request: Any
    command: Command | None
    moment: Moment
    question: Question | None
    server: str
    working: Working


class Actor:
    """One actor with its mailbox, its rows and what it remembers."""

    def __init__(self, me: Address, setting: Setting, *, name: str = "") -> None:
        """Make it; `name` is that of its process, when several share an address."""
        self.me = me
        self.name = name or str(me)
        self.cell = me.cell
        self.setting = setting
        self.process = setting.process(self.name)
        self.effects: frozenset[type[Request[Any]]] = frozenset()  # What it carries out in a transaction.
        self.memory = Memory()
        self.rows = Rows()
        self._path = str(me.cell)
        self._lanes: dict[str, deque[tuple[Question, float]]] = {}  # Of the servers that it is busy with.
        self.process.when_crashed.append(self._crash)
        self.process.when_started.append(self._reconcile)

    @cached_property
    def ensurings(self) -> dict[type[Request[Any]], Ensuring]:
        """List the requests that it carries out outside of transactions, and how."""
        return {}

    def tell(self, changes: Changes) -> None:
        """Pass on what a change is news to."""

    def forget(self) -> None:
        """Let go of all rows and commands."""
        self.memory, self.rows = Memory(), Rows()

    def _crash(self) -> None:
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            # What it has not acknowledged comes again to its successor.
            for question, _ in lane:
                question.arrive()

    def _reconcile(self) -> None:
        """Finish, after a restart, what was accepted and never answered."""
        for command in self.memory.unfinished():
            handler = self.ensurings[type(command.request)]
            if handler.is_resumed:
                self._set_to_work(handler, command.request, command, self.moment(command, _FRESH), None)

    # --- intake ----------------------------------------------------------------------------------------------

    def receive(self, question: Question) -> None:
        """Take a question: those about one server are carried out one at a time, in the order of their arrival."""
        lane = self._lanes.get(question.server) if question.server else None
        if lane is not None:
            lane.append((question, self.setting.agenda.now_s))
        else:
            self._handle(question)

    def _handle(self, question: Question) -> None:
        request = question.request
        kind = type(request)
        try:
            if isinstance(request, Close):
                reply = self._close(question, request)
            elif kind in self.effects or kind is Poison:
                reply = self._transact(request, question)
            elif (handler := self.ensurings.get(kind)) is not None:
                found = self._ensure(handler, question)
                if found is None:
                    return
                reply = found
            else:
                raise UnknownMethod(method=question.method, actor=self.name)
        except CellferryError as error:
            reply = self._remembered(question.command, error)
        self._reply(question, reply)

    def _reply(self, question: Question | None, reply: Reply) -> None:
        """Answer, unless the actor dies or stands still at the very point between effect and answer."""
        if question is None or not self.process.is_up:
            return
        command = question.command
        if command is None or not self.setting.has_points:
            self.setting.network.answer(question, reply)
            return
        self.setting.pass_point(of_key(command.text, AFTER_EFFECT), self.name)
        if self.process.is_going:
            self._reply_late(question, reply, command.text)
        else:
            self.process.later(0.0, self._reply_late, question, reply, command.text)

    def _reply_late(self, question: Question, reply: Reply, key: str) -> None:
        self.setting.network.answer(question, reply)
        self.setting.pass_point(of_key(key, AFTER_REPLY), self.name)

    # --- transactions ------------------------------------------------------------------------------------------

    def _close(self, question: Question, request: Close) -> Reply:
        self.setting.check_store(self.name)
        self.memory.close(request.conversation, request.server, question.epoch, request.lowest_open)
        self.setting.history.record(
            Closed(
                process=self.name, conversation=request.conversation, server=request.server, epoch=question.epoch,
                lowest_open=request.lowest_open,
            )
        )  # fmt: skip
        return reply_of(Done())

    def _transact(self, request: Request[Any], question: Question) -> Reply:
        verdict, command = _FRESH, question.command
        if command is not None:
            found = self._look(command)
            if type(found) is Reply:
                return found
            if type(found) is Fresh:
                verdict = found
        is_unsure = self.setting.check_store(self.name)
        # Here nothing rolls back: what is to fail when all is done must not begin.
        self._strike(command, DIRTY)
        value = self.carry_out(request, self.moment(command, verdict, str(question.asker.cell)))
        is_refused = isinstance(value, Refused)
        reply = refusal_of(value.error, cell=self._path) if is_refused else reply_of(value)
        if command is not None and (not is_refused or _is_outcome(command, value.error)):
            self._settle(command, reply)
        if is_unsure:
            raise self.setting.unsure(self.name)
        return reply

    def carry_out(self, request: Request[Any], moment: Moment) -> Any:
        """Load, decide and save."""
        if type(request) is Poison:
            return Done()
        needs, rows = gather(request, self.rows.load)
        changes, value = apply(rows, request, moment, needs=needs)
        if changes.has_rows:
            self.rows.save(changes)
        if changes.has_rows or changes.tells:
            self.tell(changes)
        return value

    def moment(self, command: Command | None, verdict: Fresh, sender: str = "") -> Moment:
        """Tell when and where a command is carried out."""
        return Moment(
            now_us=EPOCH_US + self.setting.agenda.now_ns // 1000,
            cell=self._path,
            key=command.text if command is not None else "",
            undoes_nothing=verdict.undoes_nothing,
            sender=sender,
        )

    def _strike(self, command: Command | None, how: str) -> None:
        """Fail a command if a scenario says so."""
        if command is not None and self.setting.refusals.open:
            method = type(command.request).METHOD.name
            self.setting.refusals.strike(self.name, server=command.server, method=method, key=command.key, how=how)

    def _look(self, command: Command) -> Fresh | Accepted | Reply:
        self._strike(command, REFUSES)
        try:
            found = self.memory.look(command)
        except CellferryError as error:
            self._note_look(command, error.code)
            raise
        if type(found) is Reply:
            self._note_look(command, "known")
        elif type(found) is Accepted:
            self._note_look(command, "accepted")
        else:
            self._note_look(command, "fresh")
        return found

    def _note_look(self, command: Command, verdict: str) -> None:
        self.setting.history.record(
            Looked(
                process=self.name, key=command.text, server=command.server, epoch=command.epoch,
                method=type(command.request).METHOD.name, verdict=verdict,
            )
        )  # fmt: skip

    def _settle(self, command: Command, reply: Reply) -> None:
        self.memory.settle(command, reply)
        self.setting.history.record(
            Carried(
                process=self.name, key=command.text, server=command.server, epoch=command.epoch,
                method=type(command.request).METHOD.name, reply=digest_of(reply), is_error=reply.is_error,
            )
        )  # fmt: skip

    def _remembered(self, command: Command | None, error: CellferryError) -> Reply:
        """Store what a plain call is refused with, so that the same call is always refused alike; a step's is not."""
        refusal = refusal_of(error, cell=self._path)
        if command is None or not _is_outcome(command, error):
            return refusal
        try:
            is_unsure = self.setting.check_store(self.name)
            found = self._look(command)
        except CellferryError as other:
            return refusal_of(other, cell=self._path)
        if type(found) is Reply:
            return found
        self._settle(command, refusal)
        return refusal if not is_unsure else refusal_of(self.setting.unsure(self.name), cell=self._path)

    # --- ensuring ----------------------------------------------------------------------------------------------

    def _ensure(self, handler: Ensuring, question: Question) -> Reply | None:
        """Accept a command and begin to work on it; give the reply when there is one at once."""
        request, command = question.request, question.command
        moment = self.moment(command, _FRESH)
        if command is not None:
            found = self._look(command)
            if type(found) is Reply:
                return found
            if type(found) is Fresh:
                moment = self.moment(command, found)
                if found.undoes_nothing and request.reply_type() is Done:
                    self.setting.check_store(self.name)
                    reply = reply_of(Done())
                    self._settle(command, reply)
                    return reply
                self._accept(handler, command, moment)
        self._set_to_work(handler, request, command, moment, question)
        return None

    def _accept(self, handler: Ensuring, command: Command, moment: Moment) -> None:
        is_unsure = self.setting.check_store(self.name)
        handler.accept(command.request, moment)
        self.memory.accept(command)
        self.setting.history.record(
            Begun(
                process=self.name, key=command.text, server=command.server, epoch=command.epoch,
                method=type(command.request).METHOD.name,
            )
        )  # fmt: skip
        if is_unsure:
            raise self.setting.unsure(self.name)
        self.setting.pass_point(of_key(command.text, AFTER_EFFECT), self.name)

    def _set_to_work(
        self, handler: Ensuring, request: Any, command: Command | None, moment: Moment, question: Question | None
    ) -> None:
        server = question.server if question is not None else command.server if command is not None else ""
        if server:
            self._lanes.setdefault(server, deque())
        work = _Work(
            handler=handler, request=request, command=command, moment=moment, question=question, server=server,
            working=handler.ensure(request, moment),
        )  # fmt: skip
        if self.process.is_going:
            self._work_on(work)
        else:
            # Struck at the very point between accepting and doing.
            self.process.later(0.0, self._work_on, work)

    def _work_on(self, work: _Work) -> None:
        try:
            delay_s = next(work.working)
        except StopIteration as ended:
            reply = self._settled(work, ended.value)
        except CellferryError as error:
            reply = self._remembered(work.command, error)
        else:
            self.process.later(delay_s, self._work_on, work)
            return
        if not self.process.is_up:
            return
        self._reply(work.question, reply)
        if work.server:
            self._serve_next(work.server)

    def _settled(self, work: _Work, result: Any) -> Reply:
        try:
            is_unsure = self.setting.check_store(self.name)
            self._strike(work.command, DIRTY)
            reply = reply_of(work.handler.settle(work.request, result, work.moment))
            if work.command is not None:
                self._settle(work.command, reply)
            if is_unsure:
                raise self.setting.unsure(self.name)
        except CellferryError as error:
            return refusal_of(error, cell=self._path)
        return reply

    def _serve_next(self, server: str) -> None:
        lane = self._lanes.pop(server, None)
        while lane:
            question, arrived_s = lane.popleft()
            if self.setting.agenda.now_s - arrived_s > question.budget_s > 0:
                self._reply(question, refusal_of(Expired(method=question.method), cell=self._path))
                continue
            self._handle(question)
            if (busy := self._lanes.get(server)) is not None:
                busy.extend(lane)
                return
