"""The journal of a conversation: what was intended, what came of it, in order.  Append-only."""

from collections.abc import Mapping
from enum import StrEnum
from functools import reduce
from typing import Any, Final

import attrs

from protocol.bodies import decode_body
from protocol.errors import ErrorReport
from protocol.states import Goal


class Kind(StrEnum):
    """What an entry says."""

    BEGIN = "begin"  # The order, and which plan is followed.
    INTENT = "intent"  # A command is about to be sent.
    DONE = "done"  # It was answered with this reply.
    REFUSED = "refused"  # It was answered with this error.
    ABORTED = "aborted"  # An order that goes before it wants it to end: all is to be undone, for this cause.
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


#: Which exchange an entry is about: the step, its attempt, and whether it is the undo.
Exchange = tuple[str, int, bool]


@attrs.frozen(kw_only=True, eq=False)
class Facts:
    """What the entries of a journal come to.  They are asked for at every step: each entry adds to them, once."""

    done: Mapping[Exchange, Entry]  # The newest reply in each exchange.
    names: frozenset[str]  # The steps that were done, in whichever attempt.
    intents: Mapping[tuple[str, int], Entry]  # Of each execute the first intent, in the order of the intents.
    attempt: int  # The newest; 0: none is numbered.
    refusal: Entry | None  # The newest of an execute.
    aborted: Entry | None = None

    def after(self, entry: Entry) -> "Facts":
        """Give what they come to with one more entry."""
        done, names, intents, refusal = self.done, self.names, self.intents, self.refusal
        aborted = self.aborted
        match entry.kind:
            case Kind.DONE:
                done = {**done, (entry.step, entry.attempt, entry.is_undo): entry}
                names = names if entry.is_undo else names | {entry.step}
            case Kind.INTENT if not entry.is_undo and (entry.step, entry.attempt) not in intents:
                intents = {**intents, (entry.step, entry.attempt): entry}
            case Kind.REFUSED if not entry.is_undo:
                refusal = entry
            case Kind.ABORTED:
                aborted = entry
            case _:
                pass
        attempt = max(self.attempt, entry.attempt)
        return Facts(
            done=done, names=names, intents=intents, attempt=attempt, refusal=refusal, aborted=aborted
        )  # fmt: skip


NO_FACTS: Final = Facts(done={}, names=frozenset(), intents={}, attempt=0, refusal=None)


@attrs.frozen(kw_only=True)
class Journal:
    """All entries of one conversation so far."""

    conversation: str
    server: str
    goal: Goal
    entries: tuple[Entry, ...]
    _facts: Facts | None = attrs.field(init=False, default=None, eq=False, repr=False)
    #: What was worked out of payloads that stand here, by these payloads: so it holds for the journals that follow.
    worked_out: dict[tuple[object, ...], Any] = attrs.field(init=False, factory=dict, eq=False, repr=False)

    @property
    def facts(self) -> Facts:
        """What the entries come to."""
        found = self._facts
        if found is None:
            found = reduce(Facts.after, self.entries, NO_FACTS)
            object.__setattr__(self, "_facts", found)
        return found

    def followed_by(self, entry: Entry) -> "Journal":
        """Give the journal with one more entry."""
        assert entry.seq == len(self.entries), f"entry {entry.seq} after {len(self.entries)}"
        after = Journal(
            conversation=self.conversation, server=self.server, goal=self.goal, entries=(*self.entries, entry)
        )
        object.__setattr__(after, "_facts", self.facts.after(entry))
        object.__setattr__(after, "worked_out", self.worked_out)
        return after

    @property
    def epoch(self) -> int:
        """The newest epoch written."""
        return self.entries[-1].epoch


@attrs.frozen(kw_only=True)
class Ending:
    """How a conversation ended: well, or with everything undone because of `cause`."""

    is_success: bool
    cause: ErrorReport | None = None


def ending_of(journal: Journal) -> Ending | None:
    """Give how a conversation ended, if it has."""
    for entry in journal.entries:
        if entry.kind is Kind.END:
            return decode_body(entry.payload, Ending)
    return None
