"""Pins: what a process writes is read by those of the pinned version, and by all later ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.bodies import decode_body, encode_body, to_plain
from protocol.codec import unpack
from protocol.errors import Malformed
from protocol.methods import METHODS
from protocol.pins import NEWEST, OLDEST, lowered, schema_of, since, version_of, written

NEWEST_OF_ALL: Final = 4
VERSIONS: Final = st.integers(1, NEWEST_OF_ALL)
FEW: Final = settings(max_examples=40)
#: What a field may hold: its type, a value of it, and what it is when nothing is said.
SCALARS: Final[tuple[tuple[Any, Any, Any], ...]] = (
    (int, 7, 0),
    (str, "x", ""),
    (bool, True, False),
    (int | None, 3, None),
    (tuple[str, ...], ("a",), ()),
)


#: How a message is within another one: its type there, a value of it, and what it is when nothing is said.
WRAPS: Final[dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Any]]] = {
    "alone": (lambda cls: cls | None, lambda value: value, None),
    "list": (lambda cls: tuple.__class_getitem__((cls, ...)), lambda value: (value,), ()),
    "map": (lambda cls: dict.__class_getitem__((str, cls)), lambda value: {"k": value}, attrs.Factory(dict)),
}


@attrs.frozen(kw_only=True)
class Field:
    """A field of a message that a test makes up: a scalar, or messages of these fields, wrapped in some way."""

    version: int
    scalar: tuple[Any, Any, Any] = SCALARS[0]
    inner: tuple[Field, ...] = ()
    wrap: str = ""

    def kind(self, version: int) -> Any:
        return WRAPS[self.wrap][0](class_of(self.inner, version)) if self.wrap else self.scalar[0]

    def value(self, version: int) -> Any:
        return WRAPS[self.wrap][1](full(self.inner, version)) if self.wrap else self.scalar[1]

    @property
    def default(self) -> Any:
        return WRAPS[self.wrap][2] if self.wrap else self.scalar[2]


@st.composite
def messages(draw: st.DrawFn, depth: int = 2) -> tuple[Field, ...]:
    """Make up the fields of a message, some of which hold messages of their own, alone, in a list or in a map."""
    scalars = st.builds(Field, version=VERSIONS, scalar=st.sampled_from(SCALARS))
    if not depth:
        return tuple(draw(st.lists(scalars, min_size=1, max_size=3)))
    wholes = st.builds(Field, version=VERSIONS, inner=messages(depth - 1), wrap=st.sampled_from(sorted(WRAPS)))
    return tuple(draw(st.lists(scalars | wholes, min_size=1, max_size=3)))


@cache
def class_of(fields: tuple[Field, ...], version: int) -> type[Any]:
    """Make the class of a message as code of that version declares it."""
    made = {
        f"f{place}": attrs.field(type=field.kind(version), default=field.default, metadata=since(field.version))
        for place, field in enumerate(fields)
        if field.version <= version
    }
    return attrs.make_class("Message", made, frozen=True, kw_only=True)


def full(fields: tuple[Field, ...], version: int = NEWEST_OF_ALL) -> Any:
    """Make the message, with a value in every field that code of that version knows."""
    known = {f"f{place}": field.value(version) for place, field in enumerate(fields) if field.version <= version}
    return class_of(fields, version)(**known)


@FEW
@given(fields=messages(), pin=VERSIONS)
def test_code_of_the_pinned_version_reads_what_newer_code_writes(fields: tuple[Field, ...], pin: int) -> None:
    """It reads all of what it would have written itself."""
    assert decode_body(written(full(fields), pin=pin), class_of(fields, pin)) == full(fields, pin)


@FEW
@given(fields=messages(), pin=VERSIONS)
def test_newer_code_reads_what_older_code_writes(fields: tuple[Field, ...], pin: int) -> None:
    """And takes the defaults for what that does not know: the same as of what it would write itself for that pin."""
    newest = class_of(fields, NEWEST_OF_ALL)
    by_old = decode_body(encode_body(full(fields, pin)), newest)
    assert by_old == decode_body(written(full(fields), pin=pin), newest)


@FEW
@given(fields=messages(), pin=VERSIONS)
def test_what_is_written_for_a_pin_is_of_no_later_version(fields: tuple[Field, ...], pin: int) -> None:
    """Code of the pin's version writes the very same; without a pin nothing is changed at all."""
    value = full(fields)
    assert unpack(written(value, pin=pin), where="body") == to_plain(full(fields, pin))
    body = encode_body(value)
    assert lowered(body, type(value), pin=NEWEST_OF_ALL) is body


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_its_schema_and_can_be_read_by_what_came_before(name: str) -> None:
    """It is that of its request and reply; what they gained later has a default, and no version is still to come."""
    request = METHODS[name]
    kinds: tuple[Any, ...] = (request, request.reply_type())
    assert request.METHOD.schema == max(schema_of(kind) for kind in kinds) <= NEWEST
    for kind in kinds:
        for field in attrs.fields(kind) if attrs.has(kind) else ():
            assert version_of(field) == OLDEST or field.default is not attrs.NOTHING


def test_code_of_before_would_refuse_what_is_not_pinned() -> None:
    """Which is why there are pins."""
    fields = (Field(version=1), Field(version=2))
    with pytest.raises(Malformed, match="unknown fields"):
        decode_body(encode_body(full(fields)), class_of(fields, 1))
    assert decode_body(written(full(fields), pin=1), class_of(fields, 1)).f0 == SCALARS[0][1]
