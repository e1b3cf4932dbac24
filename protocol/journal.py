"""The journal of a conversation: what was intended, what came of it, in order.  Append-only."""

from enum import StrEnum

import attrs

from protocol.errors import ErrorReport
from protocol.states import Goal


class Kind(StrEnum):
    """What an entry says."""

    BEGIN = "begin"  # The order, and which plan is followed.
    INTENT = "intent"  # A command is about to be sent.
    DONE = "done"  # It was answered with this reply.
    REFUSED = "refused"  # It was answered with this error.
    END = "end"  # Nothing is left to do; the outcome.
    CLOSED = "closed"  # Every receiver has fenced and forgotten the conversation.
    RELEASED = "released"  # The arbiter has let the server go: the next conversation may begin.


@attrs.frozen(kw_only=True)
class Entry:
    """One entry: of which step and attempt, of its execute or its undo, and the bytes that go with it."""

    seq: int
    epoch: int
    kind: Kind
    at_us: int
    step: str = ""
    attempt: int = 0
    is_undo: bool = False
    payload: bytes = b""


@attrs.frozen(kw_only=True)
class Journal:
    """All entries of one conversation so far."""

    conversation: str
    server: str
    goal: Goal
    entries: tuple[Entry, ...]

    def followed_by(self, entry: Entry) -> "Journal":
        """Give the journal with one more entry."""
        assert entry.seq == len(self.entries), f"entry {entry.seq} after {len(self.entries)}"
        return attrs.evolve(self, entries=(*self.entries, entry))

    @property
    def epoch(self) -> int:
        """The newest epoch written."""
        return self.entries[-1].epoch


@attrs.frozen(kw_only=True)
class Ending:
    """How a conversation ended: well, or with everything undone because of `cause`."""

    is_success: bool
    cause: ErrorReport | None = None
