"""Oracles over what succeeds and what should never fail: safe is also what never gets anything done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.bodies import decode_body
from protocol.errors import ErrorReport, ServerLocked
from protocol.journal import Kind
from sim.checkers.oracle import Oracle
from sim.history import Broker, Crashed, Fired, Happening, Journaled, Noted, Paused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

#: The steps that decide whether an order can be carried out at all, as servers, hosts and volumes are just then.
DECIDES: Final = frozenset(
    {
        "take", "begin", "prove_source", "begin_move", "begin_confirm", "begin_revert", "choose_target", "take_place",
        "allocate", "allocate_target", "find_block_device", "reserve_attachment", "add_block_device",
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
        return {Journaled: self._journaled, **dict.fromkeys((Fired, Crashed, Paused, Broker), self._wrong)}

    def _wrong(self, _what: Happening) -> None:
        self._is_healthy = False

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        if self._is_healthy and entry.kind is Kind.REFUSED and not entry.is_undo and entry.step not in DECIDES:
            report = decode_body(entry.payload, ErrorReport)
            if report.code != ServerLocked.code:  # A lock comes at any time.
                reason = report.message
                self.accuse(what.server, f"{entry.step} is refused, and nothing went wrong: {reason}")


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
