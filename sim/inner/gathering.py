"""Broadcast calls on the inner level: each cell's link asks its cell and the links below it, and merges the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol import routing
from protocol.bodies import encode_body
from protocol.cell_path import CellPath
from protocol.envelope import Direction
from protocol.errors import CellferryError
from protocol.errors_wire import encode_error
from protocol.gather import CellAnswer, Gather
from protocol.requests import Gathered
from sim.inner.coding import refusal_of, reply_of
from sim.inner.network import HOPS_MAX

if TYPE_CHECKING:
    from sim.inner.cells import Cell
    from sim.inner.memory import Reply
    from sim.inner.messages import Question
    from sim.inner.processes import Process
    from sim.inner.setting import Setting


class Link:
    """What a cell's link does with broadcasts: one gathering for each that it hands on."""

    def __init__(self, cell: Cell, setting: Setting) -> None:
        self.cell = cell.cell
        self.actor = cell
        self.setting = setting
        self.process: Process = setting.process(f"{cell.cell}/link")
        self.children: tuple[Link, ...] = ()
        self._gatherings: dict[int, _Gathering] = {}
        self._seen: dict[str, None] = {}
        self._askers: dict[int, _Gathering] = {}
        self.process.when_crashed.append(self._crash)

    def _crash(self) -> None:
        self._askers.clear()
        self._seen.clear()

    def receive(self, question: Question) -> None:
        """Hand a broadcast on, and gather what is answered."""
        name = f"{question.about} {question.serial}"
        if name in self._seen:
            return
        self._seen[name] = None
        _Gathering(self, question).begin()

    # --- asking ------------------------------------------------------------------------------------------------

    def ask_on(self, gathering: _Gathering, to: Link, budget_s: float) -> None:
        """Hand a gathering's broadcast on to the link of a neighbour."""
        first = gathering.question
        asked = self.setting.network.ask(
            self, first.request, to=to.process, cell=to.cell, receive=to.receive, about=f"{first.about}>{to.cell}",
            budget_s=budget_s,
        )  # fmt: skip
        self._askers[asked.serial] = gathering

    def ask_here(self, gathering: _Gathering, budget_s: float) -> None:
        """Ask this cell's own actor."""
        first, actor = gathering.question, self.actor
        asked = self.setting.network.ask(
            self, first.request, to=actor.process, cell=self.cell, receive=actor.receive,
            about=f"{first.about}@{self.cell}", budget_s=budget_s,
        )  # fmt: skip
        self._askers[asked.serial] = gathering

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return question.serial in self._askers

    def take(self, question: Question, reply: Reply) -> None:
        """Take a neighbour's answers, or those of this cell."""
        gathering = self._askers.pop(question.serial, None)
        if gathering is not None:
            gathering.take(question.mailbox.name, reply)

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a broadcast could not be handed on."""
        self.take(question, refusal_of(error, cell=str(self.cell)))


class _Gathering:
    """One broadcast at one cell."""

    def __init__(self, link: Link, question: Question) -> None:
        self.question = question
        self._link = link
        route = tuple(CellPath.parse(cell) for cell in _cells(question))
        hops = routing.next_hops(
            here=link.cell, direction=Direction.DOWN, route=(*route, link.cell), hops_max=HOPS_MAX,
            parent=link.cell.parent, children=tuple(child.cell for child in link.children),
        )  # fmt: skip
        self._hops = [child for child in link.children if child.cell in hops]
        self._gather = Gather.begin(hops, own=True, here=link.cell)
        self._budget_s = routing.inner_budget(question.budget_s)
        self._is_done = False

    def begin(self) -> None:
        onward_s = routing.inner_budget(self._budget_s)
        for hop in self._hops:
            self._link.ask_on(self, hop, onward_s)
        self._link.ask_here(self, onward_s)
        self._link.process.later(self._budget_s, self._end)

    def take(self, process: str, reply: Reply) -> None:
        cell = CellPath.parse(process.partition("/")[0])
        error = encode_error(reply.value) if reply.is_error else b""
        if cell == self._link.cell:
            body = error or encode_body(reply.value)
            self._gather = self._gather.own(CellAnswer(cell=cell, body=body, is_error=reply.is_error))
        elif reply.is_error:
            self._gather = self._gather.fail(cell, error)
        else:
            self._gather = self._gather.arrive(cell, reply.value.answers)
        if self._gather.is_complete:
            self._end()

    def _end(self) -> None:
        if self._is_done:
            return
        self._is_done = True
        answers = self._gather.overdue(self._budget_s).merged()
        reply = reply_of(Gathered(answers=answers))
        self._link.setting.network.answer(self.question, reply)


def _cells(question: Question) -> list[str]:
    """Name the cells that a broadcast has passed: the one whose link handed it on, and those above."""
    asker: Any = question.asker.cell
    if question.asker.process.name.partition("/")[2] != "link":
        return []
    names = asker.names
    return ["!".join(names[: n + 1]) for n in range(len(names))]
