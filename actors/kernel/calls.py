"""Calls that wait for their answers: each gets exactly one, a value or an error."""

from __future__ import annotations

from typing import Final

import anyio
import attrs

from protocol.envelope import Response
from protocol.errors import CellferryError, Overflow

PENDING_MAX: Final = 4096


@attrs.define
class Pending:
    """One call that waits."""

    arrived: anyio.Event = attrs.field(factory=anyio.Event)
    answer: Response | None = None
    failure: CellferryError | None = None


class Calls:
    """The calls of one replica, by the id of the envelope that asked."""

    def __init__(self) -> None:
        self._pending: dict[bytes, Pending] = {}
        self.unwanted = 0  # Answers that nobody waited for (any more).

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, envelope: bytes) -> Pending:
        """Begin to wait for an answer to that envelope."""
        if len(self._pending) >= PENDING_MAX:
            raise Overflow(what="the table of pending calls", limit=PENDING_MAX)
        return self._pending.setdefault(envelope, Pending())

    def close(self, envelope: bytes) -> None:
        """Wait no more: whatever comes is late."""
        self._pending.pop(envelope, None)

    def resolve(self, answer: Response) -> bool:
        """Give an answer to the call that waits for it; tell whether one did.  The second of two is dropped."""
        pending = self._pending.pop(answer.answers, None)
        if pending is None:
            self.unwanted += 1
            return False
        pending.answer = answer
        pending.arrived.set()
        return True
