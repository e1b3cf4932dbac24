"""Oracles over orders: what was acknowledged is carried out, and comes to its end in time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from protocol.bodies import decode_body
from protocol.errors import (
    CODES,
    CallTimeout,
    ErrorReport,
    GuestNotFound,
    HypervisorFailed,
    ImageDamaged,
    ImageTooLarge,
    PermitRefused,
    RemoteError,
    ServerLocked,
    VolumeUnreachable,
)
from protocol.journal import Kind
from protocol.moves.parties import Brief
from protocol.records import Mapping
from protocol.saga import read
from protocol.states import Goal
from sim.checkers.chronicle import NS_PER_S
from sim.checkers.journals import FIRST_STEP
from sim.checkers.oracle import Oracle
from sim.history import Answered, Happening, Journaled, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as MappingOf

    from protocol.errors import CellferryError
    from protocol.truth import ConversationTruth, Truth
    from sim.checkers.chronicle import Chronicle, Tale
    from sim.checkers.oracle import Accuse, Ear

#: Ten times the longest pause between two tries.
BOUND_S: Final = 300.0
#: How the reason begins with which our own mistake parks a conversation.
MISTAKE: Final = "a mistake of cellferry"


def _pattern(template: str) -> str:
    return ".*".join(re.escape(text) for text in re.split(r"\{[^}]*\}", template))


def _any_of(errors: Iterable[type[CellferryError]]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{_pattern(error.template)})" for error in errors), re.DOTALL)


#: The texts of errors that pass when one asks again: nobody waits for those when nothing is broken any more.
PASSING: Final = _any_of(error for error in CODES.values() if error.is_retryable)
#: What somebody outside can do something about.  All else are our own actors' refusals: asked again, they refuse again.
OUTSIDE: Final = _any_of((GuestNotFound, HypervisorFailed, ImageDamaged, ImageTooLarge, RemoteError, VolumeUnreachable))
assert PASSING.fullmatch(str(CallTimeout(address="api/cell", method="take_server", waited_s=30.0)))
assert not OUTSIDE.fullmatch(str(PermitRefused(server="s1", number=1, reason="it is held")))


class AcknowledgedKept(Oracle):
    """An order that was acknowledged has a durable conversation, which has the server and is not forgotten."""

    name = "acknowledged_kept"
    letters = "M6"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._acknowledged: dict[str, int] = {}

    def ears(self) -> MappingOf[type[Happening], Ear]:
        """Hear of what users are told."""
        return {Answered: self._answered}

    def _answered(self, what: Answered) -> None:
        if not what.conversation:
            return
        self._acknowledged[what.conversation] = what.number
        tale = self.chronicle.tales.get(what.conversation)
        if tale is None:
            self.accuse(what.conversation, f"order {what.number} is acknowledged, and no journal has it")
        elif not tale.has(Kind.DONE, FIRST_STEP) and not _is_queued(tale):
            self.accuse(tale.server, f"order {what.number} is acknowledged, and its server is not taken for it")

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Ask the journals for every acknowledged order."""
        known = {each.conversation for each in truth.conversations}
        for conversation, number in self._acknowledged.items():
            if conversation not in known:
                self.accuse(conversation, f"order {number} was acknowledged, and the journals do not know it")


def _is_queued(tale: Tale) -> bool:
    payload = tale.entries[0].payload
    return bool(payload) and read(payload, Brief).is_queued


class DeletesHold(Oracle):
    """From when a delete has begun nothing else begins with its server, which is gone in the end, for good."""

    name = "deletes_hold"
    letters = "M6, M4"

    def ears(self) -> MappingOf[type[Happening], Ear]:
        """Hear of what begins."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        if what.entry.kind is not Kind.BEGIN:
            return
        for tale in self.chronicle.open_of(what.server):
            if tale.goal is Goal.DELETE and tale.conversation != what.conversation:
                text = f"{what.goal} {what.conversation} begins, and {tale.conversation} is deleting it"
                self.accuse(what.server, text)

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Ask for what was deleted, and for those who waited for their turn and never had it."""
        mapped = {mapping.server for mapping in truth.of_root(Mapping)}
        for tale in self.chronicle.tales.values():
            if tale.goal is not Goal.DELETE:
                continue
            if tale.is_success and tale.server in mapped:
                self.accuse(tale.server, f"was deleted by {tale.conversation}, and is back")
            elif tale.is_success is False and _is_queued(tale) and not _is_kept_out(tale):
                self.accuse(tale.server, f"its delete {tale.conversation} was accepted, and has come to nothing")


