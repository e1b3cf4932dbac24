"""What a diagram shows: lanes, and from top to bottom arrows between them, marks on them, and bars along them."""

from enum import StrEnum
from typing import Final

import attrs

USERS: Final = "users"


class Fate(StrEnum):
    """What became of a message."""

    ARRIVED = "arrived"
    LOST = "lost"
    DOUBLED = "doubled"  # A further copy of one that had arrived before.
    OPEN = "open"  # Still on its way where the diagram ends, or nobody knows.


class MarkKind(StrEnum):
    """What a mark says of its lane."""

    FAULT = "fault"
    CRASH = "crash"
    START = "start"
    NOTE = "note"  # Something that happened there.
    ERROR = "error"  # Something that failed there.
    SKIPPED = "skipped"  # What is left out here, for it went as on a good day.
    BREACH = "breach"


class BarKind(StrEnum):
    """What lasts along a lane."""

    GUEST = "guest"
    DOWN = "down"
    PAUSED = "paused"


@attrs.frozen(kw_only=True)
class Lane:
    """One who takes part."""

    process: str
    title: str
    detail: str = ""


@attrs.frozen(kw_only=True)
class Arrow:
    """A message: `begin` and `end` are the numbers of the history's lines; no end: it did not arrive."""

    begin: int
    begin_s: float
    end: int | None
    end_s: float | None
    source: str
    target: str
    text: str
    epoch: int = 0
    fate: Fate = Fate.ARRIVED
    is_answer: bool = False
    is_undo: bool = False
    is_error: bool = False


@attrs.frozen(kw_only=True)
class Mark:
    """Something that happened on a lane (of no lane: it concerns all)."""

    begin: int
    begin_s: float
    lane: str
    kind: MarkKind
    text: str


@attrs.frozen(kw_only=True)
class Bar:
    """Something that lasted; no end: it still does where the diagram ends."""

    begin: int
    end: int | None
    lane: str
    kind: BarKind
    server: str = ""


@attrs.frozen(kw_only=True)
class Picture:
    """All of it, in the order of the history."""

    title: str
    lanes: tuple[Lane, ...]
    items: tuple[Arrow | Mark, ...]
    bars: tuple[Bar, ...]
    epochs: dict[int, str]  # What was done under each.
