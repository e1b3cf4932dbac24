"""Errors cross the wire as codes and data, and come back as our own classes or as `RemoteError`."""

import math
import re

import attrs
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import DEPTH_MAX
from protocol.errors import (
    CODES,
    TEXT_CHARS_MAX,
    Argument,
    CallTimeout,
    CellferryError,
    CellTimeout,
    ErrorReport,
    InvalidName,
    InvalidValue,
    Malformed,
    NotFound,
    RemoteError,
    TooLarge,
    Unreachable,
    argument_types,
    report,
    revive,
)
from protocol.errors_wire import ARGUMENT_CHARS_MAX, ARGUMENTS_MAX, CODE_CHARS_MAX, decode_error, encode_error
from tests.strategies import PLAIN, PRINTABLE, REPORTS, errors

RIGHT: dict[object, Argument] = {str: "x", int: -1, float: 1.5, bool: True, Argument: None}
WRONG: dict[object, list[Argument]] = {
    str: [None, True, 1, 1.5],
    int: [None, True, "1", 1.5],
    float: [None, True, "1.5"],
    bool: [None, 0, "true"],
    Argument: [],
}


def over_the_wire(error: CellferryError, *, traceback: str = "") -> CellferryError:
    """Send an error from a cell and take it in."""
    return revive(decode_error(encode_error(report(error, cell="api!eu", traceback=traceback))))


@pytest.mark.proves("R15", "Q18")
@pytest.mark.parametrize("code", sorted(CODES))
def test_every_declared_error_comes_back_as_its_own_class(code: str) -> None:
    """Class, arguments, text, cell and retryability survive the wire."""
    cls = CODES[code]
    error = cls(**{name: RIGHT[wanted] for name, wanted in argument_types(cls).items()})
    came = over_the_wire(error)
    assert (type(came), came.arguments, str(came)) == (cls, error.arguments, str(error))
    assert (came.remote_cell, came.is_retryable) == ("api!eu", cls.is_retryable)


@given(error=errors(), traceback=PRINTABLE)
def test_an_error_comes_back_with_whatever_it_says(error: CellferryError, traceback: str) -> None:
    """All values of its arguments survive the wire, and the traceback of an error that has none of its own."""
    came = over_the_wire(error, traceback=traceback)
    assert (type(came), came.arguments, str(came)) == (type(error), error.arguments, str(error))
    assert came.remote_traceback == (None if isinstance(error, RemoteError) else traceback or None)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_declared_error_speaks_for_itself(code: str) -> None:
    """Codes are snake_case, short and those of their class; a template names all that it is given."""
    cls = CODES[code]
    assert re.fullmatch(r"[a-z_]+", code)
    assert len(code) <= CODE_CHARS_MAX
    assert cls.code == code
    assert set(re.findall(r"{(\w+)", cls.template)) <= set(argument_types(cls))
    assert set(argument_types(cls).values()) <= set(WRONG)
    assert len(argument_types(cls)) <= ARGUMENTS_MAX


@pytest.mark.proves("Q3")
def test_a_time_out_is_no_kind_of_not_found() -> None:
    """Otherwise than Nova: that nobody answered says nothing about whether the thing is there."""
    for silence in (CallTimeout, CellTimeout, Unreachable):
        assert not issubclass(silence, NotFound)
        assert not issubclass(NotFound, silence)


@given(error=errors(), data=st.data())
def test_an_error_keeps_the_cell_and_traceback_of_its_origin_over_many_hops(
    error: CellferryError, data: st.DataObject
) -> None:
    """Reporting again what came off the wire changes nothing."""
    first = report(error, cell="api!eu!eu-1", traceback="at the origin")
    again = report(revive(first), cell=data.draw(st.sampled_from(["api", "api!us"])), traceback="at a hop")
    if not isinstance(error, RemoteError):
        assert again == first
    assert (again.code, again.arguments, again.cell) == (first.code, first.arguments, "api!eu!eu-1")


def test_an_unknown_code_becomes_a_remote_error() -> None:
    """No name off the wire is imported; what it said is kept."""
    told = ErrorReport(
        code="os.system", message="boo", arguments={"a": 1}, is_retryable=True, cell="api", traceback="t"
    )
    error = revive(decode_error(encode_error(told)))
    assert isinstance(error, RemoteError)
    assert error.arguments == {"remote_code": "os.system", "text": "boo", "cell": "api", "may_be_retried": True}
    assert (error.remote_cell, error.remote_traceback) == ("api", "t")
    assert report(error, cell="api!us").is_retryable


