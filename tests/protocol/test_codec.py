"""What is written is read back; anything else is refused by name, whatever the bytes."""

import math
from contextlib import suppress
from typing import Any

import attrs
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import Address, CellPath
from protocol.codec import (
    ENVELOPE_BYTES_MAX,
    FRAME_BYTES_MAX,
    FRAME_ENVELOPES_MAX,
    FRAME_OVERHEAD_BYTES,
    FRAMED_OVERHEAD_BYTES,
    NESTING_MAX,
    decode,
    decode_frame,
    encode,
    encode_frame,
)
from protocol.envelope import (
    BODY_BYTES_MAX,
    TRAILING_MAX,
    Broadcast,
    Context,
    Direction,
    Envelope,
    Key,
    Targeted,
    answer,
    passed,
)
from protocol.errors import CellferryError, InvalidName, Malformed, TooLarge, UnknownSchema
from tests.strategies import PATHS, PLAIN, envelopes

REFUSALS = (Malformed, UnknownSchema, TooLarge, InvalidName)
ROOT, EU = CellPath.parse("api"), CellPath.parse("api!eu")
COMMON: dict[str, Any] = {
    "id": b"i" * 16,
    "method": "CopyRecords",
    "context": Context(request_id="req-1", user="u"),
    "source": Address(ROOT, "conductor"),
    "route": (ROOT, EU),
    "call": True,
    "reply_to": "replies:0",
    "budget_s": 5.0,
    "server": "s1",
    "key": Key(scope="c1", attempt=1, step="copy", is_undo=False),
    "epoch": 7,
    "body": b"\x93body",
}
TARGETED = Targeted(target=Address(EU, "host:h1"), **COMMON)
KINDS: tuple[Envelope, ...] = (
    TARGETED,
    Broadcast(direction=Direction.DOWN, **COMMON),
    answer(TARGETED, id=b"r" * 16, source=TARGETED.target, body=b"ok", is_error=True),
)
FIELDS = ["schema", "kind", "id", "method", "context", "source", "route", "hops_max", "call", "reply_to", "budget_s",
          "server", "key", "epoch", "x", "y", "z"]  # fmt: skip
ODD_VALUES: list[object] = [
    None, False, True, -1, 0, 1, 4, 2**63, 2**64 - 1, 1.0, -0.5, math.nan, math.inf, -math.inf,
    "", "x", "A!", "x" * 5000, b"", b"x" * 16, b"x" * 17,
    [], [1], ["api"], ["api!"], ["api"] * 32, ["api"] * 65, [[]], {}, {"a": 1}, {1: 1}, {b"a": 1},
    ["c", -1, "s", False], ["c", True, "s", False], ["c", 0, "", True], [["c"], 0, "s", False],
    ["r", "u", "p", 0, ""], ["r", "u", "p", True, "t", ""], ["r", "u", "p", True], ["r", "u", "p", True, "a\0b"],
    msgpack.ExtType(1, b"x"), msgpack.ExtType(1, b""), msgpack.Timestamp(1),
]  # fmt: skip


