"""What broadcasts were answered with, as journals have it, so that it can be asked whether the answers are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.journal import Kind
from protocol.requests import Gathered
from protocol.saga import read
from protocol.truth import GatherTruth, Truth
from sim.history import Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.oracle import Ear

#: The step by which conversations ask all cells.
ASKS_ALL: Final = "choose_target"


class Broadcasts:
    """The answers to broadcasts that nobody has judged yet."""

    def __init__(self) -> None:
        self._answers: list[Gathered] = []

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Tell what it wants to hear of."""
        return {Journaled: self._journaled}

    def gathers(self, truth: Truth) -> tuple[GatherTruth, ...]:
        """Give what came since the last time; conductors ask from the root down."""
        answers, self._answers = self._answers, []
        cells = tuple(cell.path for cell in truth.cells)
        return tuple(GatherTruth(top=truth.root, cells=cells, result=each) for each in answers)

    def _journaled(self, what: Journaled) -> None:
        if what.entry.kind is Kind.DONE and what.entry.step == ASKS_ALL:
            self._answers.append(read(what.entry.payload, Gathered))
