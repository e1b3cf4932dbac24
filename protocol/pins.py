"""Which version of the messages is written, while old and new processes of a deployment run side by side.

Messages have one version for all, a number.  A field that a message, or anything in it, has gained says since which
version: `attrs.field(default=..., metadata=since(2))`.  While a deployment is upgraded, its new processes are *pinned*
to the version that the old ones know, and leave such fields out; when no old one is left, the pin is lifted.  Whoever
reads a message of before takes the default, so such a field always has one.  A field is never renamed and never changes
its type: another one is added, and the old one is taken away when no version in use reads it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from protocol.bodies import encode_body
from protocol.codec import pack, unpack
from protocol.envelope import Header, Response
from protocol.methods import METHODS

E = TypeVar("E", bound=Header)

#: The version that this code writes when nothing holds it back, and the oldest that it can be pinned to.
NEWEST: Final = 1
OLDEST: Final = 1
_SINCE: Final = "since"


def since(version: int) -> dict[str, int]:
    """Make the metadata of a field that messages have since that version."""
    return {_SINCE: version}


def version_of(field: attrs.Attribute[Any]) -> int:
    """Tell since which version messages have a field."""
    version: int = field.metadata.get(_SINCE, OLDEST)
    return version


@cache
def schema_of(kind: Any) -> int:
    """Tell since which version values of a type are as they are: the highest of any field within."""
    return max((version_of(field) for cls in _classes_within(kind) for field in attrs.fields(cls)), default=OLDEST)


def written(value: object, *, pin: int) -> bytes:
    """Turn a request, a reply, or what a journal keeps, into body bytes that processes of the pin's version read."""
    return lowered(encode_body(value), type(value), pin=pin)


def lowered(body: bytes, kind: Any, *, pin: int) -> bytes:
    """Leave out of the body of a value what messages have only since a version later than the pin."""
    if schema_of(kind) <= pin:
        return body
    return pack(_older(unpack(body, where=str(kind)), kind, pin))


def pinned(envelope: E, pin: int) -> E:
    """Give an envelope as processes of the pin's version read it; one of an unknown method goes as it is."""
    request = METHODS.get(envelope.method)
    if request is None or (isinstance(envelope, Response) and envelope.is_error):
        return envelope
    kind = request.reply_type() if isinstance(envelope, Response) else request
    body = lowered(envelope.body, kind, pin=pin)
    return envelope if body is envelope.body else attrs.evolve(envelope, body=body)


def _older(plain: Any, kind: Any, pin: int) -> Any:
    if isinstance(plain, list | tuple):
        items = [each for each in _inside(kind) if get_origin(each) is tuple]
        return [_older(each, get_args(items[0])[0], pin) for each in plain] if items else plain
    if not isinstance(plain, dict):
        return plain
    if maps := [each for each in _inside(kind) if get_origin(each) is dict]:
        return {name: _older(each, get_args(maps[0])[-1], pin) for name, each in plain.items()}
    # Of a union it is not known which one it is; but fields of one name are of one kind in all of them.
    fields: dict[str, list[tuple[int, Any]]] = {}
    for cls in _inside(kind):
        if attrs.has(cls):
            hints = _hints(cls)
            for field in attrs.fields(cls):
                fields.setdefault(field.name, []).append((version_of(field), hints[field.name]))
    return {
        name: _older(each, min(fields[name], key=lambda known: known[0])[1], pin) if name in fields else each
        for name, each in plain.items()
        if name not in fields or min(version for version, _ in fields[name]) <= pin
    }


def _inside(kind: Any) -> tuple[Any, ...]:
    """Give what a value of a type may be: the members of a union, else that type."""
    return get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _classes_within(kind: Any) -> set[Any]:
    found: set[Any] = set()
    left = [kind]
    while left:
        each = left.pop()
        if attrs.has(each) and each not in found:
            found.add(each)
            left.extend(_hints(each)[field.name] for field in attrs.fields(each))
        left.extend(_arguments(each))
    return found


def _arguments(kind: Any) -> Iterator[Any]:
    yield from (each for each in get_args(kind) if each is not Ellipsis)
