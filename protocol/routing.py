"""Where an envelope goes next, and whether a neighbour may have sent it.  Pure: no queue, no clock, no log.

A route is the cells that an envelope has passed, that of its source first.  An envelope is born with its source's
cell as its route.  A cell that takes one from a neighbour's queue first asks `admit`, with the route as it came; then
it appends itself (`protocol.envelope.passed`) and asks `route` or `next_hops`, with the route that ends here.
"""

from collections.abc import Collection
from itertools import pairwise
from typing import Final, TypeAlias

import attrs

from protocol.cell_path import CellPath
from protocol.envelope import Direction
from protocol.errors import CellferryError, Forbidden, RouteInconsistent, TooManyHops, UnknownCell

MARGIN_SHARE: Final = 0.05
MARGIN_MIN_S: Final = 0.010


@attrs.frozen
class Deliver:
    """The envelope is for this cell."""


@attrs.frozen(kw_only=True)
class Forward:
    """The envelope goes on to a neighbour."""

    to: CellPath


@attrs.frozen(kw_only=True)
class Refuse:
    """The envelope can go nowhere; a call is answered with the error, anything else is counted."""

    error: CellferryError


Decision: TypeAlias = Deliver | Forward | Refuse


def route(
    *,
    here: CellPath,
    target: CellPath,
    route: tuple[CellPath, ...],
    hops_max: int,
    neighbours: Collection[CellPath],
) -> Decision:
    """Decide where an envelope for one address goes: up to the common ancestor, then down.

    `hops_max` counts the source's cell, so an envelope reaches cells that are `hops_max - 1` edges away.
    """
    assert route[-1] == here, "a cell appends itself before it asks"
    too_many = TooManyHops(at=str(here), hops_max=hops_max)
    # Only a neighbour that ignores the limit sends on what is beyond it; that runs nowhere, not even at its target.
    if len(route) > hops_max:
        return Refuse(error=too_many)
    if here == target:
        return Deliver()
    if here.root != target.root:
        return Refuse(error=_inconsistent(here, target, reason="it is in the tree of another root"))
    to = _towards(here, target)
    if to in route:
        return Refuse(error=_inconsistent(here, target, reason=f"the route leads back to {to}"))
    if to not in neighbours:
        return Refuse(error=UnknownCell(cell=str(to), at=str(here)))
    return Refuse(error=too_many) if len(route) == hops_max else Forward(to=to)


def _towards(here: CellPath, target: CellPath) -> CellPath:
    depth = len(here.names)
    return CellPath(target.names[: depth + 1] if here.is_above(target) else here.names[: depth - 1])


def _inconsistent(here: CellPath, target: CellPath, *, reason: str) -> RouteInconsistent:
    return RouteInconsistent(at=str(here), target=str(target), reason=reason)


def next_hops(
    *,
    here: CellPath,
    direction: Direction,
    route: tuple[CellPath, ...],
    hops_max: int,
    parent: CellPath | None,
    children: tuple[CellPath, ...],
) -> tuple[CellPath, ...]:
    """Tell which neighbours a broadcast goes on to, in their configured order; never back to where it came from.

    A broadcast at its hop limit is no error: it is only shorter.
    """
    assert route[-1] == here, "a cell appends itself before it asks"
    if len(route) >= hops_max:
        return ()
    ahead = children if direction is Direction.DOWN else () if parent is None else (parent,)
    return tuple(cell for cell in ahead if cell not in route)


def admit(
    *,
    here: CellPath,
    via: CellPath | None,
    route: tuple[CellPath, ...],
    direction: Direction | None = None,
    method: str = "a message",
) -> Forbidden | None:
    """Tell why an envelope may not have come as it did; None when it may.

    `via` is the neighbour whose queue it came by (its broker lets nobody else write there), or None when an actor of
    this cell sent it; `route` is as it came, without this cell.  A cell thus answers for what it sends on: a neighbour
    cannot pretend that an envelope came by another neighbour, nor send one round in circles.

    `direction` is that of a broadcast, or the declared one of a method: every edge of the way must have led there.
    So a child may not send what only parents send, nor start a broadcast down in the cells of its siblings.
    """
    if via is None:
        reason = None if route in ((), (here,)) else "its route is not that of an actor of this cell"
    else:
        reason = _why_not(here, via, route) or _why_not_towards(direction, (*route, here))
    return None if reason is None else Forbidden(sender=str(via or here), method=method, reason=reason)


def _why_not(here: CellPath, via: CellPath, route: tuple[CellPath, ...]) -> str | None:
    if not route or route[-1] != via:
        return "its route does not end in the neighbour that sent it"
    way = (*route, here)
    if len(set(way)) != len(way):
        return "its route enters a cell twice"
    if not all(cell.is_neighbour(following) for cell, following in pairwise(way)):
        return "its route leaves the edges of the tree"
    return None


def _why_not_towards(direction: Direction | None, way: tuple[CellPath, ...]) -> str | None:
    if direction is None:
        return None
    first, last = way[0], way[-1]
    upper, lower = (last, first) if direction is Direction.UP else (first, last)
    # A way over edges that enters no cell twice leads from a cell to one above or below it straight.
    return None if upper.is_above(lower) else f"its route does not lead {direction}"


def inner_budget(budget_s: float, *, spent_s: float = 0.0) -> float:
    """Tell how long the next hop may wait, given this one's budget and what it has spent of it.

    That is `left - max(5 % of left, 10 ms)` with `left = budget - spent`, never negative: so the time-out of an inner
    hop comes, and its answer travels back, before the outer one gives up.  Zero means that the next hop is too late.
    """
    left_s = budget_s - max(spent_s, 0.0)
    return max(left_s - max(left_s * MARGIN_SHARE, MARGIN_MIN_S), 0.0)
