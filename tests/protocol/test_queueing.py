"""Which orders may begin beside others, who ends because of them, and when their users hear."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bodies import encode_body
from protocol.cell_path import CellPath
from protocol.errors import Conflict, report
from protocol.journal import Ending, Entry, Journal, Kind
from protocol.messages.orders import DeleteServer
from protocol.messages.servers import Origin
from protocol.moves.parties import Brief
from protocol.moves.plans import PLANS
from protocol.moves.queueing import DOORLESS, DOORS, FIRST_STEP, PROOF, Admit, Other, TurnAway, Verdict, admit, verdict
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


def entry(kind: Kind, step: str = FIRST_STEP, *, is_undo: bool = False) -> Entry:
    payload = b"" if kind is Kind.INTENT else encode_body(REFUSAL)
    if kind is Kind.END:
        payload = encode_body(Ending(is_success=False, cause=REFUSAL))
    return Entry(seq=1, epoch=1, kind=kind, at_us=0, step=step, is_undo=is_undo, payload=payload)


def test_a_user_hears_when_the_server_is_taken_and_its_cell_lets_the_order_in_or_one_refuses() -> None:
    """Before that nothing is decided; the undo of a step decides nothing."""
    taken, door = entry(Kind.DONE), "begin_delete"
    assert verdict(journal()) is verdict(journal(entry(Kind.INTENT))) is None
    assert verdict(journal(entry(Kind.DONE, is_undo=True))) is None
    assert verdict(journal(entry(Kind.REFUSED))) == Verdict(refusal=REFUSAL)
    assert verdict(journal(taken)) == verdict(journal(taken, entry(Kind.INTENT, door))) == Verdict(is_open=True)
    assert verdict(journal(taken, entry(Kind.DONE, "look"))) == Verdict(is_open=True)
    assert verdict(journal(taken, entry(Kind.DONE, door))) == Verdict()
    assert verdict(journal(taken, entry(Kind.REFUSED, door))) == Verdict(refusal=REFUSAL, is_open=True)
    assert verdict(journal(taken, entry(Kind.REFUSED, door), entry(Kind.RELEASED, ""))) == Verdict(refusal=REFUSAL)
    assert verdict(journal(taken, entry(Kind.REFUSED, "forget_home"))) == Verdict(is_open=True)


@pytest.mark.parametrize("goal", [Goal.RESIZE, Goal.MIGRATE])
def test_of_a_move_nothing_is_decided_until_the_host_that_has_the_server_has_answered(goal: Goal) -> None:
    """Then its cell decides; a host that does not answer refuses it."""

    def decided(*entries: Entry) -> Verdict | None:
        return verdict(attrs.evolve(journal(*entries), goal=goal))

    taken, asked, proved = entry(Kind.DONE), entry(Kind.INTENT, PROOF), entry(Kind.DONE, PROOF)
    assert decided(taken) is decided(taken, asked) is decided(taken, asked, proved) is None
    for before in ((taken,), (taken, asked, proved)):  # Of a fenced host nobody asks.
        assert decided(*before, entry(Kind.INTENT, "begin_move")) == Verdict(is_open=True)
        assert decided(*before, entry(Kind.INTENT, "begin_move"), entry(Kind.DONE, "begin_move")) == Verdict()
    assert decided(taken, asked, entry(Kind.REFUSED, PROOF)) == Verdict(refusal=REFUSAL, is_open=True)
    assert any(step.name == PROOF for step in PLANS[goal].steps)


def test_what_failed_before_it_was_let_in_is_refused_and_what_failed_later_was_accepted() -> None:
    """Whoever asks again late hears what whoever asks in time hears."""
    taken, end = entry(Kind.DONE), entry(Kind.END, "")
    assert verdict(journal(taken, end)) == Verdict(refusal=REFUSAL, is_open=True)
    assert verdict(journal(taken, entry(Kind.DONE, "begin_delete"), end)) == Verdict()


def test_a_create_is_accepted_when_its_server_is_taken() -> None:
    """No cell has it yet."""
    assert verdict(attrs.evolve(journal(entry(Kind.DONE)), goal=Goal.CREATE)) == Verdict()


def test_every_plan_has_a_door_or_needs_none() -> None:
    """What is let in nowhere, and is waited for there, would keep its user waiting for nothing."""
    has_door = {goal: any(step.name in DOORS for step in plan.steps) for goal, plan in PLANS.items()}
    assert {goal for goal, has in has_door.items() if not has} == DOORLESS
