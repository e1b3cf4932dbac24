"""Confirming moves that nobody settles, on the inner level: `actors.conductor.confirming`, on the agenda."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kernel.post import BUDGET_S
from protocol.bodies import encode_body
from protocol.errors import CallTimeout, StoreUnavailable, report
from protocol.messages.root import ListWaitingMoves
from protocol.moves.auto_confirm import LOOK_S, next_conversation, order_of
from protocol.moves.parties import Brief
from protocol.states import Goal
from sim.inner.memory import Reply

if TYPE_CHECKING:
    from protocol.errors import CellferryError
    from protocol.journal import Journal
    from protocol.messages.root import WaitingMove
    from sim.inner.actors import Actor
    from sim.inner.conductor import Conductor
    from sim.inner.messages import Question


class Confirming:
    """The watch of one life of a replica over the moves that wait."""

    def __init__(self, conductor: Conductor, root: Actor, *, after_s: int) -> None:
        self.cell = conductor.cell
        self.process = conductor.process
        self._conductor = conductor
        self._root = root
        self._after_us = after_s * 1_000_000
        self._asked: int | None = None

    def look(self) -> None:
        """Ask the root which moves have waited for long enough; do so for ever."""
        question = self._conductor.setting.network.ask(
            self, ListWaitingMoves(for_us=self._after_us), to=self._root.process, cell=self._root.cell,
            receive=self._root.receive, about=f"confirming:{self._conductor.name}", budget_s=BUDGET_S,
        )  # fmt: skip
        self._asked = question.serial
        self.process.later(BUDGET_S, self._give_up, question)

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return question.serial == self._asked

    def take(self, question: Question, reply: Reply) -> None:
        """Hear which moves are to be confirmed."""
        if question.serial != self._asked:
            return
        self._asked = None
        if not reply.is_error:
            try:
                for move in reply.value.moves:
                    self._begin(move)
            except StoreUnavailable as error:
                self._conductor.note("confirming_waits", str(error))
        self.process.later(LOOK_S, self.look)

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a question went nowhere."""
        self.take(question, Reply(report(error, cell=str(self.cell)), b"", is_error=True))

    def _give_up(self, question: Question) -> None:
        address = question.mailbox.name
        self.fail(question, CallTimeout(address=address, method=question.method, waited_s=question.budget_s))

    def _begin(self, move: WaitingMove) -> None:
        conductor, setting = self._conductor, self._conductor.setting
        journals = conductor.journals
        is_unsure = setting.check_store(conductor.name)
        if journals.others(move.server, but=""):
            return

        def read(conversation: str) -> Journal | None:
            kept = journals.kept.get(conversation)
            return None if kept is None else kept.journal

        now_us = setting.now_us()
        conversation = next_conversation(move, read, now_us)
        if conversation is None:
            return
        payload = encode_body(Brief(root=self.cell, order=order_of(move, conversation)))
        journals.begin(
            conversation, server=move.server, goal=Goal.CONFIRM, owner=conductor.owner, payload=payload, at_us=now_us
        )
        if is_unsure:
            raise setting.unsure(conductor.name)
        conductor.start(conversation)
