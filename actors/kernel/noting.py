"""What is seen of conversations from outside: figures of their steps, and which trace each step is part of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from actors.kernel.metrics import CONVERSATIONS, STEP_RETRIES, STEPS
from actors.kernel.traces import Stepped
from protocol.journal import Journal, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.kernel.ports import Events
    from protocol.saga import Send

US_A_S: Final = 1_000_000


@attrs.define
class Going:
    """A step on its way: the trace parent to be written with its intent, and how it came out in the end."""

    trace_parent: bytes
    outcome: str = "ended"


class Noting:
    """Counts what conversations do."""

    def __init__(self, events: Events) -> None:
        self._events = events

    @contextmanager
    def step(self, journal: Journal, send: Send) -> Iterator[Going]:
        """Bring a step to its outcome, which is to be noted in what this gives; a failure of ours is no outcome."""
        since_s = anyio.current_time()
        with self._events.traces.stepping(_stepped(journal, send)) as trace_parent:
            going = Going(trace_parent.encode())
            yield going
            took_s = anyio.current_time() - since_s
            self._events.meters.observe(STEPS, took_s, send.step.name, _way(send), going.outcome)
            if going.outcome != Kind.DONE:
                self._events.traces.failed(going.outcome)

    def retry(self, send: Send) -> None:
        """Count one more try of a step."""
        self._events.meters.add(STEP_RETRIES, send.step.name, _way(send))

    def end(self, journal: Journal, *, is_success: bool) -> None:
        """Count a conversation that has its outcome, as its journal's last entry says."""
        took_s = max(0.0, (journal.entries[-1].at_us - journal.entries[0].at_us) / US_A_S)
        self._events.meters.observe(CONVERSATIONS, took_s, journal.goal.value, "done" if is_success else "undone")

    def parked(self, journal: Journal, waits_for: str) -> None:
        """Tell that a conversation cannot go on."""
        about = {"conversation": journal.conversation, "server": journal.server}
        self._events.emit("conversation_parked", **about, reason=waits_for)


def _way(send: Send) -> str:
    return "undo" if send.is_undo else "execute"


def _stepped(journal: Journal, send: Send) -> Stepped:
    """Say what is done; the newest intent with a trace says whose trace it is, should nobody here know it."""
    traced = (entry for entry in reversed(journal.entries) if entry.kind is Kind.INTENT and entry.payload)
    return Stepped(
        conversation=journal.conversation, server=journal.server, goal=journal.goal.value, step=send.step.name,
        attempt=send.attempt, is_undo=send.is_undo, to=send.address,
        former=next((entry.payload.decode(errors="replace") for entry in traced), ""), same=_same(journal, send),
    )  # fmt: skip


def _same(journal: Journal, send: Send) -> str:
    """Give the trace parent of the same step's last attempt, its execute when this is its undo."""
    for entry in reversed(journal.entries):
        if entry.kind is Kind.INTENT and entry.step == send.step.name and entry.payload:
            return entry.payload.decode(errors="replace")
    return ""
