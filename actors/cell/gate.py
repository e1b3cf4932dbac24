"""The gate of a cell's router: who may send what over which edge, how much of it, and whether it came before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs

from protocol import authority
from protocol.envelope import Targeted, passed
from protocol.errors import Doubled, Forbidden, Overflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.cell_path import CellPath
    from protocol.envelope import Envelope
    from protocol.errors import CellferryError

#: How many envelopes of a neighbour are remembered, so that one that comes again is known.
SEEN_MAX: Final = 4096


@attrs.frozen(kw_only=True)
class Guard:
    """What a cell asks of its neighbours beyond what it asks of all: who they are to their broker, and how fast."""

    #: Who may write to the queue of a neighbour, by the names that the broker knows; none: the broker knows none.
    users: Callable[[CellPath], frozenset[str]] = lambda _neighbour: frozenset()
    limits: authority.Limits = authority.LIMITS
    #: So many envelopes a neighbour may send each second; 0: any number.
    per_s_max: float = 0.0
    #: Whether what has come already is refused, where no key tells it from new.
    refuses_doubles: bool = False


UNGUARDED: Final = Guard()


@attrs.define
class _Edge:
    """What is known of a neighbour's traffic: what it may still send at once, and what it has sent."""

    left: float
    as_of_s: float
    seen: dict[bytes, None] = attrs.field(factory=dict)


class Gate:
    """Lets an envelope in, or says why not."""

    def __init__(self, here: CellPath, guard: Guard) -> None:
        self._here = here
        self._guard = guard
        self._edges: dict[CellPath, _Edge] = {}

    def tune(self, guard: Guard) -> None:
        """Ask that of neighbours from now on; what is known of their traffic stays."""
        self._guard = guard

    def check_sender(self, via: CellPath | None, sender: str) -> CellferryError | None:
        """Tell why a frame may not have come by a queue, of which the broker says who has sent it."""
        users = self._guard.users(via) if via is not None else None
        if not users or sender in users:
            return None
        reason = f"its sender is {sender or 'nobody'} to the broker, and not a user of that cell"
        return Forbidden(sender=str(via), method="a frame", reason=reason)

    def admit(self, envelope: Envelope, *, via: CellPath | None) -> Envelope:
        """Give the envelope as it goes on from here; raise why it may not have come as it did."""
        refusal = authority.admit(envelope, here=self._here, via=via, limits=self._guard.limits)
        if refusal is None and via is not None:
            refusal = self._too_much(via) or self._doubled(envelope, via)
        if refusal is not None:
            raise refusal
        return envelope if via is None else passed(envelope, self._here)

    def _edge(self, via: CellPath) -> _Edge:
        edge = self._edges.get(via)
        if edge is None:
            edge = self._edges[via] = _Edge(left=self._guard.per_s_max, as_of_s=anyio.current_time())
        return edge

    def _too_much(self, via: CellPath) -> CellferryError | None:
        """A bucket that holds what may come in a second, and fills as fast."""
        rate = self._guard.per_s_max
        if not rate:
            return None
        edge, now_s = self._edge(via), anyio.current_time()
        edge.left = min(rate, edge.left + (now_s - edge.as_of_s) * rate)
        edge.as_of_s = now_s
        if edge.left < 1:
            return Overflow(what=f"what {via} may send in a second", limit=int(rate))
        edge.left -= 1
        return None

    def _doubled(self, envelope: Envelope, via: CellPath) -> CellferryError | None:
        # An answer is taken once by who waits for it, a broadcast by the router, a command by its key: and they may
        # have to come again.
        if not self._guard.refuses_doubles or envelope.key is not None or not isinstance(envelope, Targeted):
            return None
        seen = self._edge(via).seen
        if envelope.id in seen:
            return Doubled(sender=str(via), method=envelope.method, id=envelope.id.hex())
        seen[envelope.id] = None
        if len(seen) > SEEN_MAX:
            del seen[next(iter(seen))]
        return None

    def forget(self, envelope: Envelope) -> None:
        """Take an envelope as new if it comes again: it could not be passed on."""
        for edge in self._edges.values():
            edge.seen.pop(envelope.id, None)
