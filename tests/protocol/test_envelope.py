"""Envelopes are valid from birth, and an answer goes where the asker waits."""

import math
from typing import Any

import attrs
import pytest
from hypothesis import given

from protocol.cell_path import Address, CellPath
from protocol.envelope import (
    BODY_BYTES_MAX,
    ROUTE_MAX,
    TRAILING_MAX,
    Broadcast,
    Context,
    Direction,
    Envelope,
    Key,
    Response,
    Targeted,
    answer,
    answer_address,
    passed,
)
from protocol.errors import InvalidName, InvalidValue, TooLarge
from tests.strategies import KEYS, envelopes

ROOT, EU, EU_1 = CellPath.parse("api"), CellPath.parse("api!eu"), CellPath.parse("api!eu!eu-1")
COMMON: dict[str, Any] = {
    "id": b"i" * 16,
    "method": "CopyRecords",
    "context": Context(request_id="req-1"),
    "source": Address(ROOT, "conductor"),
    "route": (ROOT,),
    "call": True,
    "reply_to": "replies:conductor:0",
    "budget_s": 5.0,
    "server": "s1",
    "key": Key(scope="c1", attempt=1, step="copy_records", is_undo=False),
    "epoch": 7,
    "body": b"",
}
TARGETED = Targeted(target=Address(EU_1, "cell"), **COMMON)
BROADCAST = Broadcast(direction=Direction.DOWN, **COMMON)
RESPONSE = answer(TARGETED, id=b"r" * 16, source=TARGETED.target, body=b"done", is_error=False)


def changed(value: Any, changes: dict[str, Any]) -> None:
    """Make a copy of a value, with changes that it may refuse."""
    attrs.evolve(value, **changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", b"short"),
        ("route", ()),
        ("route", (EU,)),
        ("route", (ROOT,) * (ROUTE_MAX + 1)),
        ("hops_max", 0),
        ("hops_max", 65),
        ("budget_s", -0.1),
        ("budget_s", math.inf),
        ("budget_s", math.nan),
        ("reply_to", ""),
        ("server", "s" * 256),
        ("server", "s\0"),
        ("server", "\ud800"),
        ("epoch", -1),
        ("epoch", 2**63),
        ("schema", 0),
        ("schema", 2),
    ],
)
def test_an_envelope_with_a_value_out_of_range_cannot_exist(field: str, value: object) -> None:
    """Each rule of the header is checked at birth."""
    with pytest.raises(InvalidValue):
        changed(TARGETED, {field: value})


@pytest.mark.parametrize(("field", "value"), [("method", ""), ("method", "1x"), ("reply_to", "No Mailbox")])
def test_an_envelope_with_a_name_that_is_none_cannot_exist(field: str, value: str) -> None:
    """Methods and mailboxes have names of their kind."""
    with pytest.raises(InvalidName):
        changed(TARGETED, {field: value})


@pytest.mark.parametrize(("field", "value"), [("body", b"b" * (BODY_BYTES_MAX + 1)), ("trailing", (0,) * 17)])
def test_an_envelope_that_is_too_large_cannot_exist(field: str, value: object) -> None:
    """The body and the trailing fields have a limit, which they may reach."""
    with pytest.raises(TooLarge):
        changed(TARGETED, {field: value})
    attrs.evolve(TARGETED, body=b"b" * BODY_BYTES_MAX, trailing=(0,) * TRAILING_MAX)


@pytest.mark.parametrize(("field", "value"), [("answers", b""), ("call", True)])
def test_a_response_that_answers_nothing_or_wants_an_answer_cannot_exist(field: str, value: object) -> None:
    """Answers name what they answer, and are never answered."""
    with pytest.raises(InvalidValue):
        changed(RESPONSE, {"reply_to": "cell", field: value})


@pytest.mark.parametrize("field", ["request_id", "user", "project", "trace_parent"])
def test_a_context_holds_only_texts_that_print(field: str) -> None:
    """No text of the header can break a log line or a database."""
    with pytest.raises(InvalidValue):
        changed(Context(request_id=""), {field: "two\nlines"})


