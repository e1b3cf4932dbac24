"""Moves that nobody settles are confirmed after a while: by which order, and under which conversation.

Every conductor looks for itself.  That two of them, or one that comes back, place an order once follows from its id.
"""

from collections.abc import Callable
from itertools import count
from typing import Final

from protocol.ids import derived_id
from protocol.journal import Journal, Kind, ending_of
from protocol.messages.orders import SettleMove
from protocol.messages.root import WaitingMove
from protocol.messages.servers import Origin
from protocol.states import Goal

#: Who confirms, as the history of a server tells it.
USER: Final = "auto-confirm"
#: How often it is looked for moves that have waited for long enough.
LOOK_S: Final = 10.0
#: How long after a confirm that came to nothing the next one is begun.
AGAIN_US: Final = 60_000_000
#: How long after one of many: what stands in the way, such as a lock, may stay for days, and each leaves a journal.
MANY: Final = 10
AGAIN_AFTER_MANY_US: Final = 3_600_000_000


def order_of(move: WaitingMove, conversation: str) -> SettleMove:
    """Write the order that confirms a move."""
    origin = Origin(request_id=f"req-{conversation}", user=USER, project=move.project)
    return SettleMove(server=move.server, goal=Goal.CONFIRM, origin=origin)


def next_conversation(move: WaitingMove, read: Callable[[str], Journal | None], now_us: int) -> str | None:
    """Name the conversation that is to begin now; None: one is under way, has done it, or has failed just now."""
    for number in count():
        conversation = derived_id(USER, move.server, str(move.moved_at_us), str(number))
        journal = read(conversation)
        if journal is None:
            return conversation
        last, ending = journal.entries[-1], ending_of(journal)
        has_failed = last.kind is Kind.RELEASED and ending is not None and not ending.is_success
        pause_us = AGAIN_US if number < MANY else AGAIN_AFTER_MANY_US
        if not has_failed or now_us - last.at_us < pause_us:
            return None
    raise AssertionError("numbers do not end")
