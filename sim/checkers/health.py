"""Oracles over what succeeds and what should never fail: safe is also what never gets anything done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.bodies import decode_body
from protocol.errors import ErrorReport, ServerLocked
from protocol.journal import Kind
from protocol.states import Goal
from sim.checkers.oracle import Oracle
from sim.history import Broker, Crashed, Fired, Happening, Journaled, Noted, Paused
from sim.slowed import Slowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

#: The steps that decide whether an order can be carried out at all, as servers, hosts and volumes are just then.
DECIDES: Final = frozenset(
    {
        "take", "begin", "prove_source", "begin_move", "begin_confirm", "begin_revert", "choose_target", "take_place",
        "allocate", "allocate_target", "find_block_device", "reserve_attachment", "add_block_device",
        "register_snapshot", "find_image",
    }
)  # fmt: skip


class HealthySucceeds(Oracle):
    """As long as nothing goes wrong, no step is refused but those that decide whether an order can be carried out."""

    name = "healthy_succeeds"
    letters = "V3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._is_healthy = True

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries, and of whatever goes wrong."""
        return {Journaled: self._journaled, **dict.fromkeys((Fired, Slowed, Crashed, Paused, Broker), self._wrong)}

    def _wrong(self, _what: Happening) -> None:
        self._is_healthy = False

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        if self._is_healthy and entry.kind is Kind.REFUSED and not entry.is_undo and entry.step not in DECIDES:
            report = decode_body(entry.payload, ErrorReport)
            if report.code != ServerLocked.code:  # A lock comes at any time.
                reason = report.message
                self.accuse(what.server, f"{entry.step} is refused, and nothing went wrong: {reason}")


#: How the steps of a repair begin that remove something.
CLEARS: Final = "clear_"


class NothingLeftOver(Oracle):
    """A repair finds nothing to remove: whatever cellferry does leaves nothing; only news may still be on its way."""

    name = "nothing_left_over"
    letters = "L1, L2"

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        # What the root has been told of a record that is gone may be older than that.
        is_removal = what.goal is Goal.REPAIR and entry.step.startswith(CLEARS) and entry.step != "clear_root"
        if not (is_removal and entry.kind is Kind.INTENT and not entry.is_undo):
            return
        if not self._is_owed_by_a_deleted(what.server):
            self.accuse(what.server, f"its repair has something to remove: {entry.step}")

    def _is_owed_by_a_deleted(self, server: str) -> bool:
        """Tell whether a move still cleans up after a server that is deleted: a delete does not wait for that."""
        is_owed = any(tale.goal is not Goal.REPAIR for tale in self.chronicle.open_of(server))
        return is_owed and any(
            tale.server == server and tale.goal is Goal.DELETE and tale.is_success
            for tale in self.chronicle.tales.values()
        )


#: What the kernel notes when it meets an error that nobody has declared.
MISTAKES: Final = frozenset({"handler_failed", "conversation_failed"})


class NoMistakes(Oracle):
    """No handler and no conversation ever fails by an error that is not declared."""

    name = "no_mistakes"
    letters = "V1"

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear what actors note."""
        return {Noted: self._noted}

    def _noted(self, what: Noted) -> None:
        if what.event in MISTAKES:
            self.accuse(what.process, f"{what.event}: {what.detail}")
