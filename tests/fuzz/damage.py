"""Every way in which a message can be damaged, each with the reason for which it must become a dead letter."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, Final

import msgpack

from protocol.bodies import encode_body
from protocol.cell_path import CellPath
from protocol.dead_letters import Reason
from protocol.messages.root import RegisterHost

ROOT, EU = CellPath.parse("api"), CellPath.parse("api!eu")
BODY: Final = encode_body(RegisterHost(host="h1", cell=EU))
#: The fields of a header, by their places.
SCHEMA, KIND, ID, METHOD, CONTEXT, SOURCE, ROUTE, HOPS, CALL, REPLY_TO, BUDGET, SERVER, KEY, EPOCH, SPECIFIC = range(15)
TARGETED, BROADCAST, RESPONSE = 1, 2, 3
#: Chance: a number from 0 to below the one given.
Draw = Callable[[int], int]
Header = list[Any]


def header(draw: Draw, kind: int = TARGETED) -> Header:
    """Make the header of a message that may come from `api!eu`, unlike any before."""
    specific: dict[int, Header] = {
        TARGETED: ["api/cell"],
        BROADCAST: ["up", True],
        RESPONSE: ["api/replies:conductor:0", bytes(16), False],
    }
    method = "register_host" if kind != RESPONSE else "free_host"
    identity = bytes(draw(256) for _ in range(16))
    return [
        1, kind, identity, method, ["r", "", "", False, ""], "api!eu/cell", ["api!eu"], 10, False, "", 1.0, "", [], 0,
        *specific[kind],
    ]  # fmt: skip


def envelope(fields: object, body: object = BODY) -> bytes:
    """Write an envelope of whatever it is made of."""
    return bytes(msgpack.packb(fields)) + bytes(msgpack.packb(body))


def framed(*parts: object) -> bytes:
    """Write a frame of whatever it is made of."""
    return bytes(msgpack.packb(list(parts)))


def good(draw: Draw) -> bytes:
    """Make an envelope with nothing wrong."""
    return envelope(header(draw))


#: Damage to a whole frame, and to one envelope in a frame: each with its reason.
FRAMES: Final[dict[str, tuple[Reason, Callable[[Draw], bytes]]]] = {}
ENVELOPES: Final[dict[str, tuple[Reason, Callable[[Draw], bytes]]]] = {}


def _some(draw: Draw, *values: Any) -> Any:
    return values[draw(len(values))]


def _frame(name: str, damage: Callable[[Draw], bytes]) -> None:
    FRAMES[name] = (Reason.MALFORMED, damage)


def _field(name: str, place: int, *values: Any, kind: int = TARGETED, reason: Reason = Reason.MALFORMED) -> None:
    def damage(draw: Draw) -> bytes:
        fields = header(draw, kind)
        fields[place] = _some(draw, *values)
        return envelope(fields)

    ENVELOPES[name] = (reason, damage)


def _bytes(name: str, damage: Callable[[Draw], bytes]) -> None:
    ENVELOPES[name] = (Reason.MALFORMED, damage)


_frame("nothing at all", lambda _: b"")
_frame("chance", lambda draw: bytes([0xC1, *(draw(256) for _ in range(draw(64)))]))
_frame("a frame that is no array", lambda draw: bytes(msgpack.packb(_some(draw, None, 1, "x", b"x", {"a": 1}, 1.5))))
_frame("a frame of no bytes", lambda draw: framed(_some(draw, 1, "x", None, [b"x"], True)))
_frame("an empty frame", lambda _: framed())
_frame("half a frame", lambda draw: framed(good(draw))[: 2 + draw(40)])
_frame("more than a frame", lambda draw: framed(good(draw)) + bytes([draw(256)]))
_frame("an array that is said to be endless", lambda draw: b"\xdd" + struct.pack(">I", 2**32 - 1 - draw(1000)))
_frame("bytes that are said to be endless", lambda draw: b"\x91\xc6" + struct.pack(">I", 2**32 - 1 - draw(1000)))
_frame("arrays in arrays in arrays", lambda draw: b"\x91" * (2000 + draw(500)))
_frame("more envelopes than a frame holds", lambda draw: framed(*[b""] * (1025 + draw(9))))
_frame("an extension", lambda draw: bytes(msgpack.packb([msgpack.ExtType(draw(100), b"x")])))

_bytes("an empty envelope", lambda _: b"")
_bytes("half an envelope", lambda draw: good(draw)[: 1 + draw(60)])
_bytes("more than an envelope", lambda draw: good(draw) + bytes([draw(256)]))
_bytes("a header that is no array", lambda draw: envelope(_some(draw, 1, "x", None, b"x", {"a": 1})))
_bytes("a header too short", lambda draw: envelope(header(draw)[: draw(SPECIFIC + 1)]))
_bytes("a body that is no bytes", lambda draw: envelope(header(draw), _some(draw, "x", 1, None, [b"x"], {"a": 1})))
_bytes("no body", lambda draw: bytes(msgpack.packb(header(draw))))
_bytes("a body too large", lambda draw: envelope(header(draw), bytes(300_000 + draw(9))))
_bytes("an extension in a header", lambda draw: envelope([*header(draw), msgpack.ExtType(draw(100), b"x")]))
_bytes("too many fields of later versions", lambda draw: envelope([*header(draw), *range(17 + draw(9))]))
_bytes("a map with a key twice", lambda draw: envelope(header(draw))[:-1] + b"\x82\xa1a\x01\xa1a\x02")
_bytes("a text that is no UTF-8", lambda draw: good(draw).replace(b"register_host", b"register_\xff\xfest", 1))
_bytes("a header of a later version that is none", lambda draw: envelope([_some(draw, True, "1", None, 1.0), 1]))

_field("a later version", SCHEMA, 2, 3, 2**31, reason=Reason.UNKNOWN_SCHEMA)
_field("a version that never was", SCHEMA, 0, -1, -(2**31))
_field("a kind that there is not", KIND, 0, 4, -1, 255)
_field("a kind that is no number", KIND, "1", None, True, 1.0)
_field("an id too short or too long", ID, b"", b"x", bytes(15), bytes(17), bytes(64))
_field("an id that is no bytes", ID, "x" * 16, 1, None)
_field("a method that is no name", METHOD, "", "1x", "a b", "x" * 129, "../x", "a\0b")
_field("a method that is no text", METHOD, 1, None, b"register_host", ["register_host"])
_field("a context of another shape", CONTEXT, [], ["r"], ["r", "", "", 0, ""], ["r", "", "", False], "r", None)
_field("a context that cannot be printed", CONTEXT, ["\n", "", "", False, ""], ["x" * 256, "", "", False, ""])
_field("a source that is no address", SOURCE, "", "api!eu", "/cell", "API!EU/cell", "api!eu/", "api!!eu/cell", "a b/c")
_field("a source that is no text", SOURCE, 1, None, ["api!eu", "cell"], b"api!eu/cell")
_field("a route of nobody", ROUTE, [], ["api!us"], ["api", "api!eu"])
_field("a route of no names", ROUTE, [""], ["!"], ["API!EU"], ["api!eu", "x y"], [1], [None], [b"api!eu"], "api!eu")
_field("a route too long", ROUTE, ["api!eu"] * 32, ["api!eu"] * 64)
_field("a hop limit out of range", HOPS, 0, -1, 65, 2**40, -(2**40))
_field("a hop limit that is no number", HOPS, True, "10", None, 1.0)
_field("a call that is no yes or no", CALL, 0, 1, "yes", None)
_field("a call that waits nowhere", CALL, True)
_field("a mailbox that is no name", REPLY_TO, "x y", "Ä", "../x", "x" * 192, "a/b")
_field("a budget that is no number", BUDGET, math.nan, math.inf, -math.inf, -1.0, 1, True, "1", None)
_field("a server that cannot be printed", SERVER, "\0", "a\nb", "x" * 256, "\u2028")
_field("a server that is no text", SERVER, 1, None, b"s", ["s"])
_field("a key of another shape", KEY, ["c"], ["c", 1, "s"], ["c", "1", "s", False], [1, 1, "s", False], "c:1", None)
_field("a key that is no name", KEY, ["", 1, "s", False], ["a b", 1, "s", False], ["c", 1, "S", False])
_field("a key out of range", KEY, ["c", -1, "s", False], ["c", 2**63, "s", False])
_field("an undo of a plain call", KEY, ["c", 1, "", True])
_field("an epoch out of range", EPOCH, -1, 2**63, 2**64 - 1)
_field("an epoch that is no number", EPOCH, True, "1", None, 1.0)
_field("a target that is no address", SPECIFIC, "", "api", "api/", "/cell", "API/cell", "api/x y", 1, None)
_field("a direction that there is not", SPECIFIC, "sideways", "", "UP", kind=BROADCAST)
_field("an answer to no id", SPECIFIC + 1, b"", bytes(15), bytes(17), kind=RESPONSE)
_field("an answer that wants an answer", CALL, True, kind=RESPONSE)
_field("an answer that may be an error", SPECIFIC + 2, 0, 1, None, "no", kind=RESPONSE)
_field("a command of a child", METHOD, "free_host", "begin_move", "copy_server", reason=Reason.FORBIDDEN)
_field("what never leaves its cell", METHOD, "issue_permit", "take_server", "page_servers", reason=Reason.FORBIDDEN)
_field("an epoch of a child", EPOCH, 1, 7, 2**62, reason=Reason.FORBIDDEN)
_field("a mailbox of nobody who is told", SPECIFIC, "api/conductor", "api/link", "api/image", reason=Reason.FORBIDDEN)
_field("an answer into a mailbox", SPECIFIC, "api/cell", "api/conductor", kind=RESPONSE, reason=Reason.FORBIDDEN)

#: Every kind of damaged frame, an envelope's in a frame of its own, with its reason.
KINDS: Final = (
    *FRAMES.values(),
    *((reason, lambda draw, damage=damage: framed(damage(draw))) for reason, damage in ENVELOPES.values()),
)
