"""Over an edge goes what its sender may say there, and nothing else: each method, from each side, and each lie."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.authority import BUDGET_S_MAX, LIMITS, LINK, NEWS_BYTES_MAX, Limits, admit, may_answer
from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath
from protocol.dead_letters import Reason, reason_of
from protocol.envelope import Broadcast, Context, Direction, Envelope, Key, Response, Targeted, answer
from protocol.errors import CODES, CellferryError, Forbidden, TooLarge
from protocol.messages.fencing import ConfirmPermits, PayOwed
from protocol.messages.mirror import UpdateMirror
from protocol.messages.root import RegisterHost
from protocol.methods import METHODS
from protocol.records import Mirror, OwedAct
from protocol.requests import Form, Request, Role, Way
from protocol.states import Owed, PowerState, VmState
from tests.strategies import Tree, trees

ROOT, EU, EU1, US = (CellPath.parse(text) for text in ("api", "api!eu", "api!eu!eu-1", "api!us"))
CELL, HOST, UP = Address(EU, "cell"), Address(EU, "host:h1"), Address(ROOT, "cell")
ALL: Final = tuple(METHODS.values())
by_request = pytest.mark.parametrize("request_type", ALL, ids=lambda request: request.METHOD.name)


def targeted(method: str, source: Address, target: Address, body: bytes = b"", **fields: Any) -> Targeted:
    """Make a call as it leaves its source's cell."""
    return Targeted(
        id=bytes(16), method=method, context=Context(request_id="r"), source=source, route=(source.cell,), call=True,
        reply_to="replies:x:0", budget_s=1.0, body=body, target=target, **fields,
    )  # fmt: skip


def broadcast(method: str, source: Address, direction: Direction) -> Broadcast:
    """Make a broadcast as it leaves its source's cell."""
    return Broadcast(
        id=bytes(16), method=method, context=Context(request_id="r"), source=source, route=(source.cell,),
        budget_s=1.0, body=b"", direction=direction,
    )  # fmt: skip


def answered(method: str, asker: Address, asked: Address, **fields: Any) -> Response:
    """Make an answer as it leaves the asked one's cell."""
    response = answer(targeted(method, asker, asked), id=bytes(16), source=asked, body=b"", is_error=False)
    return attrs.evolve(response, **fields)


def mailbox(request: type[Request[Any]]) -> str:
    """Name a mailbox of those that handle a request."""
    role = request.METHOD.at
    return "host:h1" if role is Role.HOST else "cell" if role is Role.ANY else role.value


def why(envelope: Envelope, *, here: CellPath = ROOT, via: CellPath = EU, limits: Limits = LIMITS) -> str:
    """Tell why an envelope may not come so; empty: it may."""
    refusal = admit(envelope, here=here, via=via, limits=limits)
    assert refusal is None or isinstance(refusal, Forbidden)
    return refusal.reason if refusal else ""


def news(request: Request[Any], source: Address = CELL, target: Address = UP, **fields: Any) -> str:
    """Tell why a child may not send that news to the root."""
    return why(targeted(request.METHOD.name, source, target, encode_body(request), **fields))


def mirror(cell: CellPath) -> UpdateMirror:
    """Make news of a server."""
    return UpdateMirror(
        mirror=Mirror(
            server="s", cell=str(cell), generation=1, version=1, name="n", vm_state=VmState.ACTIVE, task_state=None,
            power_state=PowerState.RUNNING, host="h1", flavor="f",
        )
    )  # fmt: skip


# --- the table: each method from each side -------------------------------------------------------------------


@by_request
def test_a_child_asks_what_goes_up_and_nothing_else(request_type: type[Request[Any]]) -> None:
    """Every other method is refused, as a request to the root, before anybody looks into it."""
    reason = why(targeted(request_type.METHOD.name, CELL, Address(ROOT, mailbox(request_type))))
    if request_type.METHOD.way is Way.UP and request_type.METHOD.form is not Form.BROADCAST:
        assert reason.startswith("its body is none")
    elif request_type.METHOD.way is Way.EITHER:
        assert "lead" not in reason
    else:
        assert reason