@given(error=errors(), data=st.data())
def test_an_argument_of_another_type_becomes_a_remote_error(error: CellferryError, data: st.DataObject) -> None:
    """A peer cannot put a value into an error that our own code could not."""
    types = argument_types(type(error))
    name = data.draw(st.sampled_from(sorted(types)))
    for wrong in WRONG[types[name]]:
        told = report(error, cell="api")
        came = revive(attrs.evolve(told, arguments={**told.arguments, name: wrong}))
        assert isinstance(came, RemoteError)
        assert came.remote_code == told.code


@given(error=errors())
def test_missing_and_added_arguments_become_a_remote_error(error: CellferryError) -> None:
    """An error of another version's shape is not guessed at."""
    told = report(error, cell="api")
    for arguments in ({**told.arguments, "self": 1}, dict(list(told.arguments.items())[1:])):
        came = revive(attrs.evolve(told, arguments=arguments))
        assert isinstance(came, RemoteError)
        assert came.arguments["text"] == told.message


def test_a_whole_number_of_seconds_is_a_number_of_seconds() -> None:
    """An int may stand where a float is meant, for it does in our own code."""
    assert isinstance(over_the_wire(CellTimeout(cell="api", waited_s=5)), CellTimeout)


@given(told=REPORTS)
def test_a_report_is_read_as_it_was_written(told: ErrorReport) -> None:
    """Bytes and report are one to one within the limits."""
    assert decode_error(encode_error(told)) == told


def test_whatever_an_error_says_it_can_be_written() -> None:
    """Too long is cut, not a number becomes text, a surrogate is spelled out: an error is never lost for its data."""
    long = "x" * (ARGUMENT_CHARS_MAX + 1)
    told = ErrorReport(
        code="not_found",
        message="m\ud800" + "m" * TEXT_CHARS_MAX,
        arguments={"a": long, "b": math.nan, "c": 2**70, "d": "\udcff", "e": None},
        is_retryable=False,
        cell="api",
        traceback="first" + "t" * TEXT_CHARS_MAX,
    )
    came = decode_error(encode_error(told))
    assert came.arguments == {"a": long[:-1], "b": "nan", "c": str(2**70), "d": "\\udcff", "e": None}
    assert came.message.startswith("m\\ud800m")
    assert came.traceback == "t" * TEXT_CHARS_MAX


GOOD: list[object] = ["not_found", "m", {"kind": "server", "name": "s1"}, False, "api!eu", ""]


@pytest.mark.parametrize(
    ("place", "value", "refusal"),
    [
        (0, "c" * (CODE_CHARS_MAX + 1), TooLarge),
        (0, 1, Malformed),
        (1, "m" * (TEXT_CHARS_MAX + 1), TooLarge),
        (1, b"m", Malformed),
        (2, [], Malformed),
        (2, {str(n): 0 for n in range(ARGUMENTS_MAX + 1)}, TooLarge),
        (2, {"n" * (CODE_CHARS_MAX + 1): 0}, TooLarge),
        (2, {"name": "n" * (ARGUMENT_CHARS_MAX + 1)}, TooLarge),
        (2, {"name": b""}, Malformed),
        (2, {"name": []}, Malformed),
        (2, {"name": {}}, Malformed),
        (2, {"name": math.nan}, Malformed),
        (3, 0, Malformed),
        (4, "no cell", InvalidName),
        (4, "!".join("a" * (DEPTH_MAX + 1)), InvalidName),
        (5, "t" * (TEXT_CHARS_MAX + 1), TooLarge),
        (5, None, Malformed),
    ],
)
def test_an_error_that_breaks_a_rule_is_refused(place: int, value: object, refusal: type[CellferryError]) -> None:
    """Each rule of an error on the wire is checked at intake."""
    assert isinstance(revive(decode_error(msgpack.packb(GOOD))), NotFound)
    with pytest.raises(refusal):
        decode_error(msgpack.packb([*GOOD[:place], value, *GOOD[place + 1 :]]))


@given(data=st.binary(max_size=40) | PLAIN.map(msgpack.packb))
def test_bytes_that_are_no_error_are_refused(data: bytes) -> None:
    """Garbage ends in one of the intake's own errors."""
    with pytest.raises((Malformed, TooLarge, InvalidName)):
        decode_error(data)


@pytest.mark.parametrize("place", range(len(GOOD)))
def test_an_error_with_a_field_missing_is_refused(place: int) -> None:
    """Errors have no optional fields."""
    with pytest.raises(Malformed):
        decode_error(msgpack.packb(GOOD[:place] + GOOD[place + 1 :]))


def test_an_error_of_a_setting_may_hold_any_plain_value() -> None:
    """`InvalidValue` tells the value itself, whatever its type."""
    for value in (None, True, 1, 1.5, "x"):
        came = over_the_wire(InvalidValue(name="n", value=value, rule="r"))
        assert isinstance(came, InvalidValue)
        assert came.value == value
