"""What the journals of conversations tell, in the order in which it was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.bodies import decode_body
from protocol.errors import ErrorReport
from protocol.journal import Ending, Entry, Kind
from sim.history import Answered, Journaled, Ordered

if TYPE_CHECKING:
    from sim.history import History

DONE: Final = "done"
END: Final = "end"
SUCCESS: Final = "success"


class Outcome(NamedTuple):
    """What came of one step of a conversation (or of its undo): `done`, or the code of the error.

    The last outcome is that of the conversation itself: step `end`, `success` or the code of the first cause.
    """

    step: str
    is_undo: bool
    outcome: str
    attempt: int = 0  # Which choice of target the step belongs to; 0: it belongs to none.


class Answer(NamedTuple):
    """What a user was told of an operation: its conversation, or the code of the error."""

    conversation: str
    error: str


def answer_to(history: History, request_id: str) -> Answer:
    """Give what the user was told who placed an order under a request id."""
    number = None
    for line in history.lines:
        if isinstance(line.what, Ordered) and line.what.order.origin.request_id == request_id:
            number = line.what.number
        elif isinstance(line.what, Answered) and line.what.number == number:
            return Answer(line.what.conversation, line.what.error)
    raise AssertionError(f"nobody has answered {request_id}")


def entries_of(history: History, conversation: str) -> tuple[Entry, ...]:
    """Give what is durable of a conversation's journal."""
    return tuple(
        line.what.entry
        for line in history.lines
        if isinstance(line.what, Journaled) and line.what.conversation == conversation
    )


def outcomes_of(history: History, conversation: str) -> tuple[Outcome, ...]:
    """Give the outcomes of a conversation's steps: no intents, epochs, times or retries."""
    return tuple(outcome for entry in entries_of(history, conversation) if (outcome := _outcome(entry)) is not None)


def ending_of(history: History, conversation: str) -> Ending | None:
    """Give how a conversation ended, if it has."""
    ends = (entry for entry in entries_of(history, conversation) if entry.kind is Kind.END)
    return next((decode_body(entry.payload, Ending) for entry in ends), None)


def is_over(history: History, conversation: str) -> bool:
    """Tell whether a conversation is over, and its server free for the next."""
    return any(entry.kind is Kind.RELEASED for entry in entries_of(history, conversation))


def _outcome(entry: Entry) -> Outcome | None:
    match entry.kind:
        case Kind.DONE:
            return Outcome(entry.step, entry.is_undo, DONE, entry.attempt)
        case Kind.REFUSED:
            return Outcome(entry.step, entry.is_undo, decode_body(entry.payload, ErrorReport).code, entry.attempt)
        case Kind.END:
            cause = decode_body(entry.payload, Ending).cause
            return Outcome(END, False, SUCCESS if cause is None else cause.code)
        case _:
            return None