@by_request
def test_a_parent_asks_what_goes_down_and_nothing_else(request_type: type[Request[Any]]) -> None:
    """What only goes up, and what never leaves its cell, is refused below."""
    envelope = targeted(request_type.METHOD.name, Address(ROOT, "cell"), Address(EU, mailbox(request_type)))
    may = request_type.METHOD.way in {Way.DOWN, Way.EITHER} and request_type.METHOD.form is not Form.BROADCAST
    assert (why(envelope, here=EU, via=ROOT) == "") is may


@by_request
def test_an_answer_goes_against_its_question_and_no_other_way(request_type: type[Request[Any]]) -> None:
    """From a child to what came down, from the parent to what went up."""
    name, way, box = request_type.METHOD.name, request_type.METHOD.way, mailbox(request_type)
    up = answered(name, Address(ROOT, "conductor"), Address(EU, box))
    down = answered(name, CELL, Address(ROOT, box))
    assert (why(up) == "") is (way in {Way.DOWN, Way.EITHER})
    assert (why(down, here=EU, via=ROOT) == "") is (way in {Way.UP, Way.EITHER})


@by_request
def test_what_goes_up_says_for_whom_it_may_speak(request_type: type[Request[Any]]) -> None:
    """A request that children may send, and that says nothing of its own, could be sent in anybody's name."""
    if request_type.METHOD.way is Way.UP:
        assert "may_come_from" in vars(request_type), "say who may send it, or it may speak for anybody"


@given(tree=trees(8), data=st.data())
def test_news_goes_to_those_above_and_commands_to_those_below(tree: Tree, data: st.DataObject) -> None:
    """Wherever it is from and for, at the first hop: along one line of the tree, never across to a sibling."""
    source, target = data.draw(st.sampled_from(tree.cells)), data.draw(st.sampled_from(tree.cells))
    here = data.draw(st.sampled_from(tree.neighbours(source) or [source]))
    if here == source:
        return
    for method, upper, lower in (("update_mirror", target, source), ("copy_server", source, target)):
        reason = why(targeted(method, Address(source, "cell"), Address(target, "cell")), here=here, via=source)
        is_way = here.is_above(source) is (method == "update_mirror")
        assert (reason == "" or reason.startswith("its body is none")) is (is_way and upper.is_above(lower))


# --- news ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [ROOT, US, EU1, EU])
def test_a_child_speaks_for_itself_alone(cell: CellPath) -> None:
    """Of hosts, servers, permits and debts of others it cannot tell the root anything."""
    act = OwedAct(host="h1", server="s", act=next(iter(Owed)))
    owed = PayOwed(host=Address(cell, "host:h1"), acts=(act,))
    assert (news(RegisterHost(host="h9", cell=cell)) == "") is (cell == EU)
    assert (news(mirror(cell)) == "") is (cell == EU)
    assert (news(ConfirmPermits(host=Address(cell, "host:h1")), HOST) == "") is (cell == EU)
    assert (news(owed, HOST) == "") is (cell == EU)
    assert news(attrs.evolve(owed, acts=(attrs.evolve(act, host="h2"),)), HOST)


def test_a_host_does_not_speak_for_its_cell() -> None:
    """Nor for another host."""
    assert news(RegisterHost(host="h1", cell=EU), HOST)
    assert news(mirror(EU), HOST)
    assert news(ConfirmPermits(host=HOST), Address(EU, "host:h2"))


def test_a_child_has_neither_keys_nor_epochs() -> None:
    """A key would be taken for a command's, and answer it; an epoch would fence those who command."""
    step = Key(scope="c", attempt=1, step="take_server", is_undo=False)
    assert news(mirror(EU), key=step) == news(mirror(EU), epoch=9) == "only the root commands, by keys and epochs"
    assert news(mirror(EU), key=Key.plain("me", 1)) == ""


@pytest.mark.parametrize("box", ["conductor", "host:h1", LINK, "replies:conductor:0", "image"])
def test_news_goes_to_those_whom_it_concerns(box: str) -> None:
    """To the actor that handles it, never into the queue of somebody's answers."""
    assert news(mirror(EU), target=Address(ROOT, box))


