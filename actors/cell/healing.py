"""What mends the root's mirror in the background: cells tell again what changed lately, the root asks for what it has.

Both in small turns, for ever: so a root whose store was restored from an older image, or has lost rows, has its mirror
back after some time, whoever is away meanwhile; and a server that no cell has any more is found out, and shown so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from actors.kernel.periodic import every
from actors.store.mirrors import MISSING, audit_page, changed_since, tell_again
from actors.store.outbox import count
from protocol.cell_path import Address, CellPath
from protocol.errors import CellferryError
from protocol.healing import US_PER_S, WAITING_MAX, next_turn, shuffled
from protocol.messages.mirror import NoteMissing
from protocol.messages.sync import AuditServers

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.kernel.ports import Clock, Random, Store
    from actors.kernel.post import Post
    from protocol.healing import Healing
    from protocol.messages.sync import Held


class Healer:
    """Has one cell tell the root again of what changed lately, in turn."""

    def __init__(
        self, *, post: Post, store: Store, clock: Clock, random: Random, healing: Healing, wake: Callable[[], None]
    ) -> None:  # fmt: skip
        self._post = post
        self._store = store
        self._clock = clock
        self._random = random
        self._healing = healing
        self._wake = wake
        self._waiting: tuple[str, ...] = ()

    async def run(self) -> None:
        """Heal for ever."""
        here = str(self._post.me.cell)
        await every(
            self._healing.interval_s, self._heal_if_heard, events=self._post.events, waits="healing_waits", cell=here
        )  # fmt: skip

    async def _heal_if_heard(self) -> None:
        if await self._store.transact(count) <= WAITING_MAX:
            await self.heal()

    async def heal(self) -> int:
        """Tell of some servers again; whom nothing is known of any more gives its place to the next."""
        left, is_listed = self._healing.batch, False
        while left:
            turn = next_turn(self._waiting, left=left)
            if turn.wants_more and is_listed:
                break
            if turn.wants_more:
                self._waiting, is_listed = await self._list(), True
                if not self._waiting:
                    break
                continue
            self._waiting = turn.waiting
            left -= await self._store.transact(tell_again, turn.chosen, str(self._post.me.cell))
        self._wake()
        return self._healing.batch - left

    async def _list(self) -> tuple[str, ...]:
        since_us = self._clock.now_us() - self._healing.window_s * US_PER_S
        return shuffled(await self._store.transact(changed_since, since_us), self._random.uniform)


class Auditor:
    """Has the root ask cells, in turn, whether they have what it has of them."""

    def __init__(self, *, post: Post, store: Store, healing: Healing) -> None:
        self._post = post
        self._store = store
        self._healing = healing
        self._last = ""

    async def run(self) -> None:
        """Ask for ever."""
        here = str(self._post.me.cell)
        await every(self._healing.interval_s, self.audit, events=self._post.events, waits="healing_waits", cell=here)

    async def audit(self) -> None:
        """Ask for some servers, side by side in all their cells; a cell that is away is asked in its next turn."""
        page = await self._store.transact(audit_page, self._last, self._healing.batch)
        self._last = page.last
        async with anyio.create_task_group() as tasks:
            for cell, held in page.held.items():
                tasks.start_soon(self._ask, cell, held)

    async def _ask(self, cell: str, held: tuple[Held, ...]) -> None:
        try:
            audited = await self._post.call(Address(CellPath.parse(cell), "cell"), AuditServers(held=held))
            for each in held:
                if each.server in audited.lacking and each.version != MISSING:
                    self._post.events.emit("server_missing", server=each.server, cell=cell)
                    await self._post.call(self._post.me, _missing(each, cell))
        except CellferryError as error:
            self._post.events.emit("audit_waits", cell=cell, error=str(error))


def _missing(held: Held, cell: str) -> NoteMissing:
    return NoteMissing(server=held.server, cell=cell, generation=held.generation, version=held.version)
