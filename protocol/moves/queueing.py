"""What an order does to the conversations that are open for its server, and when its user hears what is decided.

A delete ends the others and lets nothing in after it; who has the server in the end is the arbiter's to say.
"""

from typing import Final

import attrs

from protocol.bodies import decode_body
from protocol.errors import CellferryError, Conflict, ErrorReport
from protocol.journal import Ending, Entry, Journal, Kind
from protocol.moves.parties import Brief
from protocol.saga import read
from protocol.states import Goal

#: Every plan begins by taking the server: until that is decided its user hears nothing.
FIRST_STEP: Final = "take"
#: The steps by which a cell lets an order in, or refuses it with nothing changed.
DOORS: Final = frozenset({"begin", "begin_move", "begin_confirm", "begin_revert", "begin_delete", "find_attachments"})

#: The step by which a move asks the host that has its server, before its cell is: until it is over nothing is decided.
PROOF: Final = "prove_source"
MOVES: Final = frozenset({Goal.RESIZE, Goal.MIGRATE, Goal.LIVE_MIGRATE})
#: What no cell has to let in: of these there is nothing in the server's state that could stand in the way.
DOORLESS: Final = frozenset({Goal.CREATE, Goal.REPAIR})


@attrs.frozen(kw_only=True)
class Other:
    """A conversation that is open for the server that an order is about."""

    conversation: str
    goal: Goal


@attrs.frozen(kw_only=True)
class Admit:
    """The order may begin; `ends` are the conversations that are to end because of it."""

    ends: tuple[Other, ...] = ()


@attrs.frozen
class TurnAway:
    """The order may not even begin."""

    error: CellferryError


def admit(goal: Goal, *, server: str, others: tuple[Other, ...]) -> Admit | TurnAway:
    """Decide whether an order may begin beside these."""
    for other in others:
        if other.goal is Goal.DELETE:
            reason = f"it is being deleted by {other.conversation}"
            return TurnAway(Conflict(server=server, action=goal.value, reason=reason))
    return Admit(ends=others if goal is Goal.DELETE else ())


def ended_by(server: str, goal: Goal, deleter: str) -> CellferryError:
    """Give the cause with which a conversation ends that a delete has overtaken."""
    return Conflict(server=server, action=goal.value, reason=f"it is being deleted by {deleter}")


@attrs.frozen(kw_only=True)
class Verdict:
    """What the user is told of an order: it is accepted, or refused for this."""

    refusal: ErrorReport | None = None
    #: It has the server, and its cell has not let it in yet; or that has refused it, and the server is not free yet.
    is_open: bool = False


def verdict(journal: Journal) -> Verdict | None:
    """Tell what is decided about an order; None: nothing yet."""
    first, last = journal.entries[0], journal.entries[-1]
    if read(first.payload, Brief).is_queued:
        # What waits behind others is accepted at once: it is durable, and has its turn.
        return Verdict()
    found: Verdict | None = None
    for entry in journal.entries:
        is_taking = entry.step == FIRST_STEP and not entry.is_undo
        is_door = entry.step in {*DOORS, PROOF} and not entry.is_undo
        if entry.kind is Kind.ABORTED or (is_taking and entry.kind is Kind.REFUSED):
            return Verdict(refusal=decode_body(entry.payload, ErrorReport))
        is_asked = entry.step in DOORS and entry.kind is Kind.INTENT and not entry.is_undo
        if (is_taking and entry.kind is Kind.DONE and journal.goal not in MOVES) or is_asked:
            found = Verdict(is_open=journal.goal not in DOORLESS)
        elif is_door and entry.kind is Kind.DONE and entry.step != PROOF:
            return Verdict()
        elif (refusal := _refusal(entry, is_door=is_door)) is not None:
            return Verdict(refusal=refusal, is_open=last.kind is not Kind.RELEASED)
    return found


def _refusal(entry: Entry, *, is_door: bool) -> ErrorReport | None:
    if is_door and entry.kind is Kind.REFUSED:
        return decode_body(entry.payload, ErrorReport)
    # Its cell never let it in, though it did not refuse: it was away for too long.
    return decode_body(entry.payload, Ending).cause if entry.kind is Kind.END else None
