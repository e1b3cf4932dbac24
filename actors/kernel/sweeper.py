"""Has the receivers of closed conversations forget them, once no older one is open any more.

A conversation that closes while an older one is open leaves its keys behind: they may only go when nothing that is
still under way could be mistaken for newer.  What is away now is asked again later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from actors.kernel.fences import Fences
from actors.kernel.post import Stamp
from protocol.errors import CellferryError
from protocol.requests import Close
from protocol.saga import Plan, receivers

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.kernel.ports import Journals, Store
    from actors.kernel.post import Post
    from protocol.cell_path import Address
    from protocol.journal import Journal
    from protocol.states import Goal

BUDGET_S: Final = 30.0
#: How often it is looked for what another conductor left that has died and does not come back.
IDLE_S: Final = 20.0


class Sweeper:
    """Sweeps after the conversations of all conductors that share a journal; two that do so at once do no harm."""

    def __init__(
        self, *, post: Post, store: Store, journals: Journals, plan_of: Callable[[Goal], Plan],
        pause_s: Callable[[int], float],
    ) -> None:  # fmt: skip
        self._post = post
        self._store = store
        self._journals = journals
        self._plan_of = plan_of
        self._pause_s = pause_s
        self._woken = anyio.Event()
        self._fences = Fences(post)

    def wake(self) -> None:
        """Say that there may be something to sweep."""
        self._woken.set()

    async def run(self) -> None:
        """Sweep for ever: what a conductor left that died, then whatever is closed; what failed, again later."""
        tries = 0
        while True:
            self._woken = anyio.Event()
            try:
                is_swept = await self._sweep()
            except CellferryError as error:
                self._post.events.emit("sweep_waits", error=str(error))
                is_swept = False
            tries = 0 if is_swept else tries + 1
            with anyio.move_on_after(IDLE_S if is_swept else self._pause_s(tries)):
                await self._woken.wait()

    async def _sweep(self) -> bool:
        """Sweep what may be swept now; tell whether nothing of it is left."""
        lowest_open = await self._store.transact(self._journals.lowest_open, but="")
        journals = await self._store.transact(self._journals.unswept, lowest_open)
        # Told once, a receiver forgets all that is behind the lowest open epoch, whosever it is.
        told = {receiver: journal for journal in journals for receiver in self._receivers(journal)}
        away: set[Address] = set()
        async with anyio.create_task_group() as tasks:
            for receiver, journal in told.items():
                tasks.start_soon(self._tell, receiver, journal, lowest_open, away)
        for journal in journals:
            if away.isdisjoint(self._receivers(journal)):
                await self._store.transact(self._journals.swept, journal.conversation)
        return not away

    def _receivers(self, journal: Journal) -> tuple[Address, ...]:
        return receivers(self._plan_of(journal.goal), journal)

    async def _tell(self, receiver: Address, journal: Journal, lowest_open: int, away: set[Address]) -> None:
        request = Close(server=journal.server, conversation=journal.conversation, lowest_open=lowest_open)
        try:
            # Epoch 0 fences nobody: the server may be another conversation's by now.
            await self._post.call(receiver, request, stamp=Stamp(server=journal.server), budget_s=BUDGET_S)
        except CellferryError as error:
            if await self._fences.is_fenced(receiver):
                return  # It forgets everything when its fence is lifted.
            self._post.events.emit("sweep_waits", receiver=str(receiver), error=str(error))
            away.add(receiver)
