"""Doing by itself what is due after a while, on the inner level: `actors.conductor.chores`, on the agenda."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kernel.post import BUDGET_S
from protocol.bodies import encode_body
from protocol.errors import CallTimeout, StoreUnavailable, report
from protocol.moves.chores import LOOK_S
from protocol.moves.parties import Brief
from sim.inner.memory import Reply

if TYPE_CHECKING:
    from protocol.errors import CellferryError
    from protocol.journal import Journal
    from protocol.messages.root import Due
    from protocol.moves.chores import Chore
    from sim.inner.actors import Actor
    from sim.inner.conductor import Conductor
    from sim.inner.messages import Question


class Doing:
    """The watch of one life of a replica over what is due of one chore."""

    def __init__(self, conductor: Conductor, root: Actor, chore: Chore, *, after_us: int) -> None:
        self.cell = conductor.cell
        self.process = conductor.process
        self._conductor = conductor
        self._root = root
        self._chore = chore
        self._after_us = after_us
        self._asked: int | None = None

    def begin(self) -> None:
        """Look after a while, and again and again."""
        self.process.later(LOOK_S, self.look)

    def look(self) -> None:
        """Ask the root what has waited for long enough; do so for ever."""
        question = self._conductor.setting.network.ask(
            self, self._chore.due(self._after_us), to=self._root.process, cell=self._root.cell,
            receive=self._root.receive, about=f"{self._chore.user}:{self._conductor.name}", budget_s=BUDGET_S,
        )  # fmt: skip
        self._asked = question.serial
        self.process.later(BUDGET_S, self._give_up, question)

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return question.serial == self._asked

    def take(self, question: Question, reply: Reply) -> None:
        """Hear with which servers it is due."""
        if question.serial != self._asked:
            return
        self._asked = None
        if not reply.is_error:
            try:
                for due in reply.value.servers:
                    self._begin(due)
            except StoreUnavailable as error:
                self._conductor.note("chore_waits", str(error))
        self.begin()

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a question went nowhere."""
        self.take(question, Reply(report(error, cell=str(self.cell)), b"", is_error=True))

    def _give_up(self, question: Question) -> None:
        address = question.mailbox.name
        self.fail(question, CallTimeout(address=address, method=question.method, waited_s=question.budget_s))

    def _begin(self, due: Due) -> None:
        conductor, setting = self._conductor, self._conductor.setting
        journals = conductor.journals
        is_unsure = setting.check_store(conductor.name)
        if journals.others(due.server, but=""):
            return

        def read(conversation: str) -> Journal | None:
            kept = journals.kept.get(conversation)
            return None if kept is None else kept.journal

        now_us = setting.now_us()
        conversation = self._chore.next_conversation(due, read, now_us)
        if conversation is None:
            return
        payload = encode_body(Brief(root=self.cell, order=self._chore.order_of(due, conversation)))
        journals.begin(
            conversation, server=due.server, goal=self._chore.goal, owner=conductor.owner, payload=payload, at_us=now_us
        )
        if is_unsure:
            raise setting.unsure(conductor.name)
        conductor.start(conversation)