def test_a_cell_on_the_way_does_not_look_into_what_it_passes_on() -> None:
    """It may be older than both ends; whoever it is for looks."""
    envelope = attrs.evolve(targeted("update_mirror", Address(EU1, "cell"), Address(ROOT, "cell"), b"?"))
    assert why(envelope, here=EU, via=EU1) == ""
    assert why(attrs.evolve(envelope, route=(EU1, EU)))


def test_what_this_version_does_not_know_is_passed_on_but_to_nobody_s_answers() -> None:
    """A hop may be older than both ends."""
    assert why(targeted("of_tomorrow", CELL, Address(US, "cell"))) == ""
    assert why(targeted("of_tomorrow", CELL, Address(US, "replies:conductor:0")))


# --- forms, answers, limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", Direction)
def test_a_broadcast_is_declared_as_one_and_goes_its_way(direction: Direction) -> None:
    """One for one actor is not for all, and one that goes down does not go up."""
    for request in ALL:
        envelope = broadcast(request.METHOD.name, CELL, direction)
        is_one = request.METHOD.form is not Form.TARGETED and request.METHOD.way is Way.UP
        reason = why(envelope)
        assert (reason == "" or reason.startswith("its body is none")) is (is_one and direction is Direction.UP)


def test_an_answer_goes_to_who_waits_for_one() -> None:
    """Not to the mailbox of an actor, and not to a cell that cannot have asked."""
    asker = Address(ROOT, "conductor")
    assert why(answered("copy_server", asker, CELL, target=Address(ROOT, "cell")))
    assert why(answered("copy_server", asker, CELL, target=Address(US, "replies:conductor:0")))
    assert why(answered("take_server", asker, CELL))


@pytest.mark.parametrize(
    ("source", "is_error", "may"),
    [
        ("api!eu!eu-1/cell", False, True),
        ("api!eu!eu-1/cell", True, True),
        ("api!eu!eu-1/host:h1", False, False),
        ("api!eu/link", True, True),
        ("api/link", True, True),
        ("api!eu/link", False, False),
        ("api!us/link", True, False),
        ("api!eu!eu-2/link", True, False),
        ("api!eu/cell", True, False),
    ],
)
def test_who_was_asked_answers_or_a_cell_on_the_way_says_that_it_could_not_ask(
    source: str, *, is_error: bool, may: bool
) -> None:
    """Nobody else, however well he knows what was asked."""
    asked = Address(EU1, "cell")
    response = answered("copy_server", Address(ROOT, "conductor"), Address.parse(source), is_error=is_error)
    assert may_answer(response, asked=asked, asker=ROOT) is may


def test_an_edge_has_limits() -> None:
    """News is smaller than an answer may be, and nobody is waited for for ever."""
    envelope = targeted("update_mirror", CELL, Address(ROOT, "cell"), bytes(NEWS_BYTES_MAX + 1))
    assert isinstance(admit(envelope, here=ROOT, via=EU), TooLarge)
    response = answered("copy_server", Address(ROOT, "conductor"), CELL, body=bytes(NEWS_BYTES_MAX + 1))
    assert admit(response, here=ROOT, via=EU) is None
    assert isinstance(admit(response, here=ROOT, via=EU, limits=Limits(body_bytes_max=9)), TooLarge)
    assert "longer" in why(attrs.evolve(response, body=b"", budget_s=BUDGET_S_MAX + 1))


def test_an_actor_of_the_own_cell_is_asked_for_its_route_alone() -> None:
    """What only goes down begins here, too."""
    envelope = targeted("copy_server", Address(ROOT, "conductor"), CELL)
    assert admit(envelope, here=ROOT, via=None) is None
    assert admit(attrs.evolve(envelope, source=CELL, route=(EU,)), here=ROOT, via=None) is not None


# --- reasons -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", CODES.values(), ids=lambda error: error.code)
def test_each_error_has_one_of_the_nine_reasons(error: type[CellferryError]) -> None:
    """Whatever has none of its own is malformed."""
    assert reason_of(error.__new__(error)) in Reason
