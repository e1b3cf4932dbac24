"""Changes of a server's record on the inner level: `actors.conductor.changing`, as a generator on the agenda."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from actors.conductor.changing import BUDGET_S, FOLLOW_S, PAUSE_S, update_of
from protocol.cell_path import Address, CellPath
from protocol.errors import CallTimeout, NotFound, NotItsHome, report, revive
from protocol.messages.root import FindHome
from sim.inner.memory import Reply

if TYPE_CHECKING:
    from protocol.errors import CellferryError
    from protocol.messages.changes import ChangeServer
    from protocol.requests import Request
    from sim.inner.conductor import Conductor
    from sim.inner.messages import Question

#: It asks an actor, or waits for some seconds; and gets back what it is answered.  In the end it gives its own answer.
_Following = Generator["tuple[Address, Request[Any]] | float", "Reply | None", "Reply"]


class Changing:
    """One change on its way to the home of its server, wherever that is by then."""

    def __init__(self, conductor: Conductor, question: Question, request: ChangeServer) -> None:
        self.cell = conductor.cell
        self.process = conductor.process
        self._conductor = conductor
        self._question = question
        self._request = request
        self._asked: int | None = None
        self._following = self._follow()

    def begin(self) -> None:
        """Set out."""
        self._go_on(None)

    def _follow(self) -> _Following:
        agenda = self._conductor.setting.agenda
        until_s = agenda.now_s + FOLLOW_S
        while True:
            found = yield Address(self.cell, "cell"), FindHome(server=self._request.server)
            assert found is not None, "a question gets a reply"
            if found.is_error:
                return found
            home = Address(CellPath.parse(str(found.value.mapping.cell)), "cell")
            changed = yield home, update_of(self._request)
            assert changed is not None, "a question gets a reply"
            has_gone = changed.is_error and isinstance(revive(changed.value), NotItsHome | NotFound)
            if not has_gone or agenda.now_s >= until_s:
                return changed
            yield PAUSE_S

    def _go_on(self, reply: Reply | None) -> None:
        try:
            waits_for = self._following.send(reply)
        except StopIteration as ended:
            self._conductor.setting.network.answer(self._question, ended.value)
            return
        if isinstance(waits_for, float):
            self.process.later(waits_for, self._go_on, None)
        else:
            self._ask(*waits_for)

    def _ask(self, to: Address, request: Request[Any]) -> None:
        actor = self._conductor.actors[to]
        question = self._conductor.setting.network.ask(
            self, request, to=actor.process, cell=actor.cell, receive=actor.receive,
            about=f"change:{self._request.id}", budget_s=BUDGET_S,
        )  # fmt: skip
        self._asked = question.serial
        self.process.later(BUDGET_S, self._give_up, question)

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return question.serial == self._asked

    def take(self, question: Question, reply: Reply) -> None:
        """Go on with what an actor has answered."""
        if self.waits_for(question):
            self._asked = None
            self._go_on(reply)

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a question went nowhere."""
        self.take(question, Reply(report(error, cell=str(self.cell)), b"", is_error=True))

    def _give_up(self, question: Question) -> None:
        address = question.mailbox.name
        self.fail(question, CallTimeout(address=address, method=question.method, waited_s=question.budget_s))
