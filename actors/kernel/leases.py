"""Leases: who has conversations keeps them, and takes over what nobody keeps any more.

A lease is one counter for all that an owner has, which he raises for as long as he lives.  Whoever watches measures
with his own patience, by the clock of his own loop, how long a counter has stood still: so no wall clock needs to be
right, and none is compared with another's.  A takeover that was not called for does no harm: epochs decide who writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from protocol.errors import CellferryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from actors.kernel.ports import Events, Holder, Journals, Store

#: How long a lease holds that is not renewed.
LEASE_S: Final = 5.0
#: How often it is renewed, and the others' are looked at.  Whatever was renewed last just before its owner died is seen
#: so much later at most, and taken over a lease after that: within the lease and a second, with time left to do it.
TEND_S: Final = LEASE_S / 6
#: No look follows the last one sooner.
PAUSE_MIN_S: Final = 0.01
#: How long an orderly stop waits for the store, to give the lease up.
LET_GO_S: Final = 1.0
#: So many conversations are taken over at most before the own lease is renewed again.
TAKEN_MAX: Final = 32


@attrs.define
class _Seen:
    beats: int | None
    since_s: float


class Lookout:
    """What a watcher has seen of other owners' leases, by its own clock."""

    def __init__(self, owner: str) -> None:
        """Have seen nothing yet."""
        self._owner = owner
        self._seen: dict[str, _Seen] = {}

    def over(self, holders: Iterable[Holder], now_s: float) -> tuple[Holder, ...]:
        """Tell whose leases are over, now that these owners have open conversations."""
        others = [holder for holder in holders if holder.owner != self._owner]
        seen = {holder.owner: self._after(holder, now_s) for holder in others}
        self._seen = seen
        return tuple(
            holder
            for holder in others
            # One that was given up is over at once.
            if holder.beats is None or now_s - seen[holder.owner].since_s >= LEASE_S
        )

    def pause_s(self, now_s: float) -> float:
        """Tell how long to wait before the next look: at most until a lease is over that is not renewed till then."""
        due_s = (seen.since_s + LEASE_S - now_s for seen in self._seen.values())
        return max(PAUSE_MIN_S, min((due for due in due_s if 0 < due < TEND_S), default=TEND_S))

    def _after(self, holder: Holder, now_s: float) -> _Seen:
        known = self._seen.get(holder.owner)
        return known if known is not None and known.beats == holder.beats else _Seen(holder.beats, now_s)


class Leases:
    """The lease of one replica, and its watch over those of the others.

    `runs` names the conversations that it carries out; `adopt` is given each that it has to carry out from now on.
    """

    def __init__(
        self, *, store: Store, journals: Journals, events: Events, owner: str, runs: Callable[[], Collection[str]],
        adopt: Callable[[str], Any],
    ) -> None:  # fmt: skip
        self._store = store
        self._journals = journals
        self._events = events
        self._owner = owner
        self._runs = runs
        self._adopt = adopt
        self._lookout = Lookout(owner)

    async def inherit(self) -> None:
        """Take over at once what this slot had in an earlier life, and what this very life had when it was cut short.

        Nobody else has a right to it; and should that earlier life only have stood still, its epoch is over.
        """
        await self._store.transact(self._journals.keep, self._owner, is_first=True)
        for holder in await self._store.transact(self._journals.holders):
            if slot_of(holder.owner) == slot_of(self._owner):
                await self._take(holder, limit=None)
        self._events.emit("leases_watched", owner=self._owner)

    async def run(self) -> None:
        """Keep, look and take over, for ever; a store that is away is tried again."""
        while True:
            is_done = True
            try:
                is_done = await self._tend()
            except CellferryError as error:
                self._events.emit("leases_wait", error=str(error))
            if is_done:
                await anyio.sleep(self._lookout.pause_s(anyio.current_time()))

    async def let_go(self) -> None:
        """Give the lease up, in an orderly stop: the others need not wait until it is over."""
        self._events.emit("leases_left", owner=self._owner)
        with anyio.move_on_after(LET_GO_S, shield=True):
            try:
                await self._store.transact(self._journals.let_go, self._owner)
            except CellferryError as error:
                # It will be over in a while.
                self._events.emit("leases_wait", error=str(error))

    async def _tend(self) -> bool:
        """Do what is due; tell whether nothing of it is left."""
        holders = await self._store.transact(self._journals.holders)
        now_s = anyio.current_time()
        for mine in holders:
            if mine.owner == self._owner:
                await self._store.transact(self._journals.keep, self._owner)
                await self._pick_up(mine)
        is_done = True
        for holder in self._lookout.over(holders, now_s):
            is_done = await self._take(holder, limit=TAKEN_MAX) and is_done
        return is_done

    async def _take(self, holder: Holder, *, limit: int | None) -> bool:
        names = await self._store.transact(self._journals.held_by, holder.owner)
        for conversation in names[:limit]:
            if await self._store.transact(self._journals.take, conversation, owner=self._owner, holder=holder):
                self._events.emit("conversation_taken", conversation=conversation, of=holder.owner)
                self._adopt(conversation)
        return limit is None or len(names) <= limit

    async def _pick_up(self, mine: Holder) -> None:
        """Carry out what is this replica's and was never begun, for nobody heard that it was written."""
        if mine.count > len(self._runs()):
            for conversation in await self._store.transact(self._journals.held_by, self._owner):
                self._adopt(conversation)


def slot_of(owner: str) -> str:
    """Name the slot that an owner's incarnation is of; the same one may be several owners, one after the other."""
    return owner.partition("#")[0]
