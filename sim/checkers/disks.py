"""An oracle over root disks: what a guest has written goes where the guest goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from protocol.journal import Kind
from protocol.messages.hosts import GuestReport
from protocol.messages.live import SavedGuest
from protocol.saga import read
from sim.checkers.oracle import Oracle
from sim.history import Happening, Journaled

if TYPE_CHECKING:
    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

#: The steps after which a guest writes no more where it was, and what tells how far it had come.
LEAVES: Final[Mapping[str, type[GuestReport | SavedGuest]]] = {"stop_guest": GuestReport, "save_guest": SavedGuest}
#: The steps that make a guest of a disk which came along, or was kept.
ARRIVES: Final = frozenset({"spawn_target", "start_source", "receive_guest"})


class DiskTravels(Oracle):
    """A guest that is made at the target, or again at the source, finds all that was written when it left."""

    # Asked at once: later the guest has written more, and what it has lost is not to be seen any more.

    name = "disk_travels"
    letters = "E3, S6"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._left: dict[str, int] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        if entry.kind is not Kind.DONE or entry.is_undo:
            return
        if (said := LEAVES.get(entry.step)) is not None:
            self._left[what.server] = read(entry.payload, said).counter
        elif entry.step in ARRIVES and what.server in self._left:
            counter, left = read(entry.payload, GuestReport).counter, self._left[what.server]
            if counter < left:
                self.accuse(what.server, f"left with {left} on its disk, and {entry.step} finds {counter}")
