"""The oracle over what users change of a record, over what keeps its promise and what breaks it."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from protocol.ids import derived_id
from protocol.messages.changes import ChangeServer, ServerChange
from protocol.messages.servers import Origin
from protocol.records import ActionEvent, Mirror, Server, ServerAction
from protocol.truth import Truth
from sim.history import Answered, Happening, Ordered
from tests.sim.histories import Hand, S
from tests.sim.test_checkers_rest import CREATED, created, kept, told, with_row

ORIGIN: Final = Origin(request_id="r", user="u", project="p")
BROKEN: Final = ["changes_kept"]


def asked(number: int, name: str) -> Ordered:
    request = ChangeServer(id=name, server=S, change=ServerChange(name=name), origin=ORIGIN)
    return Ordered(number=number, order=request)


def answered(number: int, error: str = "") -> Answered:
    return Answered(number=number, error=error)


def after(hand: Hand, name: str, *changes: str) -> Truth:
    """Give a truth in which the server has that name (empty: its first one), and these changes in its history."""
    truth, action = created(hand)
    truth = told(kept(truth, action), *CREATED)
    [record] = truth.all(Server)
    event = truth.all(ActionEvent)[0]
    for change in changes:
        id_ = derived_id(change, "action")
        done = attrs.evolve(action, id=id_, action="update")
        truth = with_row(truth, "api!eu", done, attrs.evolve(event, id=f"e-{change}", action=id_))
    if not name:
        return truth
    [mirror] = truth.all(Mirror)
    truth = with_row(truth, "api", attrs.evolve(mirror, name=name))
    return with_row(truth, "api!eu", attrs.evolve(record, name=name))


A, B = asked(1, "a"), asked(2, "b")
DONE_A, DONE_B = answered(1), answered(2)


@pytest.mark.parametrize(
    ("lines", "name", "changes", "broken"),
    [
        pytest.param((A, DONE_A), "a", ("a",), [], id="kept"),
        pytest.param((A, DONE_A), "", ("a",), BROKEN, id="not in the record"),
        pytest.param((A, DONE_A), "a", (), BROKEN, id="not in the history"),
        pytest.param((A, answered(1, "server_locked")), "", (), [], id="refused"),
        pytest.param((A, DONE_A, B, answered(2, "server_locked")), "b", ("a",), BROKEN, id="refused, and done"),
        pytest.param((A, answered(1, "call_timeout")), "a", ("a",), [], id="done though it was given up"),
        pytest.param((A, DONE_A, B), "b", ("a", "b"), [], id="done and not answered yet"),
        pytest.param((A, DONE_A, B, DONE_B), "b", ("a", "b"), [], id="one after the other"),
        pytest.param((A, DONE_A, B, DONE_B), "a", ("a", "b"), BROKEN, id="the first is back"),
        pytest.param((A, B, DONE_B, DONE_A), "a", ("a", "b"), [], id="at once"),
    ],
)
def test_a_change_that_was_acknowledged_stays(
    hand: Hand, lines: tuple[Happening, ...], name: str, changes: tuple[str, ...], broken: list[str]
) -> None:
    """In the record unless a later one has undone it, and in the history in any case."""
    hand.write(*lines)
    assert hand.judged(after(hand, name, *changes)) == broken


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_an_action_of_another_kind_is_no_trace_of_a_change(hand: Hand) -> None:
    """A lock is not an update."""
    hand.write(A, DONE_A)
    truth = after(hand, "a", "a")
    [action] = [row for row in truth.all(ServerAction) if row.action == "update"]
    assert hand.judged(with_row(truth, "api!eu", attrs.evolve(action, action="lock"))) == BROKEN
