"""A host tells its cell now and then that it is alive, and answers what its cell asks about its machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.kernel.periodic import every
from protocol.messages.nodes import HostUptime, ShowUptime
from protocol.messages.services import ReportService

if TYPE_CHECKING:
    from actors.compute.drivers.base import Driver
    from actors.kernel.post import Post
    from protocol.cell_path import Address
    from protocol.effects.registry import Moment

#: How long a report waits for its answer; the next one says the same again.
BUDGET_S: Final = 5.0


class Reporting:
    """The host's service, as its cell sees it.  `every_s` of 0: nothing is told after the start."""

    def __init__(self, host: str, *, post: Post, driver: Driver, cell: Address, every_s: float) -> None:
        self._host = host
        self._post = post
        self._driver = driver
        self._cell = cell
        self._every_s = every_s

    async def run(self) -> None:
        """Report for ever."""
        if self._every_s:
            await every(self._every_s, self._report, events=self._post.events, waits="report_waits", host=self._host)

    async def _report(self) -> None:
        await self._post.call(self._cell, ReportService(host=self._host), budget_s=BUDGET_S)

    async def uptime(self, _request: ShowUptime, _moment: Moment) -> HostUptime:
        """Ask the hypervisor's machine."""
        found = await self._driver.uptime()
        return HostUptime(host=self._host, up_s=found.up_s, users=found.users, loads=found.loads)
