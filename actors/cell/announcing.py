"""Tells the parent what a cell has, and notices children of which nothing is heard any more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import anyio

from actors.kernel.metrics import CHILDREN_MUTE, watched
from actors.store.records import load, save
from protocol.cell_path import Address, CellPath
from protocol.draft import Changes, Draft, need
from protocol.effects.tree import SEEN, view_of
from protocol.errors import CellferryError, StoreUnavailable
from protocol.messages.tree import AnnounceCapabilities, AnnounceCapacities, UpdateCapabilities, UpdateCapacities
from protocol.records import CellFreeze, Host, Neighbour
from protocol.requests import Done
from protocol.tree import Rules, View, configure

if TYPE_CHECKING:
    from actors.kernel.ports import Clock, Connection, Store
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment

#: How long it waits when what it says does not get out, at first and at most.
PAUSE_FIRST_S: Final = 0.2
PAUSE_MAX_S: Final = 10.0


class Announcing:
    """A cell's word to its parent.  All of it are casts: the next one makes up for what got lost."""

    def __init__(self, *, post: Post, store: Store, clock: Clock, rules: Rules | None) -> None:
        """Without rules nothing is told by itself, only when it is asked for."""
        self._post = post
        self._store = store
        self._clock = clock
        self._rules = rules
        self._woken = anyio.Event()
        self._has_news = False
        self._mute: frozenset[str] = frozenset()

    # --- what children tell ------------------------------------------------------------------------------------

    def note(self, changes: Changes) -> None:
        """Hear of a change, before it is stored: what is known of children and hosts is to go on upward at once.

        What servers take of hosts is told now and then: of each of them it would be told too often.
        """
        rows = changes.puts + changes.drops
        self._has_news = self._has_news or any(isinstance(row, Neighbour | Host | CellFreeze) for row in rows)

    def wake(self) -> None:
        """Hear that what was noted is stored."""
        if self._has_news:
            self._has_news = False
            self._woken.set()

    # --- what the parent asks ----------------------------------------------------------------------------------

    async def announce_capabilities(self, _request: AnnounceCapabilities, _moment: Moment) -> Done:
        """Tell the parent what the cells here can do."""
        await self._tell_capabilities(await self._look())
        return Done()

    async def announce_capacities(self, _request: AnnounceCapacities, _moment: Moment) -> Done:
        """Tell the parent what the cells here have left."""
        await self._tell_capacities(await self._look())
        return Done()

    # --- by itself ---------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Take over what the settings say; a database that is away is waited for."""
        assert self._rules is not None, "there is nothing to take over"
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                return await self._store.transact(_configure, self._rules, self._clock.now_us())
            except StoreUnavailable as error:
                self._post.events.emit("store_waited_for", cell=str(self._post.me.cell), error=str(error))
                await anyio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def run(self) -> None:
        """Ask the children once; then tell the parent at once, whenever there is news, and now and then, for ever."""
        here = str(self._post.me.cell)
        with watched(self._post.events.meters, CHILDREN_MUTE, lambda: {(here,): float(len(self._mute))}):
            await self._announce()

    async def _announce(self) -> None:
        assert self._rules is not None, "nothing says when"
        most_s = self._rules.announce_s or math.inf
        has_asked, pause_s = False, PAUSE_FIRST_S
        while True:
            self._woken = anyio.Event()
            try:
                seen = await self._look()
                self._note_silence(seen)
                if not has_asked:
                    await self._ask(seen)
                    has_asked = True
                await self._tell_capabilities(seen)
                await self._tell_capacities(seen)
            except CellferryError as error:
                # As a cell starts its link may not be there yet.
                self._post.events.emit("announcement_lost", cell=str(self._post.me.cell), error=str(error))
                wait_s, pause_s = min(pause_s, most_s), min(2 * pause_s, PAUSE_MAX_S)
            else:
                wait_s, pause_s = most_s, PAUSE_FIRST_S
            with anyio.move_on_after(wait_s):
                await self._woken.wait()

    async def _ask(self, seen: View) -> None:
        for child in seen.children:
            for request in (AnnounceCapabilities(), AnnounceCapacities()):
                await self._post.cast(Address(CellPath.parse(child.cell), "cell"), request)

    def _note_silence(self, seen: View) -> None:
        """Name each child once when it has become mute, and once when it is heard again."""
        here = str(seen.here)
        for cell in sorted(seen.mute - self._mute):
            self._post.events.emit("child_mute", cell=here, child=cell, mute_child_s=self._mute_child_s)
        for cell in sorted((self._mute - seen.mute).intersection(row.cell for row in seen.children)):
            self._post.events.emit("child_heard_again", cell=here, child=cell)
        self._mute = seen.mute

    @property
    def _mute_child_s(self) -> int:
        return self._rules.profile.mute_child_s if self._rules else 0

    async def _look(self) -> View:
        return await self._store.transact(_look, str(self._post.me.cell), self._clock.now_us())

    async def _tell_capabilities(self, seen: View) -> None:
        if seen.parent is not None:
            request = UpdateCapabilities(cell=seen.here, capabilities=seen.capabilities())
            await self._post.cast(Address(seen.parent, "cell"), request)

    async def _tell_capacities(self, seen: View) -> None:
        if seen.parent is not None:
            request = UpdateCapacities(cell=seen.here, capacities=seen.capacities())
            await self._post.cast(Address(seen.parent, "cell"), request)


def _configure(connection: Connection, rules: Rules, now_us: int) -> None:
    known = [row for row in load(connection, (need(Neighbour),)) if isinstance(row, Neighbour)]
    save(connection, configure(rules, known, now_us=now_us))


def _look(connection: Connection, cell: str, now_us: int) -> View:
    return view_of(Draft(load(connection, SEEN), SEEN), cell=cell, now_us=now_us)
