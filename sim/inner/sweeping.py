"""Sweeping on the inner level: `actors.kernel.sweeper`, as a generator on the agenda.

It lasts from when it is woken until nothing is left to sweep; a crash drops it, and the next start wakes another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.kernel.sweeper import BUDGET_S
from protocol.errors import StoreUnavailable
from protocol.requests import Close
from sim.inner.conversing import Asking, pause_s
from sim.inner.fences import is_fenced

if TYPE_CHECKING:
    from protocol.cell_path import Address
    from protocol.journal import Journal
    from sim.inner.conductor import Conductor
    from sim.inner.conversing import Talking

#: Under which name it is among what a conductor carries out.
SWEEP: Final = "sweep"


class Sweep:
    """One spell of sweeping after the conversations of all conductors."""

    conversation = SWEEP

    def __init__(self, conductor: Conductor, *, tries: int = 0) -> None:
        self.tries = tries
        self.is_pausing = False
        self.is_woken = False
        self.talking = self._talk()
        self._conductor = conductor
        self._journals = conductor.journals

    def _talk(self) -> Talking:
        while True:
            self.is_woken = False
            try:
                is_swept = yield from self._sweep()
            except StoreUnavailable:
                is_swept = False
            self.tries = 0 if is_swept else self.tries + 1
            if self.is_woken:
                continue
            if is_swept:
                return
            self.is_pausing = True
            yield pause_s(self._conductor.setting, SWEEP, self._conductor.name, self.tries)
            self.is_pausing = False

    def _sweep(self) -> Talking:
        """Sweep what may be swept now; tell whether nothing of it is left."""
        lowest_open = self._journals.lowest_open(but="")
        unswept = self._journals.unswept(lowest_open)
        # Told once, a receiver forgets all that is behind the lowest open epoch, whosever it is.
        told = {receiver: kept.journal for kept in unswept for receiver in kept.receivers}
        away: set[Address] = set()
        if told:
            replies = yield tuple(_question(to, journal, lowest_open) for to, journal in told.items())
            assert replies is not None, "questions get replies"
            for to, reply in zip(told, replies, strict=True):
                if reply.is_error:
                    about, root = f"{SWEEP}:{to}:{self.tries}", self._conductor.cell
                    if not (yield from is_fenced(to, root=root, ask=Asking, about=about)):
                        away.add(to)
        for kept in unswept:
            if away.isdisjoint(kept.receivers):
                self._conductor.setting.check_store(self._conductor.name)
                self._journals.swept(kept.journal.conversation)
        return not away


def _question(to: Address, journal: Journal, lowest_open: int) -> Asking:
    request = Close(server=journal.server, conversation=journal.conversation, lowest_open=lowest_open)
    # Epoch 0 fences nobody: the server may be another conversation's by now.
    return Asking(
        to=to, request=request, server=journal.server, epoch=0, about=f"sweep:{journal.conversation}:{to}",
        budget_s=BUDGET_S,
    )  # fmt: skip
