"""Oracles over leases: who dies or stands still is followed in time, and who lives is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actors.kernel.leases import LEASE_S
from protocol.journal import Kind
from sim.checkers.chronicle import NS_PER_S
from sim.checkers.oracle import Oracle
from sim.faults import Family
from sim.history import Crashed, Fired, Happening, Journaled, Noted, Paused, Resumed, Started, TakenOver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

#: A takeover has a second for itself, when the lease is over.
IN_TIME_NS: Final = round((LEASE_S + 1.0) * NS_PER_S)
WATCHES: Final = "leases_watched"
#: After these a conductor watches no more: it stops in order, or its actor has died and is started again.
RESTS: Final = frozenset({"leases_left", "child_died"})
WAITS: Final = "leases_wait"
ROLE: Final = "conductor"


@attrs.define
class _Replica:
    """What is known of one conductor: whether it watches, whether it stands still, and since when all that."""

    watches: bool = False
    is_paused: bool = False
    since_ns: int = 0

    @property
    def is_well(self) -> bool:
        """Whether it keeps its own lease and looks at the others'."""
        return self.watches and not self.is_paused


class _OfLeases(Oracle):
    """Base of what is judged of owners: who has what, who is well, and since when nothing disturbs the store."""

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self.replicas: dict[str, _Replica] = {}
        self.owners: dict[str, tuple[str, int]] = {}  # Of open conversations: the owner, and since when.
        self.calm_ns = 0

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of what befalls conductors and their store, and of who owns what."""
        return {
            Journaled: self._journaled, TakenOver: self._taken_over, Noted: self._noted, Fired: self._fired,
            Started: self._started, Crashed: self._crashed, Paused: self._paused, Resumed: self._resumed,
        }  # fmt: skip

    def returns(self, process: str) -> None:
        """Judge that a replica that was away is back."""

    def changes(self, conversation: str, before: str, after: str, since_ns: int) -> None:
        """Judge that a conversation goes from one owner to another."""

    def _journaled(self, what: Journaled) -> None:
        if what.entry.kind is Kind.BEGIN:
            self.owners[what.conversation] = what.process, self.chronicle.now_ns
        elif what.entry.kind is Kind.RELEASED:
            self.owners.pop(what.conversation, None)

    def _taken_over(self, what: TakenOver) -> None:
        before = self.owners.get(what.conversation)
        if before is not None and before[0] != what.process:
            self.changes(what.conversation, before[0], what.process, before[1])
        if before is not None:
            self.owners[what.conversation] = what.process, self.chronicle.now_ns

    def _noted(self, what: Noted) -> None:
        if what.event == WATCHES:
            self._turn(what.process, watches=True)
        elif what.event in RESTS and ROLE in what.process:
            self._turn(what.process, watches=False)
        elif what.event == WAITS:
            self._disturb(0.0)

    def _fired(self, what: Fired) -> None:
        if what.fault.family is Family.STORE and (not what.process or ROLE in what.process):
            self._disturb(what.fault.amount_s)

    def _disturb(self, for_s: float) -> None:
        self.calm_ns = max(self.calm_ns, self.chronicle.now_ns + round(for_s * NS_PER_S))

    def _started(self, what: Started) -> None:
        self._back(what.process)

    def _crashed(self, what: Crashed) -> None:
        if ROLE in what.process:
            self._turn(what.process, watches=False, is_paused=False)

    def _paused(self, what: Paused) -> None:
        if ROLE in what.process:
            self._turn(what.process, is_paused=True)

    def _resumed(self, what: Resumed) -> None:
        self._back(what.process)
        if what.process in self.replicas:
            self._turn(what.process, is_paused=False)

    def _back(self, process: str) -> None:
        found = self.replicas.get(process)
        if found is not None and not found.is_well:
            self.returns(process)

    def _turn(self, process: str, *, watches: bool | None = None, is_paused: bool | None = None) -> None:
        found = self.replicas.setdefault(process, _Replica())
        found.watches = found.watches if watches is None else watches
        found.is_paused = found.is_paused if is_paused is None else is_paused
        found.since_ns = self.chronicle.now_ns


class TakenOverInTime(_OfLeases):
    """What an owner has that dies or stands still is taken over within the lease and a second, if another is well."""

    name = "taken_over_in_time"
    letters = "P1"

    def returns(self, process: str) -> None:
        """Ask what was left to the owner that comes back, and for how long."""
        for conversation, (owner, since_ns) in self.owners.items():
            if owner == process:
                self._judge(conversation, owner, since_ns)

    def changes(self, conversation: str, before: str, after: str, since_ns: int) -> None:
        """Ask how long it took."""
        if after != before:
            self._judge(conversation, before, since_ns)

    def at_rest(self, truth: object, *, healed_for_s: float) -> None:  # noqa: ARG002 - what is owned tells it all
        """Ask what was never taken over."""
        for conversation, (owner, since_ns) in self.owners.items():
            self._judge(conversation, owner, since_ns)

    def _judge(self, conversation: str, owner: str, since_ns: int) -> None:
        gone = self.replicas.get(owner)
        well = [each.since_ns for name, each in self.replicas.items() if name != owner and each.is_well]
        if gone is None or gone.is_well or not well:
            return
        late_ns = self.chronicle.now_ns - max(since_ns, gone.since_ns, min(well), self.calm_ns)
        if late_ns > IN_TIME_NS:
            text = f"{conversation} was {owner}'s, who is gone, and for {late_ns / NS_PER_S:.2f} s another was well"
            self.accuse(self.chronicle.tales[conversation].server, f"{text} and did not take it over")


class LeftAlone(_OfLeases):
    """A conversation is not taken from an owner that is well, and whose store is."""

    name = "left_alone"
    letters = "P1"

    def changes(self, conversation: str, before: str, after: str, since_ns: int) -> None:  # noqa: ARG002 - how long it had it matters to the other
        """Ask how well its owner was."""
        owner = self.replicas.get(before)
        if owner is None or not owner.is_well:
            return
        well_ns = self.chronicle.now_ns - max(owner.since_ns, self.calm_ns)
        if well_ns > IN_TIME_NS:
            text = f"{after} takes {conversation} from {before}, who has been well for {well_ns / NS_PER_S:.2f} s"
            self.accuse(self.chronicle.tales[conversation].server, text)
