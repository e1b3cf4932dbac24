"""Every request, reply and row survives the way to bytes and back, and what is none of them is `Malformed`."""

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.bodies import decode_body, encode_body, from_plain, to_plain
from protocol.codec import pack, unpack
from protocol.errors import InvalidValue, Malformed
from protocol.journal import Ending, Entry
from protocol.methods import METHODS
from protocol.moves.parties import Brief
from protocol.records import RECORDS, Flavor, Host, PortBinding
from protocol.requests import Done
from tests.forms import ANYTHING, of_class, places, replaced

CLASSES: Final[tuple[type[Any], ...]] = tuple(
    dict.fromkeys(
        (*METHODS.values(), *(method.reply_type() for method in METHODS.values()), *RECORDS, Brief, Ending, Entry)
    )
)  # fmt: skip
VALUES: Final = st.sampled_from(CLASSES).flatmap(of_class)
by_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@pytest.mark.proves("R12", "R99")
@by_class
@settings(max_examples=settings().max_examples // 10)
@given(data=st.data())
def test_a_value_comes_back_as_it_was(cls: type[Any], data: st.DataObject) -> None:
    """Bytes and back give an equal value of the same class, and equal values give equal bytes."""
    value = data.draw(of_class(cls))
    again = decode_body(encode_body(value), cls)
    assert again == value
    assert type(again) is cls
    assert encode_body(again) == encode_body(value)


@given(value=VALUES, data=st.data())
def test_what_is_accepted_is_exactly_what_was_said(value: Any, data: st.DataObject) -> None:
    """With anything in the place of any part it is refused as malformed, or it is read as it stands."""
    plain = unpack(encode_body(value), where="test")
    place = data.draw(st.sampled_from([(), *places(plain)]))
    changed = replaced(plain, place, data.draw(ANYTHING))
    try:
        read = from_plain(changed, type(value))
    except Malformed:
        return
    # A number may say an integer where a fraction is meant, and nothing else is taken for something else.
    assert unpack(pack(to_plain(read)), where="test") == changed
    assert pack(to_plain(read)) == pack(changed)


def test_what_may_be_absent_is_read_too() -> None:
    """A column of a table is of such a type, and it has no name of its own."""
    kind: Any = Flavor | None
    flavor = Flavor(name="tiny", vcpus=1, memory_mb=1, disk_gb=1)
    assert [from_plain(each, kind) for each in (to_plain(flavor), None)] == [flavor, None]
    with pytest.raises(Malformed, match="Flavor"):
        from_plain({"name": 1}, kind)


@given(value=VALUES, data=st.data())
def test_a_field_too_many_is_refused(value: Any, data: st.DataObject) -> None:
    """No name that is not declared passes, in no part."""
    plain = unpack(encode_body(value), where="test")
    inner = [place for place in [(), *places(plain)] if isinstance(_at(plain, place), dict)]
    place = data.draw(st.sampled_from(inner))
    changed = replaced(plain, place, {**_at(plain, place), "surprise": 1})
    try:
        read = from_plain(changed, type(value))
    except Malformed:
        return
    # Free maps, of metadata for example, may have any name; their values are checked all the same.
    assert unpack(encode_body(read), where="test") == changed


@by_class
def test_a_field_too_few_is_refused(cls: type[Any]) -> None:
    """Without its fields a body is of the class only if all of them have defaults."""
    try:
        assert decode_body(pack({}), cls) == cls()
    except Malformed:
        with pytest.raises(TypeError):
            cls()


@given(data=st.binary(max_size=40))
def test_bytes_of_a_stranger_are_malformed(data: bytes) -> None:
    """Whatever the bytes, reading ends in a value or in `Malformed`."""
    with pytest.raises(Malformed):
        decode_body(data, Host)


@pytest.mark.parametrize("plain", [[], "", None, 0, b"", True], ids=repr)
def test_what_has_no_fields_is_still_no_other_thing(plain: object) -> None:
    """`Done` is an empty map, not any empty thing."""
    with pytest.raises(Malformed):
        from_plain(plain, Done)


@pytest.mark.parametrize("text", ["a\0b", "\0"], ids=repr)
def test_a_text_with_a_nul_is_refused(text: str) -> None:
    """It would be an error of one of the databases, in the middle of an effect."""
    plain = to_plain(PortBinding(port="p", host=text, server="s", is_active=True))
    with pytest.raises(Malformed, match="NUL"):
        from_plain(plain, PortBinding)


def test_a_declared_error_of_a_class_is_malformed_to_its_reader() -> None:
    """Whoever decodes a body has one error to think of."""
    with pytest.raises(Malformed, match="cell name") as caught:
        from_plain({"root": "API", "order": {}}, Brief)
    assert not isinstance(caught.value, InvalidValue)


def _at(plain: Any, place: tuple[str | int, ...]) -> Any:
    for part in place:
        plain = plain[part]
    return plain