def header(envelope: Envelope) -> list[Any]:
    """Take an envelope's header apart."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(encode(envelope))
    fields: list[Any] = unpacker.unpack()
    return fields


def wire(fields: object, body: object = b"body") -> bytes:
    """Write a header and a body as they are."""
    data: bytes = msgpack.packb(fields) + msgpack.packb(body)
    return data


def require_refused_or_canonical(data: bytes) -> None:
    """Check that bytes are refused by name, or mean an envelope that is then written in one way only."""
    try:
        envelope = decode(data)
    except REFUSALS:
        return
    again = encode(envelope)
    assert decode(again) == envelope
    assert encode(decode(again)) == again


# --- envelopes ---------------------------------------------------------------------------------------------


@pytest.mark.proves("Q13")
@given(envelope=envelopes())
def test_an_envelope_is_read_as_it_was_written(envelope: Envelope) -> None:
    """Every kind survives the wire, trailing fields and all; and it is written in one way only."""
    came = decode(encode(envelope))
    assert came == envelope
    assert type(came) is type(envelope)
    assert encode(came) == encode(envelope)


@given(envelope=envelopes(), here=PATHS)
def test_a_hop_keeps_the_body_and_what_a_later_version_added(envelope: Envelope, here: CellPath) -> None:
    """The bytes behind the header, and the fields behind those known here, go on as they came."""
    onward = decode(encode(passed(decode(encode(envelope)), here)))
    assert (onward.body, onward.trailing) == (envelope.body, envelope.trailing)
    assert encode(onward).endswith(msgpack.packb(envelope.body))


def test_the_wire_form_is_an_array_and_bytes() -> None:
    """The order of the fields is the contract between versions: it never changes within a schema."""
    assert encode(TARGETED) == wire(
        [1, 1, b"i" * 16, "CopyRecords", ["req-1", "u", "", False, ""], "api/conductor", ["api", "api!eu"], 10, True,
         "replies:0", 5.0, "s1", ["c1", 1, "copy", False], 7, "api!eu/host:h1"],
        b"\x93body",
    )  # fmt: skip


def test_a_budget_of_whole_seconds_may_be_an_int() -> None:
    """A writer makes it the float that readers insist on."""
    assert decode(encode(attrs.evolve(TARGETED, budget_s=5))) == TARGETED


@pytest.mark.parametrize("envelope", KINDS)
def test_a_truncated_envelope_is_refused(envelope: Envelope) -> None:
    """At whatever byte it ends."""
    data = encode(envelope)
    for length in range(len(data)):
        with pytest.raises(Malformed):
            decode(data[:length])


@pytest.mark.parametrize("envelope", KINDS)
def test_an_envelope_with_bytes_behind_it_is_refused(envelope: Envelope) -> None:
    """Whatever they are: nothing is smuggled past the reader."""
    for byte in range(256):
        with pytest.raises(Malformed):
            decode(encode(envelope) + bytes([byte]))


@pytest.mark.parametrize("envelope", KINDS)
def test_no_changed_added_or_lost_byte_raises_anything_but_a_refusal(envelope: Envelope) -> None:
    """All bit flips, and a choice of bytes put in or left out, at every position."""
    data = encode(envelope)
    for place in range(len(data)):
        for bit in range(8):
            require_refused_or_canonical(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
        for byte in (0x00, 0x80, 0x81, 0x90, 0x91, *range(0xA0, 0xA3), *range(0xC0, 0xE0), 0xFF):
            require_refused_or_canonical(data[:place] + bytes([byte]) + data[place:])
        require_refused_or_canonical(data[:place] + data[place + 1 :])


@given(data=st.binary(max_size=80))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    """Garbage."""
    require_refused_or_canonical(data)


@given(fields=st.lists(PLAIN, max_size=20), body=PLAIN)
def test_no_plain_data_raises_anything_but_a_refusal(fields: list[object], body: object) -> None:
    """Well-formed msgpack that is no envelope."""
    require_refused_or_canonical(wire([1, 1, *fields], body))


@pytest.mark.parametrize("envelope", KINDS)
def test_no_odd_value_in_a_field_raises_anything_but_a_refusal(envelope: Envelope) -> None:
    """A value of another type is refused; one of the type is refused or valid."""
    fields = header(envelope)
    for place, field in enumerate(fields):
        for odd in ODD_VALUES:
            data = wire([*fields[:place], odd, *fields[place + 1 :]])
            require_refused_or_canonical(data)
            if type(odd) is not type(field):
                with pytest.raises(REFUSALS):
                    decode(data)


@pytest.mark.parametrize("envelope", KINDS)
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(envelope: Envelope) -> None:
    """In a field and behind the fields."""
    fields = header(envelope)
    for wrong in (math.nan, math.inf, -math.inf):
        for changed in (
            [*fields[:10], wrong, *fields[11:]],
            [*fields, wrong],
            [*fields, [[wrong]]],
            [*fields, {"a": wrong}],
        ):
            with pytest.raises(Malformed):
                decode(wire(changed))


@pytest.mark.parametrize(
    ("trailing", "refusal"),
    [
        ([0] * (TRAILING_MAX + 1), TooLarge),
        ([msgpack.ExtType(5, b"x")], Malformed),
        ([msgpack.ExtType(5, b"")], Malformed),
        ([msgpack.Timestamp(0)], Malformed),
        ([{1: 2}], Malformed),
        ([{b"k": 2}], Malformed),
        ([2**63], Malformed),
        (["x" * 4097], Malformed),
        ([[0] * 65], Malformed),
    ],
)
def test_trailing_fields_are_plain_and_few(trailing: list[object], refusal: type[CellferryError]) -> None:
    """What is kept unread is limited all the same."""
    for envelope in KINDS:
        with pytest.raises(refusal):
            decode(wire([*header(envelope), *trailing]))


def test_trailing_fields_that_are_not_plain_are_not_sent() -> None:
    """Nor does a sender of ours send what the next hop refuses."""
    with pytest.raises(Malformed):
        encode(attrs.evolve(TARGETED, trailing=(object(),)))


def test_a_map_with_one_key_twice_is_refused() -> None:
    """For two readers could read it in two ways."""
    head = msgpack.packb([*header(TARGETED), None])[:-1]
    with pytest.raises(Malformed, match="one key twice"):
        decode(head + b"\x82\xa1a\x01\xa1a\x02" + msgpack.packb(b""))


@pytest.mark.parametrize("levels", [NESTING_MAX, 500, 2000])
def test_an_envelope_nested_too_deep_is_refused(levels: int) -> None:
    """Before and behind the point where the msgpack library gives up."""
    head = msgpack.packb([*header(TARGETED), None])[:-1]
    with pytest.raises((TooLarge, Malformed)):
        decode(head + b"\x91" * levels + b"\xc0" + msgpack.packb(b""))


def test_an_array_that_claims_more_than_there_is_is_refused() -> None:
    """Memory is not given for a claim."""
    for claim in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"):
        for data in (claim, claim + b"\0" * 1000, encode(TARGETED)[:-6] + claim):
            with pytest.raises(Malformed):
                decode(data)


def test_a_body_must_be_bytes() -> None:
    """A text, a number or nothing is no body, and the header is an array."""
    for body in ("text", 1, None, [b""]):
        with pytest.raises(Malformed):
            decode(wire(header(TARGETED), body))
    for head in ({"schema": 1}, None, b"", 1):
        with pytest.raises(Malformed):
            decode(wire(head))


@pytest.mark.parametrize("schema", [2, 3, 1000])
def test_a_later_schema_is_refused_by_name_whatever_follows(schema: int) -> None:
    """Its fields may mean anything, so none but the first two is looked at."""
    for rest in (header(TARGETED)[2:], [], ["new", None]):
        with pytest.raises(UnknownSchema) as caught:
            decode(wire([schema, 9, *rest]))
        assert (caught.value.schema, caught.value.highest) == (schema, 1)


@pytest.mark.parametrize("head", [[], [1], [True, 1], [1, True], [1, 0], [1, 4], [1, -1], [0, 1], [-1, 1], [1.0, 1]])
def test_an_envelope_of_no_known_kind_is_refused(head: list[object]) -> None:
    """Schema and kind are numbers, and three kinds are known."""
    with pytest.raises(Malformed):
        decode(wire([*head, *header(TARGETED)[2:]] if len(head) > 1 else head))


def test_a_refusal_names_the_field() -> None:
    """An operator can tell from a dead letter what was wrong with it."""
    for place, name in ((7, "hops_max"), (8, "call"), (10, "budget_s"), (14, "target")):
        fields = header(TARGETED)
        fields[place] = b"?"
        with pytest.raises(Malformed, match=f"{name} is a bytes"):
            decode(wire(fields))


def test_an_envelope_over_its_limit_is_refused_before_it_is_read() -> None:
    """The size is looked at first, the body's when it is known; and the limits can be reached."""
    with pytest.raises(TooLarge):
        decode(b"\xc1" * (ENVELOPE_BYTES_MAX + 1))
    with pytest.raises(TooLarge):
        decode(wire(header(TARGETED), b"b" * (BODY_BYTES_MAX + 1)))
    assert len(decode(wire(header(TARGETED), b"b" * BODY_BYTES_MAX)).body) == BODY_BYTES_MAX
    with pytest.raises(TooLarge):
        encode(attrs.evolve(TARGETED, trailing=(b"t" * ENVELOPE_BYTES_MAX,)))


