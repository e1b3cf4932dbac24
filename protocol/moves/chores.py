"""What the conductor does by itself after a while: by which order, and under which conversation.

Moves that nobody settles are confirmed, and servers that were softly deleted are deleted for good.  Every conductor
looks for itself.  That two of them, or one that comes back, place an order once follows from its id.
"""

from collections.abc import Callable
from itertools import count
from typing import Final

import attrs

from protocol.ids import derived_id
from protocol.journal import Journal, Kind, ending_of
from protocol.messages.orders import DeleteServer, Order, SettleMove
from protocol.messages.root import AllDue, Due, ListSoftDeleted, ListWaitingMoves
from protocol.messages.servers import Origin
from protocol.requests import Request
from protocol.states import Goal

US_PER_S: Final = 1_000_000
#: How often it is looked for what is due.
LOOK_S: Final = 10.0
#: How long after an order that came to nothing the next one is begun.
AGAIN_US: Final = 60_000_000
#: How long after one of many: what stands in the way, such as a lock, may stay for days, and each leaves a journal.
MANY: Final = 10
AGAIN_AFTER_MANY_US: Final = 3_600_000_000


@attrs.frozen(kw_only=True)
class Chore:
    """A kind of order that nobody gives."""

    user: str  # Who does it, as the history of a server tells it.
    goal: Goal
    due: Callable[[int], Request[AllDue]]  # What the root is asked: what has waited for so many microseconds.
    order: Callable[[Due, Origin], Order]

    def order_of(self, due: Due, conversation: str) -> Order:
        """Write the order that does it for one server."""
        return self.order(due, Origin(request_id=f"req-{conversation}", user=self.user, project=due.project))

    def next_conversation(self, due: Due, read: Callable[[str], Journal | None], now_us: int) -> str | None:
        """Name the conversation that is to begin now; None: one is under way, has done it, or has failed just now."""
        for number in count():
            conversation = derived_id(self.user, due.server, str(due.since_us), str(number))
            journal = read(conversation)
            if journal is None:
                return conversation
            last, ending = journal.entries[-1], ending_of(journal)
            has_failed = last.kind is Kind.RELEASED and ending is not None and not ending.is_success
            pause_us = AGAIN_US if number < MANY else AGAIN_AFTER_MANY_US
            if not has_failed or now_us - last.at_us < pause_us:
                return None
        raise AssertionError("numbers do not end")


CONFIRM: Final = Chore(
    user="auto-confirm", goal=Goal.CONFIRM, due=lambda for_us: ListWaitingMoves(for_us=for_us),
    order=lambda due, origin: SettleMove(server=due.server, goal=Goal.CONFIRM, origin=origin),
)  # fmt: skip
#: It is about that very soft delete: one who was restored meanwhile, and softly deleted again, has his time anew.
RECLAIM: Final = Chore(
    user="reclaim", goal=Goal.DELETE, due=lambda for_us: ListSoftDeleted(for_us=for_us),
    order=lambda due, origin: DeleteServer(server=due.server, soft_deleted_at_us=due.since_us, origin=origin),
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Waits:
    """After how many seconds each is done; 0: never."""

    confirm_after_s: int = 0
    reclaim_after_s: int = 0

    def chores(self) -> tuple[tuple[Chore, int], ...]:
        """List those that are done at all, each with its time in microseconds."""
        each = ((CONFIRM, self.confirm_after_s), (RECLAIM, self.reclaim_after_s))
        return tuple((chore, after_s * US_PER_S) for chore, after_s in each if after_s)


NEVER: Final = Waits()
