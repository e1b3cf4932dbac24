"""How a cell's links stand: those that are down since when and why, as its router finds them, told to its own actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs

from actors.kernel.handlers import Ensuring
from actors.kernel.ports import Outage
from actors.store.records import carry_out
from protocol.authority import LINK
from protocol.cell_path import Address
from protocol.errors import CellferryError, TransportLost
from protocol.messages.tree import LinkState, ShowCell, ShowLinks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.kernel.handlers import Handler
    from actors.kernel.metrics import Readings
    from actors.kernel.ports import Connection, Events, Wire
    from actors.kernel.post import Post
    from protocol.cell_path import CellPath
    from protocol.effects.registry import Moment
    from protocol.messages.tree import CellState

#: How long a cell's own link may take to say how it stands; it has nothing to ask anybody for that.
BUDGET_S: Final = 1.0


@attrs.frozen
class _Failed:
    """Since when nothing can be sent over a link, and whether the wire knew that by itself."""

    outage: Outage
    is_known_to_wire: bool


class Links:
    """What a router knows of its links: from its wire, and from what became of what it sent."""

    def __init__(self, here: CellPath, *, wire: Wire, events: Events) -> None:
        self._here = here
        self._wire = wire
        self._events = events
        self._failed: dict[CellPath, _Failed] = {}

    def failed(self, neighbour: CellPath, error: CellferryError) -> None:
        """Note that something could not be sent; that the link is down is told the first time only."""
        if neighbour in self._failed:
            return
        known = self._wire.outage(neighbour)
        outage = known or Outage(since_s=anyio.current_time(), reason=_reason(error))
        self._failed[neighbour] = _Failed(outage, is_known_to_wire=known is not None)
        self._events.emit("link_down", cell=str(self._here), neighbour=str(neighbour), reason=outage.reason)

    def passed(self, neighbour: CellPath) -> None:
        """Note that something was sent."""
        if (failed := self._failed.pop(neighbour, None)) is not None:
            down_s = round(anyio.current_time() - failed.outage.since_s, 3)
            self._events.emit("link_up", cell=str(self._here), neighbour=str(neighbour), down_s=down_s)

    def look(self, neighbours: Iterable[CellPath]) -> tuple[LinkState, ...]:
        """Tell how each link stands now."""
        now_s = anyio.current_time()
        found = {neighbour: self._outage(neighbour) for neighbour in neighbours}
        return tuple(
            LinkState(cell=neighbour)
            if outage is None
            else LinkState(cell=neighbour, down_s=max(0.0, now_s - outage.since_s), reason=outage.reason)
            for neighbour, outage in found.items()
        )

    def readings(self, neighbours: Iterable[CellPath]) -> Readings:
        """Tell of each link whether it is up, for the figures."""
        here = str(self._here)
        return {(here, str(neighbour)): float(self._outage(neighbour) is None) for neighbour in neighbours}

    def _outage(self, neighbour: CellPath) -> Outage | None:
        if (outage := self._wire.outage(neighbour)) is not None:
            return outage
        failed = self._failed.get(neighbour)
        # What the wire knew of is over when the wire says so, though nothing was sent there since.
        return None if failed is None or failed.is_known_to_wire else failed.outage


def _reason(error: CellferryError) -> str:
    return error.reason if isinstance(error, TransportLost) else str(error)


class Telling:
    """How the cell's own actor tells of its links: it asks them each time, for they are nobody's records."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def handlers(self) -> tuple[Handler, ...]:
        """List what is asked of it, in place of the effect alone."""
        return (Ensuring(request=ShowCell, ensure=self.look, settle=_shown, is_resumed=False),)

    async def look(self, _request: ShowCell, _moment: Moment) -> tuple[LinkState, ...] | None:
        """Ask the cell's link how it stands; nothing is known of one that does not answer."""
        to = Address(self._post.me.cell, LINK)
        try:
            return (await self._post.call(to, ShowLinks(), budget_s=BUDGET_S)).links
        except CellferryError:
            return None


def _shown(connection: Connection, request: ShowCell, links: tuple[LinkState, ...] | None, moment: Moment) -> CellState:
    _no_changes, state = carry_out(connection, request, moment)
    return attrs.evolve(state, links=links)
