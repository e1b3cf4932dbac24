"""One of Nova's measured faults: what goes wrong, how it ends there, how it is provoked here, how it must end.

Numbers are those of the project's notes on Nova's cross-cell resize, where each was provoked and measured.  The stories
are in the modules beside this one; `trial.py` plays them, `docs/reference/faults.md` shows what came of each.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from enum import StrEnum
from typing import Any, Final

import attrs

from sim import Scenario

#: What a story returns: how it looked while the trouble lasted; empty when that ended by itself.
Play = Callable[[Scenario], Coroutine[Any, Any, str]]

SERVER: Final = "web"
SOURCE, TARGET, OTHER = "h1", "h2", "h3"
HOSTS: Final[Mapping[str, str]] = {SOURCE: "api!c1", TARGET: "api!c2", OTHER: "api!c3"}
SOURCE_CELL, TARGET_CELL = HOSTS[SOURCE], HOSTS[TARGET]


class Begin(StrEnum):
    """How the server is when the story begins."""

    ACTIVE = "active"
    RESIZED = "resized"  # A move waits for confirm or revert.


class End(StrEnum):
    """How a fault must end."""

    UNDONE = "undone"  # The world is as it was; the user hears the first cause.
    GIVEN_UP = "given up"  # As undone, but of what was asked of an open move: that stays open.
    DONE = "done"  # As if nothing had happened.
    PARKED = "parked, then done"  # It waits, says for what, and ends by itself when the trouble does.
    OWED = "owed, then done"  # The user has his server; what is left is cleaned up when the trouble ends.
    REFUSED = "refused"  # At the door: nothing has changed.
    GONE = "gone"  # The server is deleted, with all that was its own.
    ONE_WINS = "one wins"  # Of two users one is served, the other is refused.


class Part(StrEnum):
    """The tables of the page."""

    RESIZE = "Resize and cold migrate"
    CONFIRM = "Confirm"
    REVERT = "Revert"
    RACES = "Races, and what users do in VERIFY_RESIZE"
    DELETES = "Deletes at bad moments"
    DEATHS = "The conductor dies"


@attrs.frozen(kw_only=True)
class Entry:
    """A fault that is provoked here."""

    number: str
    part: Part
    fault: str
    nova: str
    here: str
    end: End
    play: Play
    begin: Begin
    is_volume_backed: bool = False
    hosts: Mapping[str, str] = attrs.field(factory=lambda: dict(HOSTS))
    memory_mb: Mapping[str, int] = attrs.field(factory=dict)
    #: The operations that in fine weather come to the same end; None: those of the story that succeeded.
    like: tuple[str, ...] | None = None
    #: Why exactly this cannot happen here, when what is provoked is only the nearest thing.
    why_nearest: str = ""


@attrs.frozen(kw_only=True)
class Missing:
    """A fault that is not provoked here, and why."""

    number: str
    part: Part
    fault: str
    nova: str
    why: str


class Chapter:
    """Collects the faults of one part, in their order."""

    def __init__(self, part: Part, *, begin: Begin) -> None:
        self.part = part
        self.begin = begin
        self.faults: list[Entry | Missing] = []

    def fault(self, number: str, what: str, *, nova: str, here: str, end: End, **more: Any) -> Callable[[Play], Play]:
        """Enter a story."""

        def enter(play: Play) -> Play:
            begin = more.pop("begin", self.begin)
            self.faults.append(
                Entry(
                    number=number, part=self.part, fault=what, nova=nova, here=here, end=end, play=play, begin=begin,
                    **more,
                )
            )  # fmt: skip
            return play

        return enter

    def missing(self, number: str, what: str, *, nova: str, why: str) -> None:
        """Enter a fault that is not provoked yet."""
        self.faults.append(Missing(number=number, part=self.part, fault=what, nova=nova, why=why))
