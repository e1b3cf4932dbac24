"""Requests made of texts: what may be sent by hand, to whom, and what a wrong argument is told."""

import json
from typing import Any, Final

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.bodies import to_plain
from protocol.by_hand import addressed, check_gathered, expected, made, signature
from protocol.cell_path import Address
from protocol.errors import Forbidden, InvalidName, InvalidValue
from protocol.messages.capacity import FindRoom, ShowHosts
from protocol.messages.groups import CreateGroup
from protocol.messages.hosts import ShowGuest, SpawnGuest
from protocol.messages.moves import ClaimTarget
from protocol.messages.orders import CreateServer, PowerServer
from protocol.messages.partners import ShowImage
from protocol.messages.root import FindHome, ListServers
from protocol.messages.servers import ListMigrations, ReadServer
from protocol.methods import METHODS
from protocol.requests import Close, Request
from protocol.states import PowerState
from tests.forms import of_class

BY_HAND: Final = [kind for kind in METHODS.values() if kind.METHOD.is_by_hand]
NOTHING: Final = {"", "null", "none"}


def written(plain: Any) -> str:
    """Write an argument as a person would."""
    if plain is None:
        return ""
    return str(plain) if isinstance(plain, str) else json.dumps(plain)


@pytest.mark.parametrize("kind", BY_HAND, ids=lambda kind: kind.METHOD.name)
@settings(
    max_examples=settings().max_examples // 20,
    # Of what some orders may be for, most of what is drawn is refused at birth.
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_a_request_is_made_of_the_texts_of_its_arguments(kind: type[Request[Any]], data: st.DataObject) -> None:
    """Whatever it says can be said by hand."""
    wanted = data.draw(of_class(kind))
    values = to_plain(wanted)
    optional = [name for name, words, _ in signature(kind) if words.endswith("or empty")]
    # A text that means nothing, where there may be nothing, cannot be said.
    said = {name: "x" for name in optional if isinstance(values[name], str) and values[name] in NOTHING}
    wanted, values = attrs.evolve(wanted, **said), values | said
    assert made(kind, {name: written(value) for name, value in values.items()}) == wanted


@pytest.mark.parametrize(
    ("kind", "texts", "said"),
    [
        (FindRoom, {"vcpus": "two"}, "memory_mb is None; find_room needs it: a whole number"),
        (FindRoom, {"vcpus": "two", "memory_mb": "1", "disk_gb": "1"}, "vcpus is 'two'; it must be a whole number"),
        (FindRoom, {"vcpus": "1.5", "memory_mb": "1", "disk_gb": "1"}, "vcpus is '1.5'; it must be a whole number"),
        (ReadServer, {"sever": "x"}, "sever is 'x'; read_server has no such argument; it has server"),
        (ShowHosts, {"host": "h1"}, "host is 'h1'; show_hosts has no such argument; it has none"),
        (PowerServer, {"server": "x", "goal": "fly", "origin": "{}"}, "goal is 'fly'; it must be one of create, start"),
        (
            CreateGroup,
            {"group": "x" * 99},
            f"group is '{'x' * 80}...'; it must be a JSON object with id, name, project",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_is_to_be(kind: type[Request[Any]], texts: Any, said: str) -> None:
    """So that the next try is right."""
    with pytest.raises(InvalidValue) as refused:
        made(kind, texts)
    assert str(refused.value).startswith(said)


@attrs.frozen(kw_only=True)
class Forms(Request[Any]):
    """Every form that an argument has."""

    METHOD = ShowHosts.METHOD

    power: PowerState = PowerState.NOSTATE
    names: tuple[str, ...] = ()
    is_on: bool = False
    share: float | None = None
    extra: dict[str, str] = attrs.field(factory=dict)
    raw: bytes = b""


def test_people_may_write_words_where_the_wire_has_numbers() -> None:
    """Names of power states, lists with commas, yes and no, and nothing for nothing."""
    texts = {"power": "paused", "names": "a,b", "is_on": "yes", "share": "none", "extra": '{"a": "b"}'}
    read = Forms(power=PowerState.PAUSED, names=("a", "b"), is_on=True, share=None, extra={"a": "b"})
    assert made(Forms, texts) == read
    assert made(Forms, {"power": "4", "names": "", "share": "0.5"}) == Forms(power=PowerState.SHUTDOWN, share=0.5)
    assert {name: words for name, words, _ in signature(Forms)} == {
        "power": "one of nostate, running, paused, shutdown, crashed, suspended",
        "names": "texts with commas between",
        "is_on": "true or false",
        "share": "a number or empty",
        "extra": "a JSON object",
        "raw": "bytes, which cannot be given by hand",
    }
    assert expected(str | int | None) == "text or a whole number or empty"
    with pytest.raises(InvalidValue, match="it must be true or false"):
        made(Forms, {"is_on": "perhaps"})


@pytest.mark.parametrize(
    ("kind", "to", "address"),
    [
        (ReadServer, "api!eu", "api!eu/cell"),
        (ReadServer, "api!eu/cell", "api!eu/cell"),
        (ShowGuest, "api!eu/host:h1", "api!eu/host:h1"),
        (FindHome, "api", "api/cell"),
        (ShowImage, "api", "api/image"),
        (PowerServer, "api", "api/conductor"),
        (ListMigrations, "api/cell", "api/cell"),
        (ShowHosts, "api/cell", None),
    ],
)
def test_a_request_is_for_the_actor_that_answers_it(kind: type[Request[Any]], to: str, address: str | None) -> None:
    """In the cell that is named, unless it is one that goes to every cell."""
    if address is None:
        with pytest.raises(Forbidden, match="gather it"):
            addressed(kind, to)
    else:
        assert addressed(kind, to) == Address.parse(address)


@pytest.mark.parametrize(
    ("kind", "to", "error", "said"),
    [
        (ClaimTarget, "api", Forbidden, "it belongs to a conversation"),
        (SpawnGuest, "api/host:h1", Forbidden, "without their key and epoch"),
        (Close, "api", Forbidden, "it belongs to a conversation"),
        (FindRoom, "api", Forbidden, "it goes to every cell: gather it"),
        (ShowGuest, "api!eu", InvalidValue, "a host answers show_guest: name api!eu/host:NAME"),
        (ShowGuest, "api!eu/cell", InvalidValue, "show_guest is answered by: host"),
        (ReadServer, "api!eu/host:h1", InvalidValue, "read_server is answered by: cell"),
        (FindHome, "api!eu", Forbidden, "it only reaches the root, api, and not api!eu"),
        (ShowImage, "api!eu", Forbidden, "it only reaches the root, api, and not api!eu"),
        (ReadServer, "API", InvalidName, "is not a cell name"),
    ],
)
def test_what_no_hand_may_send_is_refused_with_the_reason(
    kind: type[Request[Any]], to: str, error: type[Exception], said: str
) -> None:
    """Commands of conversations, and what would not arrive."""
    with pytest.raises(error, match=said):
        addressed(kind, to)


def test_only_what_goes_to_every_cell_is_gathered() -> None:
    """And only downwards, for the hand is at the root."""
    check_gathered(FindRoom)
    with pytest.raises(Forbidden, match="it goes to one actor: call it"):
        check_gathered(ListServers)
    with pytest.raises(Forbidden, match="it belongs to a conversation"):
        check_gathered(ClaimTarget)


def test_an_order_of_a_user_can_be_given_by_hand() -> None:
    """Whatever goes to the conductor comes from a person."""
    assert CreateServer.METHOD.is_by_hand
