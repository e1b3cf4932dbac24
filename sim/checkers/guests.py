"""Oracles over guests and disks: who may run where, and what may be destroyed when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from protocol.ids import derived_id
from protocol.journal import Entry, Kind
from protocol.messages.fencing import StandIn
from protocol.moves.plans import PLANS
from protocol.records import Permit
from protocol.saga import address_of, read
from protocol.states import Goal
from sim.checkers.chronicle import Tale, host_of, key_of, step_key
from sim.checkers.oracle import Oracle
from sim.history import Called, Carried, GuestOff, GuestOn, Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

#: Steps whose replies, and those of their undos, say how the ledger of permits is now.
RETURN: Final = "return_permit"
LEDGER: Final = frozenset({"issue_permit", RETURN})


@attrs.frozen
class Destroys:
    """A step by which a conversation may destroy a guest, or by whose undo, and which step must be done before."""

    step: str
    is_undo: bool = False
    #: The user's word is durable, or the server runs again where it came from.
    after: str = ""


_CONFIRMS: Final = Destroys("destroy_source_guest", after="finish_confirm")
DESTROYS: Final = {
    Goal.CREATE: (Destroys("spawn", is_undo=True),),
    Goal.RESIZE: (Destroys("spawn_target", is_undo=True),),
    Goal.MIGRATE: (Destroys("spawn_target", is_undo=True),),
    Goal.CONFIRM: (_CONFIRMS,),
    Goal.REVERT: (Destroys("destroy_target_guest", after="start_source"),),
    Goal.LIVE_MIGRATE: (
        Destroys("receive_disk", is_undo=True),
        Destroys("receive_guest", is_undo=True),
        Destroys("destroy_source_guest", after="finish_live"),
    ),
    Goal.DELETE: (
        _CONFIRMS,
        Destroys("destroy_guest", after="begin_delete"),
        Destroys("destroy_guest", after="find_attachments"),
    ),
    # Only what somebody else has left there: of what cellferry does nothing is, which `nothing_left_over` says.
    Goal.REPAIR: (Destroys("clear_host"),),
}
SNAPSHOTS: Final = frozenset({Goal.RESIZE, Goal.MIGRATE, Goal.LIVE_MIGRATE})


def permit_in(what: Journaled) -> Permit | None:
    """Read from an entry how the ledger has a server's permit, if it says so."""
    entry = what.entry
    if entry.kind is not Kind.DONE or entry.step not in LEDGER:
        return None
    permit = read(entry.payload, Permit)
    return permit if permit.number else None  # Number 0: a permit was withdrawn that never was issued.


def is_unmade(what: Journaled, tale: Tale) -> bool:
    """Tell whether an entry ends a create that has failed: what was of the server is forgotten."""
    return what.entry.kind is Kind.END and what.goal is Goal.CREATE and not tale.is_success


class OneHost(Oracle):
    """A server's guest is never on at two hosts at once."""

    name = "one_host"
    letters = "S1"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._running: dict[str, str] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of guests."""
        return {GuestOn: self._on, GuestOff: self._off}

    def _on(self, what: GuestOn) -> None:
        host = self._running.setdefault(what.server, what.host)
        if host != what.host:
            self.accuse(what.server, f"begins to run on {what.host}, and runs on {host}")

    def _off(self, what: GuestOff) -> None:
        if self._running.get(what.server) == what.host:
            del self._running[what.server]


class PermitsRise(Oracle):
    """A permit is issued when the last one came back, and its number is higher."""

    name = "permits_rise"
    letters = "S2"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._permits: dict[str, Permit] = {}
        self._returns: set[str] = set()  # The keys of the permits' returns that were carried out.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries, and of returns of which the answers may be lost."""
        return {Journaled: self._journaled, Carried: self._carried}

    def _carried(self, what: Carried) -> None:
        if RETURN in what.key and not what.is_error:
            self._returns.add(what.key)

    def _journaled(self, what: Journaled) -> None:
        if is_unmade(what, self.chronicle.tales[what.conversation]):
            self._permits.pop(what.server, None)
        permit = permit_in(what)
        if permit is None:
            return
        last = self._permits.get(what.server)
        self._permits[what.server] = permit
        if last is None or permit == last:
            return
        is_given_back = permit.holder is None and permit.number >= last.number
        is_next = (last.holder is None or self._is_restored(what, last, permit)) and permit.number > last.number
        if not (is_given_back or is_next):
            self.accuse(what.server, f"the ledger goes from {last} to {permit}")

    def _is_restored(self, what: Journaled, last: Permit, permit: Permit) -> bool:
        """Tell whether the holder has a return undone that the ledger has, though no journal was told of it."""
        execute = key_of(what.conversation, attrs.evolve(what.entry, is_undo=False))
        return what.entry.is_undo and permit.holder == last.holder and execute in self._returns


