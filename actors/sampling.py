"""Counts now and then what only stores and hypervisors know, for the figures and for whether a process is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs

from actors.kernel.metrics import (
    CONVERSATIONS_OPEN,
    GUESTS,
    INBOX_ROWS,
    INBOX_UNFINISHED,
    JOURNAL_LAG,
    JOURNAL_UNSWEPT,
    PERMITS,
    SAMPLE_AGE,
    watched,
)
from actors.ops.health import Finding
from actors.store.standing import InboxStanding, inbox_standing, journal_standing, permits_standing
from protocol.errors import CellferryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.compute.drivers.base import Driver
    from actors.kernel.metrics import Readings
    from actors.kernel.ports import Clock, Events, Store

US_A_S: Final = 1_000_000
#: How long one round may take, whatever is away.
ROUND_S_MAX: Final = 30.0
UNASKED: Final = "not asked yet"


@attrs.frozen(kw_only=True)
class Sampled:
    """One actor whose store is counted, and beside it what it alone has."""

    name: str
    role: str
    store: Store
    is_root: bool = False  # It has the permits.
    has_journal: bool = False
    driver: Driver | None = None


class Sampler:
    """Counts for one process."""

    def __init__(
        self, sampled: Iterable[Sampled], *, events: Events, clock: Clock, every_s: float,
    ) -> None:  # fmt: skip
        self._sampled = tuple(sampled)
        self._events = events
        self._clock = clock
        self._every_s = every_s
        self._troubles: dict[str, str] = dict.fromkeys((each.name for each in self._sampled), UNASKED)
        self._since_s: float | None = None

    async def run(self) -> None:
        """Count for ever."""
        with watched(self._events.meters, SAMPLE_AGE, self._age):
            while True:
                with anyio.move_on_after(ROUND_S_MAX):
                    await self.sample()
                await anyio.sleep(self._every_s)

    async def sample(self) -> None:
        """Count once; what is away keeps the figures of the last time."""
        inboxes: dict[str, list[InboxStanding]] = {}
        guests: dict[tuple[str, ...], float] = {}
        for each in self._sampled:
            try:
                inboxes.setdefault(each.role, []).append(await self._count(each))
                if each.driver is not None:
                    await _add_guests(each.driver, guests)
            except (CellferryError, OSError) as error:
                if self._troubles[each.name] in {"", UNASKED}:  # Told once, and not each time.
                    self._events.emit("sample_failed", process=each.name, error=str(error))
                self._troubles[each.name] = str(error)
            else:
                self._troubles[each.name] = ""
        tell = self._events.meters.tell
        rows: Readings = {(role,): float(sum(each.rows for each in found)) for role, found in inboxes.items()}
        unfinished: Readings
        unfinished = {(role,): float(sum(each.unfinished for each in found)) for role, found in inboxes.items()}
        tell(INBOX_ROWS, rows)
        tell(INBOX_UNFINISHED, unfinished)
        tell(GUESTS, guests)
        if not any(self._troubles.values()):
            self._since_s = anyio.current_time()

    async def _count(self, each: Sampled) -> InboxStanding:
        tell = self._events.meters.tell
        if each.is_root:
            tell(PERMITS, await each.store.transact(permits_standing))
        if each.has_journal:
            found = await each.store.transact(journal_standing)
            tell(CONVERSATIONS_OPEN, found.open)
            lag_us = 0 if found.oldest_us is None else max(0, self._clock.now_us() - found.oldest_us)
            tell(JOURNAL_LAG, {(): lag_us / US_A_S})
            tell(JOURNAL_UNSWEPT, {(): float(found.unswept)})
        return await each.store.transact(inbox_standing)

    def findings(self) -> tuple[Finding, ...]:
        """Tell which stores and hypervisors could not be asked."""
        away = [f"{name}: {why}" for name, why in self._troubles.items() if why]
        return (Finding(what="stores", is_good=not away, says="; ".join(away) or "all answer"),)

    def _age(self) -> dict[tuple[str, ...], float]:
        return {} if self._since_s is None else {(): anyio.current_time() - self._since_s}


async def _add_guests(driver: Driver, guests: dict[tuple[str, ...], float]) -> None:
    for guest in await driver.guests():
        state = (guest.power.name.lower() if guest.is_defined else "undefined",)
        guests[state] = guests.get(state, 0.0) + 1.0


def broker_findings(outages: Callable[[], dict[str, str]]) -> Callable[[], tuple[Finding, ...]]:
    """Make what tells which brokers are away; `outages` names the cells of these, and why."""

    def look() -> tuple[Finding, ...]:
        away = [f"of cell {cell}: {why}" for cell, why in outages().items()]
        return (Finding(what="brokers", is_good=not away, says="; ".join(away) or "all are connected"),)

    return look
