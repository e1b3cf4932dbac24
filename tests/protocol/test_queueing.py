"""Which orders may begin beside others, who ends because of them, and when their users hear."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.bodies import encode_body
from protocol.cell_path import CellPath
from protocol.errors import Conflict, report
from protocol.journal import Entry, Journal, Kind
from protocol.messages.orders import DeleteServer
from protocol.messages.servers import Origin
from protocol.moves.parties import Brief
from protocol.moves.queueing import FIRST_STEP, Admit, Other, TurnAway, Verdict, admit, verdict
from protocol.states import Goal

ROOT = CellPath.parse("api")
ORDER = DeleteServer(server="s1", origin=Origin(request_id="r", user="u", project="p"))
REFUSAL = report(Conflict(server="s1", action="delete", reason="it is locked"), cell="api")
others = st.lists(st.builds(Other, conversation=st.text(min_size=1), goal=st.sampled_from(Goal))).map(tuple)


@given(goal=st.sampled_from(Goal), others=others)
def test_nothing_begins_beside_a_delete_and_a_delete_ends_all_else(goal: Goal, others: tuple[Other, ...]) -> None:
    """Whatever else is open is left to the arbiter."""
    found = admit(goal, server="s1", others=others)
    if any(other.goal is Goal.DELETE for other in others):
        assert isinstance(found, TurnAway)
        assert found.error.code == "conflict"
    else:
        assert found == Admit(ends=others if goal is Goal.DELETE else ())


def journal(*entries: Entry, is_queued: bool = False) -> Journal:
    payload = encode_body(Brief(root=ROOT, order=ORDER, is_queued=is_queued))
    begin = Entry(seq=0, epoch=1, kind=Kind.BEGIN, at_us=0, payload=payload)
    return Journal(conversation="c1", server="s1", goal=Goal.DELETE, entries=(begin, *entries))


def entry(kind: Kind, *, is_undo: bool = False) -> Entry:
    step = "" if kind is Kind.ABORTED else FIRST_STEP
    payload = b"" if kind is Kind.INTENT else encode_body(REFUSAL)
    return Entry(seq=1, epoch=1, kind=kind, at_us=0, step=step, is_undo=is_undo, payload=payload)


def test_a_user_hears_when_the_server_is_taken_or_refused() -> None:
    """Before that nothing is decided; the undo of a taking decides nothing."""
    assert verdict(journal()) is verdict(journal(entry(Kind.INTENT))) is None
    assert verdict(journal(entry(Kind.DONE, is_undo=True))) is None
    assert verdict(journal(entry(Kind.DONE))) == Verdict()
    assert verdict(journal(entry(Kind.REFUSED))) == Verdict(refusal=REFUSAL)


def test_whoever_waits_behind_others_is_accepted_at_once_and_whoever_is_ended_first_is_refused() -> None:
    """The one is durable and has its turn; the other never had the server."""
    assert verdict(journal(is_queued=True)) == Verdict()
    assert verdict(journal(entry(Kind.ABORTED))) == Verdict(refusal=REFUSAL)
