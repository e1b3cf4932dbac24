"""What `methods`, `call` and `gather` make of declarations, of arguments and of answers."""

from __future__ import annotations

import json
from typing import Final

import pytest

from actors.cli.calling import answer_row, method_rows, rows_in, texts_of
from actors.cli.main import main
from protocol.bodies import encode_body, to_plain
from protocol.cell_path import CellPath
from protocol.errors import CellTimeout, InvalidValue, report
from protocol.errors_wire import encode_error
from protocol.gather import CellAnswer
from protocol.messages.capacity import HostUses, ShowHosts
from protocol.messages.orders import DeleteServer
from protocol.messages.root import HostList
from protocol.messages.servers import ReadServer
from protocol.methods import METHODS
from protocol.records import HostMapping
from protocol.reference import NUMBERS, REFERENCE, RESPONSE

USAGE: Final = 2
EU: Final = CellPath.parse("api!eu")


def test_every_method_is_listed_once_and_the_response_beside_them() -> None:
    """With what it is for, and which method of Nova's it stands for."""
    rows = method_rows()
    assert sorted(row["name"] for row in rows) == sorted([*METHODS, RESPONSE])
    assert rows[-1]["kind"] == "response"
    assert all(row["means"].endswith(".") for row in rows)


def test_the_numbers_are_of_every_method_of_the_reference_and_of_no_other() -> None:
    """And no number belongs to two of them."""
    assert NUMBERS.keys() == {RESPONSE}.union(*REFERENCE.values())
    numbers = [number for each in NUMBERS.values() for number in each]
    assert len(numbers) == len(set(numbers))


def test_the_listing_can_be_had_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no deployment, and tells of each argument what it is to be."""
    with pytest.raises(SystemExit) as end:
        main(["methods", "--by-hand", "-f", "json"])
    assert end.value.code == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["read_server"]["arguments"] == {"server": "text"}
    assert rows["list_groups"]["arguments"]["limit"] == "a whole number (may be left out)"
    assert "claim_target" not in rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["call", "api", "fly_away"], "there is no method fly_away; list them with: cellferry methods"),
        (["call", "api", "claim_target"], "may not send claim_target: it belongs to a conversation"),
        (["call", "api", "read_server"], "read_server needs it: text"),
        (["call", "api", "read_server", "server"], "an argument is written ARG=VALUE"),
        (["call", "api", "read_server", "server=a", "server=b"], "it is given twice"),
        (["gather", "read_server", "server=a"], "it goes to one actor: call it"),
        (["gather", "find_room", "vcpus=many", "memory_mb=1", "disk_gb=1"], "it must be a whole number"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No deployment is read, nor a broker spoken to."""
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--config", "nowhere.toml"])
    assert end.value.code == USAGE
    assert said in " ".join(capsys.readouterr().err.split())


def test_who_asks_is_filled_in_where_it_is_to_be_said() -> None:
    """And stays as it is when it was said."""
    assert json.loads(texts_of(DeleteServer, ("server=x",))["origin"])["is_admin"] is True
    assert texts_of(DeleteServer, ("server=x", "origin=me")) == {"server": "x", "origin": "me"}
    assert texts_of(ReadServer, ("server=x=y",)) == {"server": "x=y"}
    with pytest.raises(InvalidValue):
        texts_of(ReadServer, ("server",))


def test_an_answer_is_a_value_or_an_error_of_its_cell() -> None:
    """A listing is told by its rows."""
    fine = CellAnswer(cell=EU, body=encode_body(HostUses(hosts=())), is_error=False)
    assert answer_row(ShowHosts, fine) == {"cell": "api!eu", "answer": [], "error": None}
    late = CellTimeout(cell="api!eu", waited_s=2.0)
    failed = CellAnswer(cell=EU, body=encode_error(report(late, cell="api")), is_error=True)
    assert answer_row(ShowHosts, failed) == {"cell": "api!eu", "answer": None, "error": str(late)}
    assert rows_in(to_plain(HostList(hosts=(HostMapping(host="h1", cell="api"),)))) == [{"host": "h1", "cell": "api"}]
    assert rows_in({"one": 1}) is None
