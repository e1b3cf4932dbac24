"""The oracle over the root's mirror: what it has heard of a record, it never forgets for something older."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.records import Mirror
from sim.checkers.oracle import Oracle
from sim.history import Happening, Noted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

#: Noted of an actor whose store was set back to an older image: from then on it knows less.
RESTORED: Final = "store_restored"


class MirrorForward(Oracle):
    """What the root has been told of a cell's record never gives way to something older, nor comes to life again."""

    name = "mirror_forward"
    letters = "M2"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._seen: dict[tuple[str, str], Mirror] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of stores that were set back."""
        return {Noted: self._hear}

    def see(self, truth: Truth) -> None:
        """Compare each row with the one seen before; what was forgotten may only come again as something newer."""
        for mirror in truth.of_root(Mirror):
            at = mirror.server, mirror.cell
            before = self._seen.get(at)
            if before is not None and mirror.rank < before.rank:
                text = f"the root had version {before.generation}.{before.version} of its record in {mirror.cell}"
                self.accuse(mirror.server, f"{text}, and has {mirror.generation}.{mirror.version}")
            elif before is not None and before.is_gone and not mirror.is_gone and mirror.rank == before.rank:
                self.accuse(mirror.server, f"its record in {mirror.cell} was gone, and is there again, no newer")
            self._seen[at] = mirror

    def _hear(self, what: Noted) -> None:
        if what.event == RESTORED:
            self._seen.clear()
