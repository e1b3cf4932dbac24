"""Typed requests, replies and rows <-> plain data and body bytes.  What does not fit its class is `Malformed`."""

import operator
from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum
from functools import partial
from typing import Any, Final, TypeVar, cast, get_args, get_origin

import cattrs
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError
from cattrs.strategies import configure_tagged_union

from protocol.cell_path import Address, CellPath
from protocol.codec import pack, unpack
from protocol.errors import Argument, CellferryError, Malformed

T = TypeVar("T")


def _exactly(kind: type[T]) -> Any:
    def structure(value: object, _: object) -> T:
        if type(value) is not kind:
            raise TypeError(f"{type(value).__name__} where {kind.__name__} is expected")
        return value

    return structure


def _number(value: object, _: object) -> float:
    if type(value) not in {int, float}:
        raise TypeError(f"{type(value).__name__} where a number is expected")
    return float(value)  # type: ignore[arg-type]  # the line above is a narrowing that mypy does not follow


def _text(value: object, _: object) -> str:
    if type(value) is not str:
        raise TypeError(f"{type(value).__name__} where str is expected")
    # msgpack can say it, but one of the databases cannot keep it.
    if "\0" in value:
        raise ValueError("a text with a NUL")
    return value


def _member(value: object, cls: type[Enum]) -> Enum:
    # Exactly, for `PowerState(True)` and `PowerState(1.0)` would be a power state too.
    kind = int if issubclass(cls, int) else str
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {cls.__name__} is expected")
    return cls(value)


def _is_tuple(cls: object) -> bool:
    return get_origin(cls) is tuple


def _tuple_of(cls: Any, converter: cattrs.Converter) -> Any:
    item, *_ = get_args(cls)
    structure_item = converter.get_structure_hook(item)

    def structure(value: object, _: object) -> tuple[Any, ...]:
        # A text or a map would be taken apart, too.
        if not isinstance(value, list | tuple):
            raise TypeError(f"{type(value).__name__} where a list is expected")
        return tuple([structure_item(each, item) for each in value])

    return structure


def _scalar(value: object, _: object) -> Argument:
    if type(value) not in get_args(Argument):
        raise TypeError(f"{type(value).__name__} where a scalar is expected")
    return cast("Argument", value)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    # By type, for what cattrs itself has by type (`int(value)` and the like) goes before any predicate.
    for kind in (int, bool, bytes):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(float, _number)
    converter.register_unstructure_hook(bytes, lambda value: value)
    converter.register_structure_hook_func(partial(operator.eq, Argument), _scalar)
    for path in (CellPath, Address):
        converter.register_unstructure_hook(path, str)
        converter.register_structure_hook(path, lambda text, cls: cls.parse(_text(text, str)))
    # These two bases, for else an `IntEnum` is an int before it is an `Enum`.
    for base in (IntEnum, StrEnum):
        converter.register_structure_hook(base, _member)
    converter.register_structure_hook_factory(_is_tuple, _tuple_of)
    return converter


CONVERTER: Final = _make_converter()


def tag_union(union: Any, name_of: Callable[[type[Any]], str]) -> None:
    """Have each value of a union of classes carry its class's name, so that it is told from the others."""
    configure_tagged_union(union, CONVERTER, tag_generator=name_of, tag_name="is")


def to_plain(value: object) -> Any:
    """Turn an attrs value into dicts, lists and scalars."""
    return CONVERTER.unstructure(value)


def from_plain(plain: object, cls: type[T]) -> T:
    """Make a `cls` of plain data; raise `Malformed` where it does not fit."""
    # What may be absent as well is of no class with a name.
    value: T = value_from_plain(plain, cls, where=getattr(cls, "__name__", str(cls)))
    return value


def value_from_plain(plain: object, annotation: Any, *, where: str) -> Any:
    """Make a value of any type that a field may have; raise `Malformed`, which names `where`, if it does not fit."""
    try:
        return CONVERTER.structure(plain, annotation)
    except CellferryError as error:
        raise Malformed(where=where, what=str(error)) from error
    except ForbiddenExtraKeysError as error:
        raise Malformed(where=where, what=f"unknown fields {sorted(error.extra_fields)}") from error
    except (BaseValidationError, TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise Malformed(where=where, what=f"{type(error).__name__}: {error}"[:500]) from error


def encode_body(value: object) -> bytes:
    """Turn a request or a reply into body bytes."""
    return pack(to_plain(value))


def decode_body(data: bytes, cls: type[T]) -> T:
    """Make a request or a reply of body bytes; raise `Malformed` where they do not fit."""
    return from_plain(unpack(data, where=cls.__name__), cls)
