"""Sends what transactions have written into the outbox, until each receiver itself has acknowledged it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import anyio

from actors.kernel.metrics import OUTBOX_LAG, OUTBOX_ROWS, watched
from actors.kernel.post import Stamp
from protocol.errors import CellferryError, revive
from protocol.errors_wire import decode_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.kernel.ports import Connection, Outgoing, Store
    from actors.kernel.post import Post

BUDGET_S: Final = 10.0
PAUSE_FIRST_S: Final = 0.2
#: So long news lies before it goes: most is followed by newer news of the same, and need not be told at all.
LINGER_S: Final = 0.2
PAUSE_MAX_S: Final = 10.0


class Pump:
    """Empties one outbox, in order; a message that is not acknowledged holds up those behind it."""

    def __init__(
        self, *, post: Post, store: Store, waiting: Callable[[Connection], tuple[Outgoing, ...]],
        retire: Callable[[Connection, str], None], look_s: float = math.inf,
    ) -> None:  # fmt: skip
        """Look by itself every `look_s`: what another replica has left nobody wakes this one for."""
        self._post = post
        self._store = store
        self._waiting = waiting
        self._retire = retire
        self._look_s = look_s
        self._head, self._since_s, self._count = (
            "",
            0.0,
            0,
        )  # What is sent first, since when, of how many.
        self._woken = anyio.Event()

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send for ever."""
        meters, cell = self._post.events.meters, str(self._post.me.cell)
        with (
            watched(meters, OUTBOX_LAG, lambda: {(cell,): self._lag_s()}),
            watched(meters, OUTBOX_ROWS, lambda: {(cell,): float(self._count)}),
        ):
            await self._pump()

    async def _pump(self) -> None:
        pause_s = PAUSE_FIRST_S
        while True:
            self._woken = anyio.Event()
            try:
                rows = await self._store.transact(self._waiting)
                self._note(rows)
                for row in rows:
                    await self._send(row)
                pause_s = PAUSE_FIRST_S
                if not rows:
                    with anyio.move_on_after(self._look_s):
                        await self._woken.wait()
                await anyio.sleep(LINGER_S)
            except CellferryError as error:
                self._post.events.emit("outbox_waits", actor=str(self._post.me), error=str(error), pause_s=pause_s)
                await anyio.sleep(pause_s)
                pause_s = min(PAUSE_MAX_S, 2 * pause_s)

    def _note(self, rows: tuple[Outgoing, ...]) -> None:
        head = rows[0].id if rows else ""
        if head != self._head:
            self._head, self._since_s = head, anyio.current_time()
        self._count = len(rows)

    def _lag_s(self) -> float:
        return anyio.current_time() - self._since_s if self._head else 0.0

    async def _send(self, row: Outgoing) -> None:
        envelope = self._post.targeted(
            row.target, row.method, row.body, stamp=Stamp(server=row.server, key=row.key), budget_s=BUDGET_S
        )
        response = await self._post.ask(envelope)
        if response.is_error:
            error = revive(decode_error(response.body))
            if error.is_retryable:
                raise error
            # It will never be taken: keeping it would hold up all that comes after it.
            self._post.events.emit("outbox_refused", to=str(row.target), method=row.method, error=str(error))
        await self._store.transact(self._retire, row.id)
        self._count -= 1
