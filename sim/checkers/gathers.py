"""Oracles over broadcasts and answers: each cell carries a broadcast out once, answers once, and to who has asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from sim.checkers.chronicle import actor_of, cell_of
from sim.checkers.oracle import Oracle
from sim.checkers.wire import LINK
from sim.history import Crashed, Handed, Happening, Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear
    from sim.history import Note

K = TypeVar("K")
V = TypeVar("V")

BROADCASTS: Final = frozenset({"gather", "spread"})
ASKING: Final = frozenset({"call", "gather"})
REPLIES: Final = "/replies:"
#: How many calls and broadcasts are remembered: far more than are ever under way at once.
REMEMBERED_MAX: Final = 20_000


class BroadcastOnce(Oracle):
    """A cell carries a broadcast out once, however often it comes."""

    name = "broadcast_once"
    letters = "R2"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        # By the link that took it and by its method: the broadcasts, and what was asked of the cell for them.
        self._heard: dict[tuple[str, str], set[str]] = {}
        self._asked: dict[tuple[str, str], set[str]] = {}
        self._again: dict[tuple[str, str], int] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of frames, and of crashes."""
        return {Handed: self._handed, Sent: self._sent, Crashed: self._crashed}

    def _handed(self, what: Handed) -> None:
        for note in what.notes:
            if note.kind in BROADCASTS:
                self._heard.setdefault((what.process, note.method), set()).add(note.id)

    def _sent(self, what: Sent) -> None:
        for note in what.notes:
            about = (what.process, note.method)
            if (
                note.source == actor_of(what.process)
                and note.kind not in BROADCASTS
                and about in self._heard
                and not note.answers
            ):
                asked = self._asked.setdefault(about, set())
                asked.add(note.id)
                if len(asked) > len(self._heard[about]) + self._again.get(about, 0):
                    self.accuse(cell_of(what.process), f"{what.process} carries a {note.method} out twice")

    def _crashed(self, what: Crashed) -> None:
        # A link that has crashed does not know what it had carried out: such calls only read.
        for about, heard in self._heard.items():
            if about[0] == what.process:
                self._again[about] = self._again.get(about, 0) + len(heard)


class OneAnswerACell(Oracle):
    """A cell answers a broadcast once."""

    name = "one_answer_a_cell"
    letters = "R3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._gathers: dict[str, None] = {}
        self._answers: dict[tuple[str, str, str], str] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of what is sent, and of crashes."""
        return {Sent: self._sent, Crashed: self._crashed}

    def _sent(self, what: Sent) -> None:
        for note in what.notes:
            if note.kind == "gather":
                self._gathers[note.id] = None
                _forget_oldest(self._gathers)
            elif note.answers in self._gathers and note.source.endswith(LINK) and _is_new(what, note):
                self._judge(what.process, note)

    def _judge(self, process: str, note: Note) -> None:
        # Two replicas to which a doubled one comes answer once each, and each replica that asks is answered once.
        first = self._answers.setdefault((process, note.answers, note.target), note.id)
        _forget_oldest(self._answers)
        if first != note.id:
            self.accuse(cell_of(process), f"{process} answers the {note.method} {note.answers} twice")

    def _crashed(self, what: Crashed) -> None:
        for about in [about for about in self._answers if about[0] == what.process]:
            del self._answers[about]


class AnswersReachAsker(Oracle):
    """An answer is handed to who has asked, and to nobody else."""

    name = "answers_reach_asker"
    letters = "R3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._askers: dict[str, tuple[str, ...]] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of frames."""
        return {Sent: self._sent, Handed: self._handed}

    def _sent(self, what: Sent) -> None:
        for note in what.notes:
            if note.kind not in ASKING:
                continue
            asker, known = actor_of(what.process), self._askers.get(note.id)
            if known is None:
                self._askers[note.id] = (asker,)
                _forget_oldest(self._askers)
            elif note.kind == "gather" and asker not in known:  # Each hop of a broadcast asks for itself.
                self._askers[note.id] = (*known, asker)

    def _handed(self, what: Handed) -> None:
        if REPLIES not in what.queue:
            return
        for note in what.notes:
            askers = self._askers.get(note.answers)
            if askers is not None and actor_of(what.process) not in askers:
                self.accuse(what.process, f"gets the answer to a {note.method} of {' and '.join(askers)}")


def _is_new(what: Sent, note: Note) -> bool:
    """Tell whether a link sends an answer of its own, and does not pass on one (its other replicas' too)."""
    is_own = note.source == actor_of(what.process)
    return is_own and (what.queue == note.source or cell_of(note.target) == cell_of(note.source))


def _forget_oldest(remembered: dict[K, V]) -> None:
    if len(remembered) > REMEMBERED_MAX:
        del remembered[next(iter(remembered))]
