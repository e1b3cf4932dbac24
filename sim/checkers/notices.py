"""Oracles over what users and listeners are told: faults with their first cause, and notifications, once each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from protocol.ids import derived_id
from protocol.invariants.standing import located, settled
from protocol.journal import Entry, Exchange, Kind
from protocol.records import Fault, Notification
from sim.checkers.chronicle import Tale, key_of
from sim.checkers.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from protocol.truth import Truth

#: What is told when a step was carried out, or (True) undone, in this order; by one publisher each.
TOLD: Final[dict[tuple[str, bool], tuple[str, ...]]] = {
    ("build", False): ("instance.create.start",),
    ("finish_build", False): ("instance.create.end",),
    ("claim_target", False): ("instance.exists", "instance.resize_prep.start", "instance.resize_prep.end"),
    ("claim_inside", False): ("instance.exists", "instance.resize_prep.start", "instance.resize_prep.end"),
    ("prepare_source", False): ("instance.resize.start",),
    ("mark_migrated", False): ("instance.resize.end",),
    ("finish_target", False): ("instance.resize_finish.start", "instance.resize_finish.end"),
    ("finish_inside", False): ("instance.resize_finish.start", "instance.resize_finish.end"),
    ("begin_move", True): ("compute_task.migrate_server.error",),
    ("begin_confirm", False): ("instance.resize_confirm.start",),
    ("finish_confirm", False): ("instance.resize_confirm.end",),
    ("begin_revert", False): ("instance.resize_revert.start",),
    ("finish_return", False): ("instance.exists", "instance.resize_revert.end"),
}
#: Not all that a step tells is by one publisher: that a server exists is said by its host.
EXISTS: Final = "instance.exists"
#: The steps whose undo leaves a fault: what was begun has failed.
BEGINS: Final = frozenset({"begin", "begin_move", "begin_confirm", "begin_revert"})


class ToldOnce(Oracle):
    """Each step that is to be told of was told once, in order, and nothing was told of what was not begun."""

    name = "told_once"
    letters = "M8"

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Compare the notifications of each settled server with the journals."""
        servers = {standing.server for standing in settled(truth)}
        rows: dict[str, list[Notification]] = {}
        for _, row in located(truth, Notification):
            rows.setdefault(row.id, []).append(row)
        most: Counter[tuple[str, str]] = Counter()
        for tale in self.chronicle.tales.values():
            if tale.server in servers:
                done = _done(tale)
                for entry in _begun(tale):
                    events = TOLD.get((entry.step, entry.is_undo), ())
                    most.update((tale.server, event) for event in events)
                    if _had_effect(done, entry):
                        self._compare(tale, entry, events, rows)
        told = Counter((row.server, row.event) for same in rows.values() for row in same if row.server in servers)
        known = {event for events in TOLD.values() for event in events}
        for (server, event), times in told.items():
            if event in known and times > most[server, event]:
                self.accuse(server, f"{event} was told {times} times, and is due {most[server, event]} times at most")

    def _compare(
        self, tale: Tale, entry: Entry, events: tuple[str, ...], rows: dict[str, list[Notification]]
    ) -> None:  # fmt: skip
        key, found = key_of(tale.conversation, entry), []
        for event in events:
            same = rows.get(derived_id(key, "notification", event), [])
            if len(same) != 1:
                self.accuse(tale.server, f"{event} of {tale.goal}'s {entry.step} was told {len(same)} times, not once")
            found.extend(same)
        if found != sorted(found, key=lambda row: row.seq) or len({row.seq for row in found}) < len(found):
            order = ", ".join(f"{row.event} as number {row.seq}" for row in found)
            self.accuse(tale.server, f"{tale.goal}'s {entry.step} was told in another order: {order}")
        publishers = {row.publisher for row in found if row.event != EXISTS}
        if "" in publishers or len(publishers) > 1:
            self.accuse(tale.server, f"{tale.goal}'s {entry.step} was told by {sorted(publishers)}, not by one")


class FaultsKept(Oracle):
    """Why something failed stands in the server's record at rest, wherever the server has been since."""

    name = "faults_kept"
    letters = "M7"

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Look for the fault of each operation that had begun, and was undone."""
        faults = {(cell, fault.id) for cell, fault in located(truth, Fault)}
        homes = {standing.server: standing.home.cell for standing in settled(truth)}
        for tale in self.chronicle.tales.values():
            if tale.server not in homes:
                continue
            done = _done(tale)
            for entry in _begun(tale):
                if entry.step in BEGINS and entry.is_undo and _had_effect(done, entry):
                    fault = derived_id(key_of(tale.conversation, entry), "fault")
                    if (homes[tale.server], fault) not in faults:
                        text = f"its {tale.goal} {tale.conversation} failed, and {homes[tale.server]} does not know why"
                        self.accuse(tale.server, text)


def _begun(tale: Tale) -> Iterator[Entry]:
    """List each step that has an intent, once for each attempt and direction."""
    seen = set()
    for entry in tale.entries:
        about = (entry.step, entry.attempt, entry.is_undo)
        if entry.kind is Kind.INTENT and about not in seen:
            seen.add(about)
            yield entry


def _done(tale: Tale) -> set[Exchange]:
    """Name what was answered well."""
    return {(each.step, each.attempt, each.is_undo) for each in tale.entries if each.kind is Kind.DONE}


def _had_effect(done: Collection[Exchange], entry: Entry) -> bool:
    """Tell whether a step is known to have been carried out: its answer is in the journal, an undo's execute's, too."""
    return all((entry.step, entry.attempt, is_undo) in done for is_undo in (entry.is_undo, False))
