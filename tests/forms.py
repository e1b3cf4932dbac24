"""What properties of bodies and rows draw from: values of any class of the protocol, by its fields' types."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import attrs
from hypothesis import strategies as st

from protocol.cell_path import Address, CellPath
from protocol.errors import Argument, InvalidValue
from protocol.messages.changes import ServerChange
from protocol.messages.histories import AuditUsage
from protocol.messages.instances import AskBackup, AskRebuild, AskSnapshot
from protocol.messages.orders import (
    BANDWIDTH_KBPS_MAX,
    POWERS,
    ChangeVolume,
    CreateServer,
    ImageServer,
    PowerServer,
    RebuildServer,
    SettleMove,
    WireServer,
)
from protocol.records import KeyPair
from protocol.scheduling import Wish
from protocol.states import Goal
from tests.strategies import ADDRESSES, ARGUMENTS, PATHS, SCALARS

#: Texts that every database keeps; what has a NUL is refused where it comes in.
KEPT: Final = st.text("ab ä'\"\\\n\U0001f6a2", max_size=6)
INTEGERS: Final = st.integers(-(2**63), 2**63 - 1)
_LEAVES: Final[dict[Any, st.SearchStrategy[Any]]] = {
    str: KEPT,
    int: INTEGERS,
    bool: st.booleans(),
    bytes: st.binary(max_size=6),
    float: st.floats(allow_nan=False, allow_infinity=False),
    CellPath: PATHS,
    Address: ADDRESSES,
    Argument: ARGUMENTS[Argument],
}
_IMAGES: Final = st.sampled_from(["a", "shot-1", "Z.9_x"])
_NAMES: Final = st.text("ab ä", min_size=1, max_size=6)
_CHANGES: Final = st.sampled_from([ServerChange(), ServerChange(name="other", metadata={"a": "b"})])
#: Fields of which most values are refused, by class: of each some that are not, most of the time.
_FIELDS: Final[dict[type[Any], dict[str, st.SearchStrategy[Any]]]] = {
    ImageServer: {
        "image": _IMAGES,
        "backup_type": st.sampled_from(["", "daily"]),
        "rotation": st.sampled_from([0, 0, 3]),
    },
    RebuildServer: {"image": _IMAGES, "change": _CHANGES},
    CreateServer: {"bandwidth_kbps": st.integers(0, BANDWIDTH_KBPS_MAX)},
    KeyPair: {"name": _NAMES, "public_key": _NAMES},
    Wish: {"hypervisor_version": st.sampled_from(["", ">6.0, <=6.3"])},
    AuditUsage: {"begin_us": st.integers(-(2**63), 0), "end_us": st.integers(1, 2**63 - 1)},
    ChangeVolume: {"replacement": st.sampled_from(["", "", "other"])},
    ServerChange: {
        "name": st.none() | _NAMES,
        "tags": st.none() | st.lists(_NAMES, max_size=2, unique=True).map(tuple),
        "metadata": st.none() | st.dictionaries(_NAMES, KEPT, max_size=2),
    },
    AskRebuild: {"image": _IMAGES, "change": _CHANGES},
    AskSnapshot: {"image": _IMAGES},
    AskBackup: {"image": _IMAGES, "backup_type": st.just("daily"), "rotation": st.integers(0, 3)},
}
#: What an order may be for, where that is less than what any conversation may be for.
_GOALS: Final[dict[type[Any], tuple[Goal, ...]]] = {
    SettleMove: (Goal.CONFIRM, Goal.REVERT),
    PowerServer: POWERS,
    ChangeVolume: (Goal.ATTACH, Goal.DETACH, Goal.SWAP),
    ImageServer: (Goal.SNAPSHOT, Goal.BACKUP),
    WireServer: (Goal.RESET_NETWORK, Goal.INJECT_NETWORK_INFO),
}


@cache
def of_type(annotation: Any) -> st.SearchStrategy[Any]:
    """Give values of a type that a field of the protocol may have."""
    if annotation in _LEAVES:
        return _LEAVES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return st.one_of([st.none() if option is NoneType else of_type(option) for option in arguments])
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=2).map(tuple)
    if origin in {dict, Mapping}:
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), max_size=2)
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    return of_class(annotation)


def of_class(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Give values of an attrs class."""
    fields = {field.alias: of_type(field.type) for field in attrs.fields(cls)}
    fields.update(_FIELDS.get(cls, {}))
    if cls in _GOALS:
        fields["goal"] = st.sampled_from(_GOALS[cls])
    return st.fixed_dictionaries(fields).map(lambda values: _made(cls, values)).filter(lambda value: value is not None)


def _made(cls: type[Any], values: dict[str, Any]) -> Any:
    """Make a value; None when a rule of the class's own forbids it."""
    try:
        return cls(**values)
    except InvalidValue:
        return None


def places(plain: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List where in plain data there is a value: each field and item, however deep."""
    if isinstance(plain, dict):
        return [place for name, each in plain.items() for place in ((*at, name), *places(each, (*at, name)))]
    if isinstance(plain, list):
        return [place for number, each in enumerate(plain) for place in ((*at, number), *places(each, (*at, number)))]
    return []


def replaced(plain: Any, place: tuple[Any, ...], value: object) -> Any:
    """Give plain data with another value at one place."""
    if not place:
        return value
    first, *rest = place
    changed: Any = dict(plain) if isinstance(plain, dict) else list(plain)
    changed[first] = replaced(plain[first], tuple(rest), value)
    return changed


#: What may stand where something else is expected.
ANYTHING: Final[st.SearchStrategy[Any]] = (
    SCALARS | st.just([]) | st.just({}) | st.just("abc") | st.just({"a": 1}) | st.just([[]]) | st.sampled_from([0, 1])
)
