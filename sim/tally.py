"""Counts what an outcome tells of a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.journal import Kind
from sim.cases.workload import MOVES
from sim.history import Journaled, Sent

if TYPE_CHECKING:
    from sim.history import Line

#: The step by which a conversation takes its server: one that is refused there never began to move anything.
TAKE: Final = "take"
#: The only lines that count.
HEARD: Final = (Sent, Journaled)


class Tally:
    """Counts moves (resize, migrate, confirm, revert) that took their server and have ended, and envelopes sent."""

    def __init__(self) -> None:
        self.moves = 0
        self.messages = 0
        self._taken: set[str] = set()

    def listen(self, line: Line) -> None:
        """Count a line."""
        what = line.what
        if isinstance(what, Sent):
            self.messages += len(what.notes)
        elif isinstance(what, Journaled) and what.goal.value in MOVES:
            entry = what.entry
            if entry.kind is Kind.DONE and entry.step == TAKE and not entry.is_undo:
                self._taken.add(what.conversation)
            elif entry.kind is Kind.END and what.conversation in self._taken:
                self.moves += 1
