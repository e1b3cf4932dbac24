"""A cell notes, once a period, which servers were on its hosts: what usage is counted from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from protocol.errors import CellferryError
from protocol.messages.histories import AuditUsage

if TYPE_CHECKING:
    from actors.kernel.ports import Clock
    from actors.kernel.post import Post

BUDGET_S: Final = 30.0
US_A_S: Final = 1_000_000


class Auditing:
    """Asks its own cell for the audit of the last period that is over.  `every_s` of 0: never.

    Periods begin where the clock says, and not where a process started: replicas, and those that come after, audit the
    same ones, and each is audited once.
    """

    def __init__(self, *, post: Post, clock: Clock, every_s: int) -> None:
        self._post = post
        self._clock = clock
        self._length_us = every_s * US_A_S

    async def run(self) -> None:
        """Audit for ever."""
        while self._length_us:
            end_us = self._clock.now_us() // self._length_us * self._length_us
            request = AuditUsage(begin_us=end_us - self._length_us, end_us=end_us)
            try:
                await self._post.call(self._post.me, request, budget_s=BUDGET_S)
            except CellferryError as error:
                self._post.events.emit("audit_waits", cell=str(self._post.me.cell), error=str(error))
            left_us = end_us + self._length_us - self._clock.now_us()
            await anyio.sleep(max(1.0, left_us / US_A_S))
