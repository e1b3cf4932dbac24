"""Oracles over guests that are held, handed over or touched in vain: records follow a guest, and tell nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from protocol.journal import Kind
from protocol.messages.fencing import StandIn
from protocol.messages.hosts import GuestReport
from protocol.messages.live import SavedGuest
from protocol.saga import read
from protocol.states import Goal, PowerState
from sim.checkers.chronicle import step_key
from sim.checkers.oracle import Oracle
from sim.checkers.reboots import KILLERS
from sim.history import Carried, Fired, GuestOff, GuestOn, Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle, Tale
    from sim.checkers.oracle import Accuse, Ear

#: What a guest is when an order has had its host hold it.
HOLDS: Final = {Goal.PAUSE: PowerState.PAUSED, Goal.SUSPEND: PowerState.SUSPENDED}
LETS_GO: Final = frozenset({Goal.UNPAUSE, Goal.RESUME, Goal.RESTORE})
#: A guest that is softly deleted is off, but for one that was suspended.
STAYS: Final = {Goal.RESTORE: frozenset({PowerState.SUSPENDED})}
JUDGED: Final = LETS_GO | {*HOLDS, Goal.SOFT_DELETE}
#: A reboot is judged by what its own oracle knows; before a create there is no guest, and after a delete none.
ELSEWHERE: Final = frozenset({Goal.REBOOT, Goal.CREATE, Goal.DELETE})


@attrs.frozen(kw_only=True)
class Held:
    """What a guest was when it was held: what it did, how far it had counted, and how often it had booted."""

    power: PowerState
    counter: int
    boots: int


class GoesOn(Oracle):
    """A guest that was held, or is handed over, goes on where it was: it has lost nothing, and has not booted."""

    name = "goes_on"
    letters = "E2, E3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._held: dict[str, Held] = {}
        self._saved: dict[str, SavedGuest] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries, and of what guests die of."""
        return {Journaled: self._journaled, Fired: self._fired}

    def _fired(self, what: Fired) -> None:
        if what.fault.kind in KILLERS:
            self._held.clear()

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        if entry.kind is not Kind.DONE or entry.is_undo:
            return
        match entry.step:
            case "power" if what.goal in JUDGED:
                self._powered(what, read(entry.payload, GuestReport))
            case "power":
                self._held.pop(what.server, None)
            case "save_guest":
                self._saved[what.server] = read(entry.payload, SavedGuest)
            case "receive_guest":
                self._received(what, read(entry.payload, GuestReport))
            case _:
                pass

    def _powered(self, what: Journaled, report: GuestReport) -> None:
        held = self._held.pop(what.server, None)
        if (power := HOLDS.get(what.goal)) is not None:
            if report.power_state is not power:
                self.accuse(what.server, f"its {what.goal} is done, and its guest is {report.power_state.name}")
            self._held[what.server] = Held(power=report.power_state, counter=report.counter, boots=report.boots)
        elif held is not None and what.goal is Goal.SOFT_DELETE:
            self._held[what.server] = held
        elif held is not None and what.goal in LETS_GO and held.power in STAYS.get(what.goal, {held.power}):
            self._compare(what, report, counter=held.counter, boots=held.boots)

    def _received(self, what: Journaled, report: GuestReport) -> None:
        saved = self._saved.pop(what.server, None)
        if saved is not None:
            self._compare(what, report, counter=saved.counter, boots=saved.starts[-1].number if saved.starts else 0)

    def _compare(self, what: Journaled, report: GuestReport, *, counter: int, boots: int) -> None:
        if report.boots != boots or report.counter < counter:
            was, now = f"{counter} after {boots} boots", f"{report.counter} after {report.boots}"
            self.accuse(what.server, f"was held at {was}, and its {what.goal} has it go on at {now}")


class LeftRunning(Oracle):
    """An order that comes to nothing leaves a guest running that it has found so."""

    name = "left_running"
    letters = "E2"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._running: dict[str, str] = {}  # On which host a server's guest runs.
        self._found_on: set[str] = set()  # The conversations under way that have found a guest running.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of guests, of what stops them besides, and of entries."""
        return {
            GuestOn: self._on, GuestOff: self._off, Fired: self._fired, Carried: self._carried,
            Journaled: self._journaled,
        }  # fmt: skip

    def _on(self, what: GuestOn) -> None:
        self._running[what.server] = what.host

    def _off(self, what: GuestOff) -> None:
        if self._running.get(what.server) == what.host:
            del self._running[what.server]

    def _fired(self, what: Fired) -> None:
        if what.fault.kind in KILLERS:
            self._found_on.clear()

    def _carried(self, what: Carried) -> None:
        # On a host that is fenced the guest is off, or will be, whatever is undone.
        key = step_key(what.key) if what.method == StandIn.METHOD.name else None
        if key is not None:
            self._found_on.discard(key.conversation)

    def _journaled(self, what: Journaled) -> None:
        tale = self.chronicle.tales[what.conversation]
        if tale.goal in ELSEWHERE:
            return
        if self._is_its_first_change(tale) and what.server in self._running:
            self._found_on.add(what.conversation)
        elif what.entry.kind is Kind.END and what.conversation in self._found_on:
            self._found_on.remove(what.conversation)
            if not tale.is_success and what.server not in self._running:
                self.accuse(what.server, f"{what.conversation} has come to nothing, and its guest is left off")

    def _is_its_first_change(self, tale: Tale) -> bool:
        return tale.last.kind is Kind.DONE and tale.last.step == "take"
