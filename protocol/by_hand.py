"""A request made by hand, of texts: which may be, what each argument is to look like, and whom it is for."""

import json
from collections.abc import Mapping
from enum import Enum, IntEnum, StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import attrs

from protocol.bodies import value_from_plain
from protocol.cell_path import Address, CellPath, host_of
from protocol.errors import CellferryError, Forbidden, InvalidValue
from protocol.requests import Form, Request, Role, Way

#: Who sends by hand, as refusals name him.
HAND: Final = "a request by hand"
NOT_BY_HAND: Final = (
    "it belongs to a conversation, or to what hosts and cells tell each other: without their key and epoch it would be "
    "done behind their backs"
)
YES_NO: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
SHOWN_CHARS_MAX: Final = 80
_TEXTS: Final = (str, CellPath, Address)
_WORDS: Final[dict[Any, str]] = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", CellPath: "a cell path",
    Address: "an address", bytes: "bytes, which cannot be given by hand",
}  # fmt: skip


# --- which, and to whom ------------------------------------------------------------------------------------


def check_by_hand(kind: type[Request[Any]]) -> None:
    """Refuse what no hand may send."""
    if not kind.METHOD.is_by_hand:
        raise _refused(kind, NOT_BY_HAND)


def check_gathered(kind: type[Request[Any]]) -> None:
    """Refuse to ask every cell of the tree what is not asked so."""
    check_by_hand(kind)
    if kind.METHOD.form is Form.TARGETED:
        raise _refused(kind, "it goes to one actor: call it")
    if kind.METHOD.way is Way.UP:
        raise _refused(kind, "it goes up, to the root, and below the root nobody is asked: call it there")


def addressed(kind: type[Request[Any]], to: str) -> Address:
    """Tell which actor a request is for, in the cell or at the address that is named; refuse others."""
    check_by_hand(kind)
    role = kind.METHOD.at
    if "/" not in to:
        cell = CellPath.parse(to)
        if role is Role.HOST:
            raise InvalidValue(name="CELL", value=to, rule=f"a host answers {kind.METHOD.name}: name {to}/host:NAME")
        address = Address(cell, role.value)
    else:
        address = Address.parse(to)
    if role != (Role.HOST if host_of(address) else address.mailbox):
        raise InvalidValue(name="CELL", value=to, rule=f"{kind.METHOD.name} is answered by: {role}")
    _check_way(kind, address.cell)
    return address


def _check_way(kind: type[Request[Any]], cell: CellPath) -> None:
    method = kind.METHOD
    if method.form is Form.BROADCAST and method.way is Way.DOWN:
        raise _refused(kind, "it goes to every cell: gather it")
    if method.way in {Way.NONE, Way.UP} and cell.parent is not None:
        raise _refused(kind, f"from the root it only reaches the root, {cell.root}, and not {cell}")


def _refused(kind: type[Request[Any]], reason: str) -> Forbidden:
    return Forbidden(sender=HAND, method=kind.METHOD.name, reason=reason)


# --- its arguments -----------------------------------------------------------------------------------------


def made(kind: type[Request[Any]], texts: Mapping[str, str]) -> Request[Any]:
    """Make a request of its arguments' texts; raise `InvalidValue` that names the argument and what it is to be."""
    fields = {field.name: field for field in attrs.fields(_attrs_class(kind))}
    for name, text in texts.items():
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise InvalidValue(
                name=name, value=shown(text), rule=f"{kind.METHOD.name} has no such argument; it has {known}"
            )
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in texts:
            raise InvalidValue(name=name, value=None, rule=f"{kind.METHOD.name} needs it: {expected(field.type)}")
    values = {name: _value(name, text, fields[name].type) for name, text in texts.items()}
    return kind(**values)


def _value(name: str, text: str, annotation: Any) -> Any:
    try:
        return value_from_plain(_plain(text, annotation), annotation, where=name)
    except (CellferryError, ValueError) as error:
        raise InvalidValue(name=name, value=shown(text), rule=f"it must be {expected(annotation)}") from error


def _plain(text: str, annotation: Any) -> Any:
    kinds = _kinds(annotation)
    if NoneType in kinds and text in {"", "null", "none"}:
        return None
    named = [kind for kind in kinds if kind is not NoneType]
    kind = named[0] if len(named) == 1 else None
    if kind in _TEXTS or (isinstance(kind, type) and issubclass(kind, StrEnum)):
        return text
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return kind[text.upper()].value if text.upper() in kind.__members__ else int(text)
    if kind is bool:
        return YES_NO.get(text.lower(), text)
    if get_origin(kind) is tuple and get_args(kind)[0] in _TEXTS and not text.startswith("["):
        return text.split(",") if text else []
    return json.loads(text)


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)


def expected(annotation: Any) -> str:
    """Say in words what a value of that type is to look like."""
    kinds = _kinds(annotation)
    words = [_words(kind) for kind in kinds if kind is not NoneType]
    return " or ".join([*words, "empty"] if NoneType in kinds else words)


def _words(kind: Any) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return "texts with commas between" if item in _TEXTS else f"a JSON list, each {_words(item)}"
    if get_origin(kind) is dict:
        return "a JSON object"
    if isinstance(kind, type) and issubclass(kind, Enum):
        members = (member.name.lower() if issubclass(kind, IntEnum) else str(member.value) for member in kind)
        return f"one of {', '.join(members)}"
    if attrs.has(kind):
        return f"a JSON object with {', '.join(field.name for field in attrs.fields(kind))}"
    return str(kind)


def shown(text: str) -> str:
    """Shorten a text for a message."""
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."


def signature(kind: type[Request[Any]]) -> tuple[tuple[str, str, bool], ...]:
    """List a request's arguments: the name, what it is to be, and whether it must be given."""
    return tuple(
        (field.name, expected(field.type), field.default is attrs.NOTHING) for field in attrs.fields(_attrs_class(kind))
    )


def _attrs_class(kind: type[Request[Any]]) -> type[attrs.AttrsInstance]:
    return kind  # type: ignore[return-value]  # every request is an attrs class, which its base cannot say