@given(key=KEYS)
def test_a_key_is_read_as_it_was_written(key: Key) -> None:
    """Text and key are one to one, whatever colons its scope holds."""
    assert Key.parse(str(key)) == key
    assert key.is_plain == (key.step == "")


def test_keys_are_spelled_as_people_read_them() -> None:
    """The text names conversation, attempt, step and way; or incarnation and number."""
    key = Key(scope="c1a2", attempt=1, step="copy_records", is_undo=False)
    assert str(key) == "c1a2:1:copy_records:execute"
    assert str(attrs.evolve(key, is_undo=True)) == "c1a2:1:copy_records:undo"
    assert str(Key.plain("i7", 3)) == "i7:3"


@pytest.mark.parametrize("text", ["", "c1", "c1:", ":1", "c1:01", "c1:-1", "c1:1:step", "c1:1::undo", "c1:1:S:undo"])
def test_what_is_no_key_is_refused(text: str) -> None:
    """Each way to spell a key wrongly is an error."""
    with pytest.raises(InvalidName):
        Key.parse(text)


@pytest.mark.parametrize("changes", [{"attempt": -1}, {"attempt": 2**63}, {"step": "", "is_undo": True}])
def test_a_key_with_a_value_out_of_range_cannot_exist(changes: dict[str, Any]) -> None:
    """Attempts count up from zero, and a plain call has no undo."""
    with pytest.raises(InvalidValue):
        Key(**{"scope": "c1", "attempt": 0, "step": "s", "is_undo": False, **changes})


@pytest.mark.parametrize("changes", [{"scope": ""}, {"scope": "a b"}, {"step": "A"}, {"step": "a:b"}])
def test_a_key_with_a_name_that_is_none_cannot_exist(changes: dict[str, Any]) -> None:
    """Scopes and steps have names of their kind."""
    with pytest.raises(InvalidName):
        Key(**{"scope": "c1", "attempt": 0, "step": "s", "is_undo": False, **changes})


@given(envelope=envelopes())
def test_passing_a_cell_changes_nothing_but_the_route(envelope: Envelope) -> None:
    """A hop leaves body, trailing fields and all else alone."""
    onward = passed(envelope, EU)
    assert onward.route == (*envelope.route, EU)
    assert attrs.evolve(onward, route=envelope.route) == envelope


@pytest.mark.proves("R2")
def test_a_targeted_call_is_answered_to_its_source() -> None:
    """The answer goes to the mailbox where the asker waits, however far the call came."""
    arrived = passed(passed(TARGETED, EU), EU_1)
    assert answer_address(arrived) == Address(ROOT, "replies:conductor:0")


@pytest.mark.proves("R3", "Q21")
def test_a_broadcast_is_answered_to_the_cell_it_came_from_last() -> None:
    """Each hop gathers for the hop before it; at its creator the answer goes to the asker itself."""
    assert answer_address(BROADCAST) == Address(ROOT, "replies:conductor:0")
    at_a_child = attrs.evolve(passed(BROADCAST, EU), reply_to="gathers")
    assert answer_address(at_a_child) == Address(ROOT, "gathers")
    assert answer_address(passed(at_a_child, EU_1)) == Address(EU, "gathers")


@pytest.mark.proves("R1", "Q22")
def test_an_answer_repeats_what_it_answers_and_begins_a_route_of_its_own() -> None:
    """It can be matched with its question, by whoever reads it."""
    assert (RESPONSE.answers, RESPONSE.method, RESPONSE.key) == (TARGETED.id, TARGETED.method, TARGETED.key)
    assert (RESPONSE.route, RESPONSE.target) == ((EU_1,), Address(ROOT, "replies:conductor:0"))
    assert not RESPONSE.call


def test_an_answer_may_be_sent_elsewhere_and_is_not_stopped_by_the_hop_limit() -> None:
    """A call that was refused for its hops is still answered all the way back."""
    beyond = passed(passed(attrs.evolve(TARGETED, hops_max=2), EU), EU_1)
    back = answer(beyond, id=b"r" * 16, source=Address(EU_1, "cell"), body=b"", is_error=True, to=Address(EU, "cell"))
    assert isinstance(back, Response)
    assert back.target == Address(EU, "cell")
    assert back.hops_max == 3
