"""How the root's mirror is mended without being asked: how often, and how much at once.  Pure.

Cells tell again, in turn, of what has changed lately: that mends news that an older image of the root's store has not
heard.  The root asks, in turn, for what it has: that finds what changed long ago, and what no cell has any more.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import attrs

T = TypeVar("T")

US_PER_S: Final = 1_000_000
#: So many ids of servers are kept to be told again, at most: those that changed last.
LISTED_MAX: Final = 10_000
#: While more than that waits in the outbox, nothing is added to it: what waits is newer.
WAITING_MAX: Final = 256


@attrs.frozen(kw_only=True)
class Healing:
    """How a mirror is healed."""

    interval_s: int
    batch: int
    window_s: int


@attrs.frozen(kw_only=True)
class Turn:
    """Part of a run: these are told now, the others in turn."""

    chosen: tuple[str, ...]
    waiting: tuple[str, ...]
    wants_more: bool  # The list is at its end, and may be made anew, once a run.


def next_turn(waiting: tuple[str, ...], *, left: int) -> Turn:
    """Choose whom to tell of, `left` at most."""
    return Turn(chosen=waiting[:left], waiting=waiting[left:], wants_more=not waiting)


def shuffled(items: tuple[T, ...], uniform: Callable[[], float]) -> tuple[T, ...]:
    """Put items into an order of chance, so that the cells of a cloud do not all tell of the same first."""
    mixed = list(items)
    for last in range(len(mixed) - 1, 0, -1):
        other = int(uniform() * (last + 1))
        mixed[last], mixed[other] = mixed[other], mixed[last]
    return tuple(mixed)
