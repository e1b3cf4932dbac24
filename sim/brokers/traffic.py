"""What travels, at a glance: the notes of a frame's envelopes, what its chances are keyed by, and whom it goes to."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgpack

from protocol.codec import decode_frame
from protocol.envelope import Key
from protocol.errors import CellferryError
from sim.history import Note

if TYPE_CHECKING:
    from actors.kernel.ports import Queue

AWAITED: Final = frozenset({"call", "gather", "answer"})
"""Kinds of envelopes that somebody waits for."""


TARGETED, BROADCAST, RESPONSE = 1, 2, 3
"""The kinds of envelopes, as the codec writes them."""

SPECIFIC: Final = 14
"""Behind so many fields of a header come those of its kind."""


ITEMS_MAX: Final = 64
"""No header has a longer list in it."""


class Notes(tuple[Note, ...]):  # noqa: SLOT001 - a tuple cannot have slots that are not empty
    """Notes whose text is written once, for a frame is in the history more than once."""

    _text: str | None = None

    def __str__(self) -> str:
        """Write them as any tuple is written."""
        if self._text is None:
            self._text = tuple.__repr__(self)
        return self._text


@attrs.frozen(kw_only=True)
class Traffic:
    """A frame at a glance."""

    notes: tuple[Note, ...]
    method: str = ""  # Of the first envelope; empty when there is none that can be read.
    about: str = ""  # What the first envelope is about, the same each time it is sent: keys its chances.
    budget_s: float = 0.0  # How long the sender of the first envelope waits.

    @property
    def is_awaited(self) -> bool:
        """Tell whether somebody waits for it."""
        return any(note.kind in AWAITED for note in self.notes)


UNREADABLE: Final = Traffic(notes=())


def glance(frame: bytes) -> Traffic:
    """Look into a frame; envelopes that cannot be read are passed over."""
    try:
        parts = decode_frame(frame)
    except CellferryError:
        return UNREADABLE
    found = [each for part in parts if (each := _look(part)) is not None]
    if not found:
        return UNREADABLE
    notes = Notes(note for note, _budget_s in found)
    first, budget_s = found[0]
    about = f"{first.method} {first.key or first.server}{' answer' if first.answers else ''}"
    return Traffic(notes=notes, method=first.method, about=about, budget_s=budget_s)


@lru_cache(maxsize=4096)
def consumer_of(queue: Queue) -> str:
    """Name the process that consumes a queue."""
    if queue.name == "link" or queue.name.startswith("from:"):
        return f"{queue.cell}/link"
    mailbox = queue.name
    if mailbox.startswith("replies:"):  # Of one replica: replies:MAILBOX:SLOT.
        mailbox = mailbox.removeprefix("replies:").rpartition(":")[0]
    return f"{queue.cell}/{mailbox}"


def _look(part: bytes) -> tuple[Note, float] | None:
    """Read an envelope's header and no more: every frame of a world passes here, and its receiver checks it all."""
    unpacker = msgpack.Unpacker(
        use_list=False,
        read_size=512,
        max_buffer_size=max(len(part), 512),
        max_array_len=ITEMS_MAX,
        max_map_len=ITEMS_MAX,
        max_ext_len=0,
    )
    unpacker.feed(part)
    try:
        header = unpacker.unpack()
        return (_note(header), header[10]) if _is_header(header) else None
    except (ValueError, TypeError, msgpack.UnpackException, CellferryError):
        return None


def _is_header(found: object) -> bool:
    if not isinstance(found, tuple) or len(found) <= SPECIFIC or tuple(map(type, found[:SPECIFIC])) != TYPES:
        return False
    specific = SPECIFICS.get(found[1], (object,))
    return tuple(map(type, found[SPECIFIC : SPECIFIC + len(specific)])) == specific


TYPES: Final = (int, int, bytes, str, tuple, str, tuple, int, bool, str, float, str, tuple, int)
"""Of the fields that all headers have."""

SPECIFICS: Final = {TARGETED: (str,), BROADCAST: (str, bool), RESPONSE: (str, bytes, bool)}
"""Of the fields behind them, by the kind of envelope."""


def _note(header: tuple[Any, ...]) -> Note:
    _schema, kind, identity, method, _context, source, route, hops_max, call, _reply_to, _budget_s, server = header[:12]
    key, epoch, goal = header[12:15]
    is_answer = kind == RESPONSE
    return Note(
        id=identity.hex(),
        kind=("answer" if is_answer else KINDS[kind == BROADCAST, call]),
        method=method,
        source=source,
        target=goal,
        route=route,
        hops_max=hops_max,
        server=server,
        key=_key(key) if key else "",
        epoch=epoch,
        answers=header[15].hex() if is_answer else "",
        is_error=is_answer and header[16],
    )


KINDS: Final = {(False, True): "call", (False, False): "cast", (True, True): "gather", (True, False): "spread"}
"""What an envelope is called that is no answer: by whether it is a broadcast, and whether an answer is wanted."""


@lru_cache(maxsize=4096)
def _key(fields: tuple[Any, ...]) -> str:
    scope, attempt, step, is_undo = fields
    return str(Key(scope=scope, attempt=attempt, step=step, is_undo=is_undo))