class PermitHeld(Oracle):
    """A guest begins to run by the current permit only, on the host that holds it."""

    name = "permit_held"
    letters = "S2"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._permits: dict[str, Permit] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries and of guests."""
        return {Journaled: self._journaled, GuestOn: self._on}

    def _journaled(self, what: Journaled) -> None:
        permit = permit_in(what)
        if permit is not None:
            self._permits[what.server] = permit

    def _on(self, what: GuestOn) -> None:
        permit = self._permits.get(what.server)
        if permit is None or (permit.number, host_of(permit.holder or "")) != (what.permit, what.host):
            self.accuse(what.server, f"begins to run on {what.host} by permit {what.permit}, the ledger has {permit}")


class DestroyLast(Oracle):
    """A guest's disk is destroyed only where it is undone, confirmed away, deleted, or where the source runs again."""

    name = "destroy_last"
    letters = "S6, S8"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._owed: set[tuple[str, str]] = set()  # Servers, and the fenced hosts on which they are to be destroyed.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of calls of hypervisors, and of what counts as done at a fenced host."""
        return {Called: self._called, Carried: self._carried}

    def _carried(self, what: Carried) -> None:
        key = step_key(what.key) if what.method == StandIn.METHOD.name else None
        tale = self.chronicle.tales.get(key.conversation) if key is not None else None
        if key is None or tale is None:
            return
        if (key.step, key.is_undo) not in {(each.step, each.is_undo) for each in DESTROYS.get(tale.goal, ())}:
            return
        if tale.last.step == key.step and _may_destroy(tale, _host(tale, tale.last)):
            self._owed.add((tale.server, _host(tale, tale.last)))

    def _called(self, what: Called) -> None:
        if what.call != "destroy":
            return
        host = host_of(what.where) or what.where
        if (what.about, host) in self._owed:
            return
        if not any(_may_destroy(tale, host) for tale in self.chronicle.open_of(what.about)):
            self.accuse(what.about, f"its guest and disk on {host} are destroyed, and no conversation may")


def _may_destroy(tale: Tale, host: str) -> bool:
    may = {
        (each.step, each.is_undo)
        for each in DESTROYS.get(tale.goal, ())
        if not each.after or tale.has(Kind.DONE, each.after)
    }
    return any(
        entry.kind is Kind.INTENT and (entry.step, entry.is_undo) in may and _host(tale, entry) == host
        for entry in tale.entries
    )


def _host(tale: Tale, entry: Entry) -> str:
    return host_of(str(address_of(PLANS[tale.goal], tale.journal(), entry)))


class SnapshotKept(Oracle):
    """The image that a root disk travels as is deleted when its guest was made at the target, or in an undo."""

    name = "snapshot_kept"
    letters = "S6"

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of calls of the image store."""
        return {Called: self._called}

    def _called(self, what: Called) -> None:
        if what.where != "image" or what.call != "delete":
            return
        for tale in self.chronicle.all_open():
            if tale.goal in SNAPSHOTS and derived_id(tale.conversation, "snapshot") == what.about:
                is_undone = tale.has(Kind.INTENT, "create_snapshot", is_undo=True)
                if not (tale.is_settled or is_undone):
                    self.accuse(tale.server, f"its snapshot {what.about} is deleted, and its guest is not made of it")
