"""Deadlines of questions: one timer for all that are equally long, instead of one for each."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from sim.inner.agenda import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.inner.agenda import Agenda
    from sim.inner.messages import Question
    from sim.inner.processes import Process


#: How much later than due it is looked: time is counted in whole nanoseconds.
SLACK_S: Final = 0.000_001


class Patience:
    """What an asker does about questions that nobody answers in time."""

    def __init__(
        self, process: Process, agenda: Agenda, *, is_asked: Callable[[Question], bool],
        give_up: Callable[[Question], None],
    ) -> None:  # fmt: skip
        self._process = process
        self._agenda = agenda
        self._is_asked = is_asked
        self._give_up = give_up
        self._waiting: dict[float, deque[tuple[int, Question]]] = {}  # By their budgets, the oldest first.
        process.when_crashed.append(self._waiting.clear)

    def begin(self, question: Question) -> None:
        """Give a question up when its budget is over, unless it is answered by then."""
        budget_s = question.budget_s
        waiting = self._waiting.get(budget_s)
        until_ns = self._agenda.now_ns + int(budget_s * NS_PER_S)
        if waiting is not None:
            waiting.append((until_ns, question))
            return
        self._waiting[budget_s] = deque([(until_ns, question)])
        self._process.later(budget_s, self._look, budget_s)

    def _look(self, budget_s: float) -> None:
        waiting = self._waiting[budget_s]
        while waiting and (waiting[0][0] <= self._agenda.now_ns or not self._is_asked(waiting[0][1])):
            _, question = waiting.popleft()
            if self._is_asked(question):
                self._give_up(question)
        if self._waiting.get(budget_s) is not waiting:
            return  # To give up was to die: whoever asks now does so in another life.
        if waiting:
            self._process.later((waiting[0][0] - self._agenda.now_ns) / NS_PER_S + SLACK_S, self._look, budget_s)
        else:
            del self._waiting[budget_s]
