"""Envelopes, frames and plain data to bytes and back: the one place that trusts nothing it reads.

An envelope is a positional msgpack array, schema version first, and behind it the body as a msgpack bin.  A hop reads
and writes the array only.  A frame is a msgpack array of bins, one for each envelope: each keeps bytes of its own, so
that one malformed envelope spoils no other, and a reader needs no second grammar.

Whatever the bytes, reading ends in a value or in `Malformed`, `UnknownSchema`, `TooLarge` or `InvalidName`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Never, TypeAlias

import msgpack

from protocol.cell_path import Address, CellPath
from protocol.envelope import (
    BODY_BYTES_MAX,
    NUMBER_MAX,
    NUMBER_MIN,
    SCHEMA,
    Broadcast,
    Context,
    Direction,
    Envelope,
    Key,
    Response,
    Targeted,
)
from protocol.errors import InvalidValue, Malformed, TooLarge, UnknownSchema

FRAME_BYTES_MAX: Final = 8 * 1024 * 1024
FRAME_ENVELOPES_MAX: Final = 1024
ENVELOPE_BYTES_MAX: Final = 4 * 1024 * 1024
#: What a frame adds to the bytes of its envelopes: once, and for each of them.
FRAME_OVERHEAD_BYTES: Final = 3
FRAMED_OVERHEAD_BYTES: Final = 5
#: Limits of plain data: how deep lists and maps lie in each other, how long one of them and one text is.
NESTING_MAX: Final = 32
ITEMS_MAX: Final = 16_384
PLAIN_TEXT_CHARS_MAX: Final = 262_144

#: A size that says nothing about the texts in it.
_UNKNOWN: Final = 2**63
_UTF8_BYTES_MAX: Final = 4
_HEADER_TEXT_BYTES_MAX: Final = 4096
_HEADER_ITEMS_MAX: Final = 64

#: The names and exact types of the fields of an array, in their order.
Layout: TypeAlias = Mapping[str, type]

_ENVELOPE: Final[Layout] = {"the header": tuple, "the body": bytes}
_LEAD: Final[Layout] = {"schema": int, "kind": int}
_HEADER: Final[Layout] = {
    **_LEAD,
    "id": bytes,
    "method": str,
    "context": tuple,
    "source": str,
    "route": tuple,
    "hops_max": int,
    "call": bool,
    "reply_to": str,
    "budget_s": float,
    "server": str,
    "key": tuple,
    "epoch": int,
}
_CONTEXT: Final[Layout] = {"request_id": str, "user": str, "project": str, "is_admin": bool, "trace_parent": str}
_KEY: Final[Layout] = {"scope": str, "attempt": int, "step": str, "is_undo": bool}
_TARGETED: Final = 1
_BROADCAST: Final = 2
_RESPONSE: Final = 3
_LAYOUTS: Final[Mapping[int, Layout]] = {
    _TARGETED: {**_HEADER, "target": str},
    _BROADCAST: {**_HEADER, "direction": str, "include_self": bool},
    _RESPONSE: {**_HEADER, "target": str, "answers": bytes, "is_error": bool},
}


# --- intake ------------------------------------------------------------------------------------------------


def require_size(what: str, size: int, limit: int) -> None:
    """Refuse what has more bytes or items than its limit."""
    if size > limit:
        raise TooLarge(what=what, size=size, limit=limit)


def require_layout(where: str, fields: Sequence[object], layout: Layout) -> None:
    """Refuse fields that are not of exactly these types: a bool is no int, an int is no float."""
    if [*map(type, fields)] == [*layout.values()]:
        return
    if len(fields) != len(layout):
        raise Malformed(where=where, what=f"{len(fields)} fields, not {len(layout)}")
    wrong = (pair for pair in zip(layout.items(), map(type, fields), strict=True) if pair[0][1] is not pair[1])
    (name, wanted), found = next(wrong)
    raise Malformed(where=where, what=f"{name} is a {found.__name__}, not a {wanted.__name__}")


def require_all(where: str, items: Sequence[object], wanted: type) -> None:
    """Refuse items of which one is not of exactly this type."""
    for item in items:
        if type(item) is not wanted:
            raise Malformed(where=where, what=f"it holds a {type(item).__name__}, not only {wanted.__name__}")


def _no_extension(_code: int, _data: bytes) -> Never:
    raise ValueError("an extension type")


def _map(pairs: list[tuple[object, object]]) -> dict[object, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a map with one key twice")
    return found


def _read(data: bytes, *, where: str) -> Any:
    """Read the one msgpack object that fills `data`."""
    size = len(data)
    try:
        return msgpack.unpackb(
            data,
            object_pairs_hook=_map,
            ext_hook=_no_extension,
            max_str_len=min(size, PLAIN_TEXT_CHARS_MAX * _UTF8_BYTES_MAX),
            max_bin_len=size,
            max_array_len=min(size, ITEMS_MAX),
            max_map_len=min(size, ITEMS_MAX),
            max_ext_len=0,
        )
    except msgpack.ExtraData:
        raise Malformed(where=where, what="bytes behind its end") from None
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Malformed(where=where, what=str(error) or type(error).__name__) from None


def _read_envelope(data: bytes) -> tuple[Any, Any]:
    """Read the two msgpack objects, header and body, that fill `data`."""
    size = len(data)
    unpacker = msgpack.Unpacker(
        use_list=False,
        read_size=512,
        max_buffer_size=max(size, 512),
        object_pairs_hook=_map,
        ext_hook=_no_extension,
        max_str_len=min(size, _HEADER_TEXT_BYTES_MAX),
        max_bin_len=size,
        max_array_len=min(size, _HEADER_ITEMS_MAX),
        max_map_len=min(size, _HEADER_ITEMS_MAX),
        max_ext_len=0,
    )
    unpacker.feed(data)
    try:
        header, body = unpacker.unpack(), unpacker.unpack()
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Malformed(where="envelope", what=str(error) or type(error).__name__) from None
    if unpacker.tell() != size:
        raise Malformed(where="envelope", what="bytes behind its end")
    return header, body


# --- plain data --------------------------------------------------------------------------------------------


def pack(value: object, *, where: str = "value", bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """Write plain data: None, bool, int, float, str, bytes, and lists and maps with text keys of such."""
    try:
        data: bytes = msgpack.packb(value)
    except UnicodeEncodeError:
        raise Malformed(where=where, what="a text with a surrogate") from None
    except (ValueError, TypeError, OverflowError) as error:
        _require_plain(value, where, size=_UNKNOWN)
        raise Malformed(where=where, what=str(error)) from None
    _require_plain(value, where, size=len(data))
    require_size(where, len(data), bytes_max)
    return data


def unpack(data: bytes, *, where: str, bytes_max: int = BODY_BYTES_MAX) -> object:
    """Read plain data; `where` names it in the error when it is none."""
    require_size(where, len(data), bytes_max)
    value = _read(data, where=where)
    _require_plain(value, where, size=len(data))
    return value


def _require_plain(value: Any, where: str, *, size: int) -> None:
    # Every value of every message passes here: what is common is told apart by its exact type, and no text is longer
    # than the `size` bytes of the whole.
    is_any_text_long = size > PLAIN_TEXT_CHARS_MAX
    # Level by level, for plain data may come from a stranger and a recursion would be as deep as he likes.
    level: list[Any] = [value]
    for _ in range(NESTING_MAX):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                if is_any_text_long:
                    _require_leaf(item, where)
            elif kind is dict:
                _require_map(item, where)
                below.extend(item.values())
            elif kind is list or kind is tuple:
                require_size(f"a list in {where}", len(item), ITEMS_MAX)
                below.extend(item)
            elif item is not None and kind is not bool and not (kind is int and NUMBER_MIN <= item <= NUMBER_MAX):
                _require_leaf(item, where)
        if not below:
            return
        level = below
    raise TooLarge(what=f"the nesting of {where}", size=NESTING_MAX + 1, limit=NESTING_MAX)


def _require_map(found: dict[Any, Any], where: str) -> None:
    require_size(f"a map in {where}", len(found), ITEMS_MAX)
    try:
        if len("".join(found)) <= PLAIN_TEXT_CHARS_MAX:  # All keys are texts, and none is too long.
            return
    except TypeError:
        pass
    for key in found:
        if not isinstance(key, str):
            raise Malformed(where=where, what=f"a map with a {type(key).__name__} as key")
        require_size(f"a key in {where}", len(key), PLAIN_TEXT_CHARS_MAX)


def _require_leaf(item: object, where: str) -> None:
    if isinstance(item, str):
        require_size(f"a text in {where}", len(item), PLAIN_TEXT_CHARS_MAX)
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise Malformed(where=where, what="a number that is not finite")
    elif isinstance(item, int):
        if not NUMBER_MIN <= item <= NUMBER_MAX:
            raise Malformed(where=where, what="a number of more than 64 bits")
    elif item is not None and not isinstance(item, bytes):
        raise Malformed(where=where, what=f"a {type(item).__name__}")


# --- envelopes ---------------------------------------------------------------------------------------------


def encode(envelope: Envelope) -> bytes:
    """Write an envelope; the body and the trailing fields go as they came."""
    if envelope.trailing:
        _require_plain(envelope.trailing, "the trailing fields of an envelope", size=_UNKNOWN)
    kind, specific = _specific(envelope)
    context, key = envelope.context, envelope.key
    header = (
        envelope.schema,
        kind,
        envelope.id,
        envelope.method,
        (context.request_id, context.user, context.project, context.is_admin, context.trace_parent),
        str(envelope.source),
        tuple(map(str, envelope.route)),
        envelope.hops_max,
        envelope.call,
        envelope.reply_to,
        float(envelope.budget_s),
        envelope.server,
        () if key is None else (key.scope, key.attempt, key.step, key.is_undo),
        envelope.epoch,
    )
    packer = msgpack.Packer(autoreset=False)
    packer.pack((*header, *specific, *envelope.trailing))
    packer.pack(envelope.body)
    data: bytes = packer.bytes()
    require_size("an envelope", len(data), ENVELOPE_BYTES_MAX)
    return data


def _specific(envelope: Envelope) -> tuple[int, tuple[object, ...]]:
    if isinstance(envelope, Targeted):
        return _TARGETED, (str(envelope.target),)
    if isinstance(envelope, Broadcast):
        return _BROADCAST, (envelope.direction.value, envelope.include_self)
    return _RESPONSE, (str(envelope.target), envelope.answers, envelope.is_error)


def decode(data: bytes) -> Envelope:
    """Read an envelope; refuse anything that `encode` could not have meant."""
    require_size("an envelope", len(data), ENVELOPE_BYTES_MAX)
    fields, body = _read_envelope(data)
    require_layout("envelope", (fields, body), _ENVELOPE)
    require_layout("header", fields[: len(_LEAD)], _LEAD)
    schema, kind = fields[: len(_LEAD)]
    # The schema comes first, for a later one may mean anything by all that follows.
    if schema > SCHEMA:
        raise UnknownSchema(what="envelope", schema=schema, highest=SCHEMA)
    layout = _LAYOUTS.get(kind)
    if layout is None:
        raise Malformed(where="header", what=f"there is no kind {kind}")
    known, trailing = fields[: len(layout)], fields[len(layout) :]
    require_layout("header", known, layout)
    if trailing:
        _require_plain(trailing, "header", size=len(data))
    try:
        return _envelope(known, trailing, body)
    except InvalidValue as error:
        raise Malformed(where="header", what=str(error)) from None


def _envelope(known: tuple[Any, ...], trailing: tuple[object, ...], body: bytes) -> Envelope:
    schema, kind, identity, method, context, source, route, hops_max = known[:8]
    call, reply_to, budget_s, server, key, epoch, *specific = known[8:]
    common: dict[str, Any] = {
        "schema": schema,
        "id": identity,
        "method": method,
        "context": _context(context),
        "source": _address(source),
        "route": _route(route),
        "hops_max": hops_max,
        "call": call,
        "reply_to": reply_to,
        "budget_s": budget_s,
        "server": server,
        "key": _key(key),
        "epoch": epoch,
        "body": body,
        "trailing": trailing,
    }
    if kind == _TARGETED:
        return Targeted(target=_address(specific[0]), **common)
    if kind == _BROADCAST:
        return Broadcast(direction=_direction(specific[0]), include_self=specific[1], **common)
    return Response(target=_address(specific[0]), answers=specific[1], is_error=specific[2], **common)


# The same few values are named over and over, and all of them are immutable.
_address: Final = lru_cache(maxsize=4096)(Address.parse)
_cell: Final = lru_cache(maxsize=4096)(CellPath.parse)


@lru_cache(maxsize=4096)
def _known_context(request_id: str, user: str, project: str, is_admin: bool, trace_parent: str) -> Context:
    return Context(request_id=request_id, user=user, project=project, is_admin=is_admin, trace_parent=trace_parent)


@lru_cache(maxsize=4096)
def _known_key(scope: str, attempt: int, step: str, is_undo: bool) -> Key:
    return Key(scope=scope, attempt=attempt, step=step, is_undo=is_undo)


def _route(cells: tuple[Any, ...]) -> tuple[CellPath, ...]:
    require_all("route", cells, str)
    return tuple(map(_cell, cells))


def _direction(text: str) -> Direction:
    if text not in tuple(Direction):
        raise Malformed(where="header", what="a direction is up or down")
    return Direction(text)


def _context(fields: tuple[Any, ...]) -> Context:
    require_layout("context", fields, _CONTEXT)
    return _known_context(*fields)


def _key(fields: tuple[Any, ...]) -> Key | None:
    if not fields:
        return None
    require_layout("key", fields, _KEY)
    return _known_key(*fields)


# --- frames ------------------------------------------------------------------------------------------------


def encode_frame(envelopes: Sequence[bytes]) -> bytes:
    """Put the bytes of one or more envelopes for one queue into one wire message."""
    _require_frame(envelopes)
    data: bytes = msgpack.packb(list(envelopes))
    require_size("a frame", len(data), FRAME_BYTES_MAX)
    return data


def decode_frame(data: bytes) -> list[bytes]:
    """Take a wire message apart; each envelope is then decoded, or refused, alone."""
    require_size("a frame", len(data), FRAME_BYTES_MAX)
    envelopes = _read(data, where="frame")
    if type(envelopes) is not list:
        raise Malformed(where="frame", what="not an array")
    require_all("frame", envelopes, bytes)
    _require_frame(envelopes)
    return envelopes


def _require_frame(envelopes: Sequence[bytes]) -> None:
    if not envelopes:
        raise Malformed(where="frame", what="no envelope")
    require_size("a frame", len(envelopes), FRAME_ENVELOPES_MAX)
    for envelope in envelopes:
        require_size("an envelope", len(envelope), ENVELOPE_BYTES_MAX)
