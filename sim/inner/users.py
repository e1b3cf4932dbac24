"""The users of an inner world: they place operations as `actors.client.Client` does, and follow them to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.client import ORDER_BUDGET_S, PATIENCE_S, PAUSE_S
from protocol.envelope import Key
from protocol.errors import CallTimeout, CellferryError, report, revive
from protocol.journal import Kind
from protocol.messages.changes import ChangeServer
from sim.history import Answered, Journaled, Ordered
from sim.inner.memory import Command, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.cell_path import CellPath
    from protocol.messages.orders import Order
    from sim.cases.workload import Op, Wish
    from sim.history import Line
    from sim.inner.conductor import Conductor
    from sim.inner.messages import Question
    from sim.inner.setting import Setting

INCARNATION = "client"


class _Placed:
    """An order that was placed, until it is answered."""

    def __init__(
        self, number: int, order: Wish, command: Command | None, then: Callable[[str | None], None]
    ) -> None:  # fmt: skip
        self.number = number
        self.order = order
        self.command = command
        self.then = then
        self.since_s = 0.0


class Users:
    """All users, who act through one client."""

    def __init__(self, setting: Setting, cell: CellPath, conductor_of: Callable[[], Conductor]) -> None:
        self.cell = cell
        self.process = setting.process(f"{cell}/client")
        self.sequence = 0
        self.waiting: dict[str, Op] = {}
        self._setting = setting
        self._conductor_of = conductor_of
        self._placed = 0
        self._asked: dict[int, _Placed] = {}
        self._over: dict[str, list[Callable[[], None]]] = {}
        self._done: dict[str, None] = {}
        self._after: dict[str, list[Op]] = {}
        setting.history.listeners.append(self._listen)

    # --- operations --------------------------------------------------------------------------------------------

    def carry_out(self, op: Op) -> None:
        """Place an operation at its time, and note when its conversation is over."""
        self.waiting[op.name] = op
        if op.after and op.after not in self._done:
            self._after.setdefault(op.after, []).append(op)
        else:
            self._setting.agenda.after(op.at_s, self._place_it, op)

    def _place_it(self, op: Op) -> None:
        def accepted(conversation: str | None) -> None:
            if conversation is None or self._is_over(conversation):
                self._end(op)
            else:
                self._over.setdefault(conversation, []).append(lambda: self._end(op))

        self.place(op.wish(), accepted)

    def _end(self, op: Op) -> None:
        del self.waiting[op.name]
        self._done[op.name] = None
        for following in self._after.pop(op.name, ()):
            self._setting.agenda.after(following.at_s, self._place_it, following)

    def _is_over(self, conversation: str) -> bool:
        journals = self._conductor_of().journals
        return conversation in journals.kept and conversation not in journals.open

    def _listen(self, line: Line) -> None:
        what = line.what
        if type(what) is Journaled and what.entry.kind is Kind.RELEASED:
            for then in self._over.pop(what.conversation, ()):
                self._setting.agenda.after(0.0, then)

    # --- orders ------------------------------------------------------------------------------------------------

    def place(self, order: Wish, then: Callable[[str | None], None]) -> None:
        """Place an order; `then` hears the conversation that carries it out, or None: there is none, or no more."""
        self._placed += 1
        self.sequence += 1
        command = None if isinstance(order, ChangeServer) else self._command(order)
        self._setting.history.record(Ordered(process="user", number=self._placed, order=order))
        placed = _Placed(self._placed, order, command, then)
        placed.since_s = self._setting.agenda.now_s
        self._ask(placed)

    def _command(self, order: Order) -> Command:
        key = Key.plain(INCARNATION, self.sequence)
        return Command(key, str(key), order.server, 0, order)

    def _ask(self, placed: _Placed) -> None:
        conductor = self._conductor_of()
        question = self._setting.network.ask(
            self, placed.order, to=conductor.process, cell=conductor.cell, receive=conductor.receive,
            about=placed.command.text if placed.command else f"change:{placed.number}", budget_s=ORDER_BUDGET_S,
            server=placed.order.server if placed.command else "", command=placed.command,
        )  # fmt: skip
        self._asked[question.serial] = placed
        self.process.later(ORDER_BUDGET_S, self._give_up, question)

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return question.serial in self._asked

    def take(self, question: Question, reply: Reply) -> None:
        """Hear what became of an order."""
        placed = self._asked.pop(question.serial, None)
        if placed is None:
            return
        if not reply.is_error:
            self._answered(placed, reply.value.conversation if placed.command else None, "")
            return
        error = revive(reply.value)
        if error.is_retryable and self._setting.agenda.now_s - placed.since_s <= PATIENCE_S:
            self.process.later(PAUSE_S, self._ask, placed)
            return
        self._answered(placed, None, error.code)

    def _answered(self, placed: _Placed, conversation: str | None, error: str) -> None:
        told: dict[str, Any] = {"conversation": conversation} if conversation else {"error": error}
        self._setting.history.record(Answered(process="user", number=placed.number, **told))
        placed.then(conversation)

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that an order went nowhere."""
        self.take(question, Reply(report(error, cell=str(self.cell)), b"", is_error=True))

    def _give_up(self, question: Question) -> None:
        if question.serial in self._asked:
            error = CallTimeout(address=question.mailbox.name, method=question.method, waited_s=question.budget_s)
            self.fail(question, error)
