"""Which conversation does by itself what is due follows from that alone, and from what came of those before."""

from typing import Final

import pytest

from protocol.bodies import encode_body
from protocol.journal import Ending, Entry, Journal, Kind
from protocol.messages.orders import DeleteServer, SettleMove
from protocol.messages.root import Due
from protocol.moves.chores import AGAIN_AFTER_MANY_US, AGAIN_US, CONFIRM, MANY, RECLAIM, Waits
from protocol.states import Goal

MOVE: Final = Due(server="s1", project="p", since_us=5)
NOW_US: Final = 10 * AGAIN_AFTER_MANY_US


def journal(*kinds: Kind, is_success: bool = False, at_us: int = 0) -> Journal:
    payload = encode_body(Ending(is_success=is_success))
    entries = tuple(
        Entry(seq=seq, epoch=1, kind=kind, at_us=at_us, payload=payload if kind is Kind.END else b"")
        for seq, kind in enumerate((Kind.BEGIN, *kinds))
    )
    return Journal(conversation="c", server="s1", goal=Goal.CONFIRM, entries=entries)


def asked(*journals: Journal, now_us: int = NOW_US, move: Due = MOVE) -> tuple[str | None, list[str]]:
    """Ask with these in the store, one for each conversation that is looked for; tell also which those were."""
    names: list[str] = []

    def read(conversation: str) -> Journal | None:
        names.append(conversation)
        return journals[len(names) - 1] if len(names) <= len(journals) else None

    return CONFIRM.next_conversation(move, read, now_us), names


FAILED: Final = journal(Kind.END, Kind.CLOSED, Kind.RELEASED)


def test_all_conductors_begin_the_same_conversation_for_a_move_and_another_one_for_the_next() -> None:
    """So that the store takes it once; a move of the same server is told by its time."""
    first, names = asked()
    assert ([first], asked()[0]) == (names, first)
    later = Due(server="s1", project="p", since_us=6)
    other = Due(server="s2", project="p", since_us=5)
    assert len({first, asked(move=later)[0], asked(move=other)[0]}) == 3


@pytest.mark.parametrize(
    "before",
    [
        journal(),
        journal(Kind.END),
        journal(Kind.END, Kind.CLOSED),
        journal(Kind.END, Kind.CLOSED, Kind.RELEASED, is_success=True),
        journal(Kind.END, Kind.CLOSED, Kind.RELEASED, at_us=NOW_US - AGAIN_US + 1),
    ],
    ids=["under way", "ended", "closed", "done", "failed just now"],
)
def test_none_is_begun_beside_one_that_is_under_way_has_done_it_or_failed_just_now(before: Journal) -> None:
    """Also when those before it have failed long since."""
    assert asked(before)[0] is None
    assert asked(FAILED, before)[0] is None


def test_one_that_failed_a_while_ago_is_followed_by_another() -> None:
    """Whose name is a new one, but again the same for all."""
    found, names = asked(journal(Kind.END, Kind.CLOSED, Kind.RELEASED, at_us=NOW_US - AGAIN_US))
    assert found == names[-1] == asked(FAILED)[0]
    assert len(set(names)) == 2


@pytest.mark.parametrize(("failed", "again_us"), [(MANY, AGAIN_US), (MANY + 1, AGAIN_AFTER_MANY_US)])
def test_what_has_failed_many_times_is_tried_less_often(failed: int, again_us: int) -> None:
    """A server that is locked for days leaves a journal an hour, and not one a minute."""
    before = [FAILED] * (failed - 1)
    last = journal(Kind.END, Kind.CLOSED, Kind.RELEASED, at_us=NOW_US)
    assert asked(*before, last, now_us=NOW_US + again_us - 1)[0] is None
    assert asked(*before, last, now_us=NOW_US + again_us)[0] is not None


def test_the_order_says_that_no_user_gave_it_and_for_whose_project() -> None:
    """As the server's history will tell it; a reclaim, of which soft delete it is the end."""
    confirm, delete = (chore.order_of(MOVE, "c1") for chore in (CONFIRM, RECLAIM))
    assert isinstance(confirm, SettleMove)
    assert isinstance(delete, DeleteServer)
    assert (confirm.server, confirm.goal, delete.server, delete.soft_deleted_at_us) == ("s1", Goal.CONFIRM, "s1", 5)
    for order, user in ((confirm, "auto-confirm"), (delete, "reclaim")):
        assert (order.origin.user, order.origin.project, order.origin.request_id) == (user, "p", "req-c1")
        assert not order.origin.is_admin


def test_only_what_has_a_time_is_done_by_itself() -> None:
    """In microseconds; 0 is never."""
    assert Waits().chores() == ()
    assert Waits(reclaim_after_s=2).chores() == ((RECLAIM, 2_000_000),)
    assert [chore for chore, _ in Waits(confirm_after_s=1, reclaim_after_s=2).chores()] == [CONFIRM, RECLAIM]
