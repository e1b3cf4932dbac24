"""What travels between cells: targeted, broadcast and response envelopes, and the header they share.

Every envelope is valid from birth; what an invalid one would do need not be thought of anywhere else.
"""

import math
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self, TypeAlias, TypeVar

import attrs

from protocol.cell_path import DEPTH_MAX, MAILBOX, Address, CellPath
from protocol.errors import Argument, InvalidName, InvalidValue, TooLarge

#: The layout of the header that this version writes, and the highest that it reads.
SCHEMA: Final = 1
ID_BYTES: Final = 16
HOPS_MAX_DEFAULT: Final = 10
HOPS_MAX_LIMIT: Final = 64
#: The longest way in a tree of that depth that enters no cell twice: from leaf to leaf over the root.
ROUTE_MAX: Final = 2 * DEPTH_MAX - 1
TEXT_CHARS_MAX: Final = 255
TRAILING_MAX: Final = 16
BODY_BYTES_MAX: Final = 2 * 1024 * 1024
NUMBER_MIN: Final = -(2**63)
NUMBER_MAX: Final = 2**63 - 1
TEXT_RULE: Final = f"it must be at most {TEXT_CHARS_MAX} printable characters"
NUMBER_RULE: Final = f"it must be from 0 to {NUMBER_MAX}"
HOPS_RULE: Final = f"it must be from 1 to {HOPS_MAX_LIMIT}"
ROUTE_RULE: Final = f"it must have 1 to {ROUTE_MAX} cells, that of the source first"
METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")
SCOPE: Final = re.compile(r"[!-~]{1,255}")
STEP: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
# Read from the right, so that a scope may hold colons of its own.
KEY: Final = re.compile(rf"({SCOPE.pattern}):(0|[1-9][0-9]{{0,18}})(?::({STEP.pattern}):(execute|undo))?")


def _require(name: str, value: Argument, rule: str, *, holds: bool) -> None:
    if not holds:
        raise InvalidValue(name=name, value=value, rule=rule)


def _require_text(name: str, text: str) -> None:
    # Only what prints: no NUL, which a database refuses, and no surrogate, which has no bytes.
    _require(name, len(text), TEXT_RULE, holds=len(text) <= TEXT_CHARS_MAX and text.isprintable())