def _is_kept_out(tale: Tale) -> bool:
    """Tell whether the server did not let its delete in, or whoever had it before has locked it."""
    return tale.has(Kind.REFUSED, "begin_delete") or any(
        entry.kind is Kind.REFUSED and decode_body(entry.payload, ErrorReport).code == ServerLocked.code
        for entry in tale.entries
    )


class EndsInTime(Oracle):
    """When faults have stopped, every conversation is over within ten times the longest pause, or is parked."""

    name = "ends_in_time"
    letters = "V1"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._healed_ns: int | None = None

    def ears(self) -> MappingOf[type[Happening], Ear]:
        """Hear of the healing and of ends."""
        return {Phase: self._phase, Journaled: self._journaled}

    def _phase(self, what: Phase) -> None:
        if what.name == "healed":
            self._healed_ns = self.chronicle.now_ns

    def _journaled(self, what: Journaled) -> None:
        if self._healed_ns is None or what.entry.kind is not Kind.RELEASED:
            return
        took_s = self._took_s(what.conversation)
        if took_s > BOUND_S:
            self.accuse(what.server, f"{what.conversation} is over {took_s:.0f} s after everything was healed")

    def _took_s(self, conversation: str) -> float:
        tale = self.chronicle.tales.get(conversation)
        since_ns = max(tale.began_ns if tale else 0, self._healed_ns or 0)
        return (self.chronicle.now_ns - since_ns) / NS_PER_S

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:
        """Ask for conversations that are under way and wait for nothing."""
        for each in truth.conversations:
            is_late = healed_for_s >= BOUND_S and self._took_s(each.conversation) >= BOUND_S
            if is_late and not each.is_closed and not each.waits_for:
                self.accuse(each.server, f"{each.conversation} is not over {healed_for_s:.0f} s after the healing")


class ParkedTruly(Oracle):
    """A conversation that is parked when faults have stopped waits where its journal is, for what would not pass."""

    name = "parked_truly"
    letters = "V1, V2"

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:
        """Compare the reasons with the journals."""
        for each in truth.conversations:
            if not each.waits_for or each.is_closed or self._has_others_before(each):
                continue
            if each.waits_for.startswith(MISTAKE):
                self.accuse(each.server, f"{each.conversation} is parked: {each.waits_for}")
            elif healed_for_s >= BOUND_S:
                self._judge(each, each.waits_for)

    def _has_others_before(self, each: ConversationTruth) -> bool:
        # A delete waits behind whatever has the server: that one's own reason is judged.
        tales = self.chronicle.open_of(each.server)
        return each.goal is Goal.DELETE and any(tale.conversation != each.conversation for tale in tales)

    def _judge(self, each: ConversationTruth, waits_for: str) -> None:
        place, _, reason = waits_for.partition(": ")
        if PASSING.fullmatch(reason):
            self.accuse(each.server, f"{each.conversation} waits for what has passed: {waits_for}")
        elif not OUTSIDE.fullmatch(reason):
            self.accuse(each.server, f"{each.conversation} waits for what nobody outside can give: {waits_for}")
        tale = self.chronicle.tales.get(each.conversation)
        if tale is None:
            return
        here = {Kind.END: "close", Kind.CLOSED: "release"}.get(tale.last.kind, tale.last.step)
        if place.partition(" ")[0] != here:
            self.accuse(each.server, f"{each.conversation} is at {here}, and says: {waits_for}")
