"""Plain data, as bodies and journals hold it, is read as it was written; anything else is refused by name."""

import math
import struct

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import ITEMS_MAX, NESTING_MAX, PLAIN_TEXT_CHARS_MAX, pack, unpack
from protocol.envelope import Direction
from protocol.errors import Malformed, TooLarge
from tests.strategies import PLAIN


@given(value=PLAIN)
def test_plain_data_is_read_as_it_was_written(value: object) -> None:
    """With the same types, down to the last leaf."""
    assert repr(unpack(pack(value), where="test")) == repr(value)


@given(data=st.binary(max_size=60))
def test_bytes_that_are_no_plain_data_are_refused(data: bytes) -> None:
    """Garbage is refused by name, or is plain data that is then written in one way only."""
    try:
        value = unpack(data, where="test")
    except (Malformed, TooLarge):
        return
    assert pack(unpack(pack(value), where="test")) == pack(value)


@pytest.mark.parametrize(
    "value",
    [
        math.nan, [math.inf], {"a": -math.inf}, 2**63, -(2**63) - 1, {1: 2}, {b"a": 1}, {None: 1}, "\ud800",
        {"\ud800": 1}, {1}, object(), bytearray(b""), 1j, msgpack.ExtType(1, b""), msgpack.Timestamp(0),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_not_written(value: object) -> None:
    """A sender finds out at once, not its receiver."""
    with pytest.raises(Malformed):
        pack(value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xc1", b"\xc0\xc0", b"\x82\xa1a\x01\xa1a\x01", b"\x81\x01\x01", b"\x81\xc4\x01a\x01", b"\x81\x90\x01",
        b"\xcf" + b"\xff" * 8, b"\xcb" + struct.pack(">d", math.nan), b"\xca" + struct.pack(">f", math.inf),
        b"\xa1\xff", b"\xd4\x01a", b"\xc7\x00\x01", b"\xc7\x00\xff", b"\xd6\xff\0\0\0\0", b"\x91" * 2000,
    ],
)  # fmt: skip
def test_what_is_not_plain_is_not_read(data: bytes) -> None:
    """Each rule of the intake holds for bodies and journals too."""
    with pytest.raises(Malformed):
        unpack(data, where="test")


def test_plain_data_may_reach_each_limit_and_not_pass_it() -> None:
    """Items, texts, keys, nesting and bytes; the same for writer and reader."""
    nested: object = None
    for _ in range(NESTING_MAX - 1):
        nested = [nested]
    most = [[0] * ITEMS_MAX, dict.fromkeys(map(str, range(ITEMS_MAX)), 0), "\U0001f6a2" * PLAIN_TEXT_CHARS_MAX, nested]
    for value in most:
        assert unpack(pack(value), where="test") == value
    key = "k" * (PLAIN_TEXT_CHARS_MAX + 1)
    over = [[0] * (ITEMS_MAX + 1), dict.fromkeys(map(str, range(ITEMS_MAX + 1)), 0), key, {key: 0}, [nested]]
    for value in over:
        with pytest.raises(TooLarge):
            pack(value)
        with pytest.raises((TooLarge, Malformed)):
            unpack(msgpack.packb(value), where="test")
    assert unpack(pack(b"12", bytes_max=4), where="test", bytes_max=4) == b"12"
    with pytest.raises(TooLarge):
        pack(b"123", bytes_max=4)
    with pytest.raises(TooLarge):
        unpack(msgpack.packb(b"123"), where="test", bytes_max=4)


def test_a_circle_is_not_written() -> None:
    """A list that holds itself ends in a named error, not in endless recursion."""
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(TooLarge):
        pack(circle)


def test_tuples_and_enumerations_are_written_as_lists_and_texts() -> None:
    """What attrs classes hold needs no translation."""
    assert unpack(pack((1, Direction.UP)), where="test") == [1, "up"]