@lru_cache(maxsize=4096)
def _is_name(text: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(text) is not None


def _require_name(kind: str, text: str, pattern: re.Pattern[str]) -> None:
    if not _is_name(text, pattern):
        raise InvalidName(kind=kind, text=text, rule=pattern.pattern)


def _require_id(name: str, value: bytes) -> None:
    _require(name, len(value), f"an id has {ID_BYTES} bytes", holds=len(value) == ID_BYTES)


def _require_number(name: str, value: int) -> None:
    _require(name, value, NUMBER_RULE, holds=0 <= value <= NUMBER_MAX)


class Direction(StrEnum):
    """Which way a broadcast goes: to every cell above its source, or to every cell below it."""

    UP = "up"
    DOWN = "down"


@attrs.frozen(kw_only=True)
class Context:
    """On whose behalf a message is sent, and the request and trace that it belongs to."""

    request_id: str
    user: str = ""
    project: str = ""
    is_admin: bool = False
    trace_parent: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse what is no text of a header."""
        _require_text("request_id", self.request_id)
        _require_text("user", self.user)
        _require_text("project", self.project)
        _require_text("trace_parent", self.trace_parent)


@attrs.frozen(kw_only=True, order=True)
class Key:
    """The idempotency key of an effect, the same on every retry.

    Of a conversation's step it is (conversation, attempt, step, execute or undo); of a plain call it is
    (the sender's incarnation, the call's number there).
    """

    scope: str
    attempt: int
    step: str
    is_undo: bool

    def __attrs_post_init__(self) -> None:
        """Refuse what `parse` could not read back."""
        _require_name("key scope", self.scope, SCOPE)
        _require_number("attempt", self.attempt)
        if self.step:
            _require_name("step", self.step, STEP)
        _require("is_undo", self.is_undo, "a plain call has no undo", holds=bool(self.step) or not self.is_undo)

    @classmethod
    def plain(cls, incarnation: str, sequence: int) -> Self:
        """Make the key of a plain call, which is no step of a conversation."""
        return cls(scope=incarnation, attempt=sequence, step="", is_undo=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `c1a2:1:copy_records:undo`, or `INCARNATION:7`; raise `InvalidName` when it is no key."""
        match = KEY.fullmatch(text)
        if match is None:
            raise InvalidName(kind="key", text=text, rule=KEY.pattern)
        scope, attempt, step, way = match.groups()
        return cls(scope=scope, attempt=int(attempt), step=step or "", is_undo=way == "undo")

    @property
    def is_plain(self) -> bool:
        """Tell whether this is a plain call's key."""
        return not self.step

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        if self.is_plain:
            return f"{self.scope}:{self.attempt}"
        return f"{self.scope}:{self.attempt}:{self.step}:{'undo' if self.is_undo else 'execute'}"


@attrs.frozen(kw_only=True)
class Header:
    """What all envelopes carry beside their body."""

    id: bytes
    method: str
    context: Context
    source: Address
    #: The cells that the envelope has passed: that of its source first, the one that holds it last.
    route: tuple[CellPath, ...]
    #: How many cells it may pass, that of its source included.
    hops_max: int = HOPS_MAX_DEFAULT
    #: Whether an answer is wanted: a call, not a cast.
    call: bool = False
    #: The mailbox that waits for the answer, in the cell that `answer_address` tells.
    reply_to: str = ""
    #: How long the sender goes on waiting, as of the sending.
    budget_s: float
    #: The server that the message is about: it orders the mailbox and scopes the epoch.
    server: str = ""
    key: Key | None = None
    epoch: int = 0
    schema: int = SCHEMA
    body: bytes
    #: Header fields that a later version added: kept and forwarded, never looked at.
    trailing: tuple[object, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Refuse a header that no cell could act on."""
        _require_id("id", self.id)
        _require_name("method", self.method, METHOD)
        _require_text("server", self.server)
        _require_number("epoch", self.epoch)
        _require("schema", self.schema, "this version writes no other", holds=self.schema == SCHEMA)
        self._require_route()
        _require("budget_s", self.budget_s, "it must be finite and not negative", holds=0 <= self.budget_s < math.inf)
        if self.reply_to:
            _require_name("mailbox", self.reply_to, MAILBOX)
        _require(
            "reply_to", self.reply_to, "a call must say where it waits", holds=bool(self.reply_to) or not self.call
        )
        if len(self.body) > BODY_BYTES_MAX:
            raise TooLarge(what="the body of an envelope", size=len(self.body), limit=BODY_BYTES_MAX)
        if len(self.trailing) > TRAILING_MAX:
            raise TooLarge(what="the trailing fields of an envelope", size=len(self.trailing), limit=TRAILING_MAX)

    def _require_route(self) -> None:
        passed, hops_max = len(self.route), self.hops_max
        _require("hops_max", hops_max, HOPS_RULE, holds=1 <= hops_max <= HOPS_MAX_LIMIT)
        is_fit = 1 <= passed <= ROUTE_MAX and self.route[0] == self.source.cell
        _require("route", passed, ROUTE_RULE, holds=is_fit)


@attrs.frozen(kw_only=True)
class Targeted(Header):
    """A message to one actor anywhere in the tree."""

    target: Address


@attrs.frozen(kw_only=True)
class Broadcast(Header):
    """A message to the `cell` actor of every cell above or below the source."""

    direction: Direction
    #: Whether the source's own cell handles it too; every other cell does.
    include_self: bool = True


@attrs.frozen(kw_only=True)
class Response(Header):
    """The answer to a call: `method` repeats the method answered."""

    target: Address
    #: The id of the envelope answered.
    answers: bytes
    is_error: bool

    def __attrs_post_init__(self) -> None:
        """Refuse, beside what every header refuses, an answer that wants an answer."""
        super().__attrs_post_init__()
        _require_id("answers", self.answers)
        _require("call", self.call, "an answer is never answered", holds=not self.call)


Envelope: TypeAlias = Targeted | Broadcast | Response
E = TypeVar("E", bound=Header)


def passed(envelope: E, here: CellPath) -> E:
    """Note on an envelope from a neighbour that it has come to this cell."""
    return attrs.evolve(envelope, route=(*envelope.route, here))


def answer_address(envelope: Targeted | Broadcast) -> Address:
    """Tell where the answer goes: to the source, or of a broadcast to the cell that it came from last.

    Each hop of a broadcast gathers for itself, so it writes its own `reply_to` into what it sends on.
    """
    cell = envelope.source.cell
    if isinstance(envelope, Broadcast) and len(envelope.route) > 1:
        cell = envelope.route[-2]
    return Address(cell, envelope.reply_to)


def answer(
    envelope: Targeted | Broadcast,
    *,
    id: bytes,  # noqa: A002 -- the header's own word
    source: Address,
    body: bytes,
    is_error: bool,
    to: Address | None = None,
) -> Response:
    """Make the answer of `source` to a call; it goes to `answer_address` unless `to` says otherwise."""
    return Response(
        id=id,
        method=envelope.method,
        context=envelope.context,
        source=source,
        route=(source.cell,),
        # The way back is no longer than the way here, so the hop limit never stops an answer.
        hops_max=max(envelope.hops_max, len(envelope.route)),
        budget_s=envelope.budget_s,
        server=envelope.server,
        key=envelope.key,
        epoch=envelope.epoch,
        body=body,
        target=to or answer_address(envelope),
        answers=envelope.id,
        is_error=is_error,
    )
