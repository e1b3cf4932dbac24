"""Oracle over reboots: records follow a guest's power, so they do not tell what a reboot has done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.bodies import decode_body
from protocol.journal import Ending, Kind
from protocol.messages.fencing import StandIn
from protocol.states import Goal
from sim.checkers.chronicle import step_key
from sim.checkers.oracle import Oracle
from sim.faults import FaultKind
from sim.history import Carried, Fired, GuestOff, GuestOn, Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

SWITCHES_OFF: Final = "switch_off"
#: Faults by which guests stop, whatever conversations do.
KILLERS: Final = frozenset({FaultKind.GUEST_DIES, FaultKind.MACHINE_DOWN, FaultKind.HOST_GONE})


class RebootsBoot(Oracle):
    """A reboot that is done has had its guest start, and one that is undone leaves a guest running that it found so."""

    name = "reboots_boot"
    letters = "E2"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._running: dict[str, str] = {}  # On which host a server's guest runs.
        self._started: set[str] = set()  # Servers whose guests have started since a reboot was to switch them off.
        self._found_on: dict[str, bool] = {}  # By reboots that have come so far: whether the guest ran then.
        self._excused: set[str] = set()  # Reboots that are not to blame for a guest that is off.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of guests, of what stops them besides, and of entries."""
        return {
            GuestOn: self._on, GuestOff: self._off, Fired: self._fired, Carried: self._carried,
            Journaled: self._journaled,
        }  # fmt: skip

    def _on(self, what: GuestOn) -> None:
        self._running[what.server] = what.host
        self._started.add(what.server)

    def _off(self, what: GuestOff) -> None:
        if self._running.get(what.server) == what.host:
            del self._running[what.server]

    def _fired(self, what: Fired) -> None:
        if what.fault.kind in KILLERS:
            self._excused.update(self._found_on)

    def _carried(self, what: Carried) -> None:
        # On a host that is fenced the guest is off, or will be, whatever is undone.
        key = step_key(what.key) if what.method == StandIn.METHOD.name else None
        if key is not None:
            self._excused.add(key.conversation)

    def _journaled(self, what: Journaled) -> None:
        if what.goal is not Goal.REBOOT:
            return
        entry = what.entry
        if entry.kind is Kind.INTENT and entry.step == SWITCHES_OFF and not entry.is_undo:
            self._found_on[what.conversation] = what.server in self._running
            self._started.discard(what.server)
        elif entry.kind is Kind.END and what.conversation in self._found_on:
            self._ended(what, is_success=decode_body(entry.payload, Ending).is_success)

    def _ended(self, what: Journaled, *, is_success: bool) -> None:
        was_on = self._found_on.pop(what.conversation)
        if is_success and what.server not in self._started:
            self.accuse(what.server, f"its reboot {what.conversation} is done, and its guest has not started")
        elif not is_success and was_on and what.server not in self._running and what.conversation not in self._excused:
            self.accuse(what.server, f"its reboot {what.conversation} is undone, and its guest is left off")
