"""A host tells its cell now and then what has gone over the ports of its servers, as its hypervisor counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.compute.lookout import boots_of
from actors.kernel.periodic import every
from protocol.messages.usage import Reading, ReportTraffic

if TYPE_CHECKING:
    from actors.compute.drivers.base import Driver, GuestState
    from actors.kernel.post import Post
    from protocol.cell_path import Address

BUDGET_S: Final = 10.0
#: So many servers are reported at once.
READINGS_MAX: Final = 500


class Metering:
    """Reads counters.  `every_s` of 0: never.  What is lost is in the next report: counters go on."""

    def __init__(self, host: str, *, post: Post, driver: Driver, cell: Address, every_s: float) -> None:
        self._host = host
        self._post = post
        self._driver = driver
        self._cell = cell
        self._every_s = every_s

    async def run(self) -> None:
        """Report for ever."""
        if self._every_s:
            await every(self._every_s, self._report, events=self._post.events, waits="metering_waits", host=self._host)

    async def _report(self) -> None:
        found = [await self._read(guest) for guest in await self._driver.guests()]
        readings = tuple(reading for reading in found if reading is not None)
        for start in range(0, len(readings), READINGS_MAX):
            request = ReportTraffic(host=self._host, readings=readings[start : start + READINGS_MAX])
            await self._post.call(self._cell, request, budget_s=BUDGET_S)

    async def _read(self, guest: GuestState) -> Reading | None:
        traffic = await self._driver.traffic(guest.server)
        if traffic is None:
            return None
        return Reading(
            server=guest.server, boot=boots_of(guest), bytes_in=traffic.bytes_in, bytes_out=traffic.bytes_out
        )  # fmt: skip
