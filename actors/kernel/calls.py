"""Calls that wait for their answers: each gets exactly one, a value or an error."""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio
import attrs

from protocol.cell_path import Address
from protocol.envelope import Response
from protocol.errors import Overflow
from protocol.truth import CallTruth

PENDING_MAX: Final = 4096
#: How many ended calls are told of.
ENDED_MAX: Final = 10_000
#: How long one hop may take after a deadline before a call that was not answered is a fault.
HOP_S: Final = 1.0


@attrs.define
class Pending:
    """One call that waits, until a moment of the loop's clock."""

    until_s: float
    asked: Address | None = None  # Who; None: anybody may answer.
    arrived: anyio.Event = attrs.field(factory=anyio.Event)
    answer: Response | None = None
    answers: int = 0  # What its caller was given: an answer, or the error that none came.


class Calls:
    """The calls of one replica, by the id of the envelope that asked."""

    def __init__(self) -> None:
        self._pending: dict[bytes, Pending] = {}
        self._ended: deque[CallTruth] = deque(maxlen=ENDED_MAX)
        self.unwanted = 0  # Answers that nobody waited for (any more).

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, envelope: bytes, *, until_s: float, asked: Address | None = None) -> Pending:
        """Begin to wait for an answer to that envelope."""
        if len(self._pending) >= PENDING_MAX:
            raise Overflow(what="the table of pending calls", limit=PENDING_MAX)
        return self._pending.setdefault(envelope, Pending(until_s, asked))

    def asked(self, envelope: bytes) -> Address | None:
        """Tell who was asked by that envelope, if its answer is still waited for."""
        pending = self._pending.get(envelope)
        return None if pending is None else pending.asked

    def close(self, envelope: bytes) -> None:
        """Wait no more: whatever comes is late.  A call that nothing came for is answered by its caller's error."""
        pending = self._pending.pop(envelope)
        answers = pending.answers or 1
        self._ended.append(CallTruth(call=envelope.hex(), answers=answers, is_overdue=False))

    def resolve(self, answer: Response) -> bool:
        """Give an answer to the call that waits for it; tell whether one did.  The second of two is dropped."""
        pending = self._pending.get(answer.answers)
        if pending is None or pending.answer is not None:
            self.unwanted += 1
            return False
        pending.answer = answer
        pending.answers += 1
        pending.arrived.set()
        return True

    def truth(self, now_s: float) -> tuple[CallTruth, ...]:
        """Tell of the latest calls how often each was answered, and which wait past their deadline and one hop."""
        waiting = (
            CallTruth(call=call.hex(), answers=pending.answers, is_overdue=now_s > pending.until_s + HOP_S)
            for call, pending in self._pending.items()
        )
        return (*self._ended, *waiting)