# --- frames ------------------------------------------------------------------------------------------------


@given(envelopes=st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_a_frame_is_read_as_it_was_written(envelopes: list[bytes]) -> None:
    """All envelopes in their order; and its size can be told beforehand."""
    data = encode_frame(envelopes)
    assert decode_frame(data) == envelopes
    assert len(data) <= FRAME_OVERHEAD_BYTES + sum(FRAMED_OVERHEAD_BYTES + len(envelope) for envelope in envelopes)


def test_a_malformed_envelope_spoils_no_other_of_its_frame() -> None:
    """A frame is taken apart without reading what it carries."""
    [bad, good] = decode_frame(encode_frame([b"\xc1", encode(TARGETED)]))
    assert decode(good) == TARGETED
    with pytest.raises(Malformed):
        decode(bad)


@given(data=st.binary(max_size=40) | PLAIN.map(msgpack.packb))
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    """Garbage is refused by name, or is a frame of something."""
    with suppress(Malformed, TooLarge):
        assert decode_frame(data)


def test_a_frame_holds_one_envelope_or_more_within_its_limits() -> None:
    """Nothing, too many, one too large, and too much are refused by writer and reader alike."""
    for content in ([], [b""] * (FRAME_ENVELOPES_MAX + 1), [b"e" * (ENVELOPE_BYTES_MAX + 1)]):
        with pytest.raises((Malformed, TooLarge)):
            encode_frame(content)
        with pytest.raises((Malformed, TooLarge)):
            decode_frame(msgpack.packb(content))
    with pytest.raises(TooLarge):
        encode_frame([b"e" * ENVELOPE_BYTES_MAX] * 2)
    with pytest.raises(TooLarge):
        decode_frame(b"\xc1" * (FRAME_BYTES_MAX + 1))
    assert len(decode_frame(encode_frame([b""] * FRAME_ENVELOPES_MAX))) == FRAME_ENVELOPES_MAX
