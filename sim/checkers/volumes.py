"""Oracles over volumes: when one is given away, and what is on the one that another was swapped for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.journal import Kind
from protocol.messages.orders import ChangeVolume
from protocol.moves.parties import Brief
from protocol.saga import read
from protocol.states import Goal
from sim.checkers.oracle import Oracle
from sim.history import Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

GIVES_AWAY: Final = "delete_attachment"
LETS_GO: Final = "disconnect_volume"
COPIES: Final = "copy_volume"


class LetGoFirst(Oracle):
    """A volume is given away by a detach or a swap only when its guest has let it go."""

    # The truth shows it for a moment only, and snapshots of it are taken at others.

    name = "let_go_first"
    letters = "S7"

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        is_given_away = what.entry.step == GIVES_AWAY and what.entry.kind is Kind.INTENT and not what.entry.is_undo
        if is_given_away and not self.chronicle.tales[what.conversation].has(Kind.DONE, LETS_GO):
            self.accuse(what.server, f"{what.conversation} gives a volume away that its guest has not let go")


class CopiesWhole(Oracle):
    """A volume holds what was on it first, or, once it has been swapped for another one, what was on that."""

    # Counters would not tell: a running guest writes its newest to whatever volume it has.

    name = "copies_whole"
    letters = "E3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._may: dict[str, frozenset[str]] = {}  # What volumes may hold, where that is not their own.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        if entry.step != COPIES or entry.is_undo or entry.kind not in {Kind.INTENT, Kind.DONE}:
            return
        tale = self.chronicle.tales[what.conversation]
        order = read(tale.entries[0].payload, Brief).order
        if not isinstance(order, ChangeVolume) or order.goal is not Goal.SWAP:
            return
        copied = self._of(order.volume)
        # Until it is known to be whole the copy may be there, or not yet.
        before = frozenset[str]() if entry.kind is Kind.DONE else self._of(order.replacement)
        self._may[order.replacement] = copied | before

    def _of(self, volume: str) -> frozenset[str]:
        return self._may.get(volume, frozenset({volume}))

    def see(self, truth: Truth) -> None:
        """Compare what is on all volumes that say what was on them first."""
        for volume in truth.volumes:
            if volume.origin and volume.origin not in self._of(volume.volume):
                may = " or ".join(sorted(self._of(volume.volume)))
                self.accuse(volume.volume, f"holds what was on {volume.origin}, and should hold what was on {may}")
