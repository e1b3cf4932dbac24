"""Looks at a host's guests now and then, and tells its cell of one that is off though it was to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.compute.drivers.base import Power
from actors.kernel.periodic import every
from actors.kernel.post import Stamp
from actors.store.records import load
from protocol.draft import need
from protocol.messages.power import ExpectGuest, NoteGuestOff
from protocol.records import HeldPermit

if TYPE_CHECKING:
    from actors.compute.drivers.base import Driver, GuestState
    from actors.kernel.ports import Connection, Store
    from actors.kernel.post import Post
    from protocol.cell_path import Address

#: How long between two looks: so long a guest that died by itself may be taken for one that runs.
LOOK_S: Final = 10.0
#: How long an answer is waited for; the next look asks again.
BUDGET_S: Final = 5.0


class Lookout:
    """Watches the guests that a host holds the permits of.  What it did not get across, it tells at its next look."""

    def __init__(self, host: str, *, post: Post, store: Store, driver: Driver, cell: Address) -> None:
        self._host = host
        self._post = post
        self._store = store
        self._driver = driver
        self._cell = cell
        #: Of each server whose guest is off, with its cell's knowledge: how often it was started by then.
        self._known: dict[str, int] = {}

    async def run(self) -> None:
        """Look for ever."""
        await every(LOOK_S, self._look, events=self._post.events, waits="look_waits", host=self._host)

    async def _look(self) -> None:
        held = await self._store.transact(_held)
        off = [guest for guest in (await self._driver.guests() if held else ()) if guest.server in held]
        off = [guest for guest in off if _is_off(guest)]
        self._known = {guest.server: self._known.get(guest.server, -1) for guest in off}
        for guest in off:
            if self._known[guest.server] != boots_of(guest):
                await self._report(guest)

    async def _report(self, found: GuestState) -> None:
        """Ask how the guest should be, look again, and tell; in this order, so that what is told is no older."""
        server = found.server
        expected = await self._post.call(
            self._cell, ExpectGuest(server=server, host=self._host), stamp=Stamp(server=server), budget_s=BUDGET_S
        )
        guest = await self._driver.guest(server)
        if not expected.is_settled or guest is None or not _is_off(guest) or boots_of(guest) != boots_of(found):
            return
        if expected.is_running:
            request = NoteGuestOff(server=server, host=self._host, version=expected.version)
            await self._post.call(self._cell, request, stamp=Stamp(server=server), budget_s=BUDGET_S)
            self._post.events.emit("guest_died", host=self._host, server=server)
        else:
            self._known[server] = boots_of(guest)


def _held(connection: Connection) -> frozenset[str]:
    rows = load(connection, (need(HeldPermit),))
    return frozenset(row.server for row in rows if isinstance(row, HeldPermit) and row.number is not None)


def _is_off(guest: GuestState) -> bool:
    return guest.is_defined and guest.power is Power.SHUTDOWN


def boots_of(guest: GuestState) -> int:
    """Tell how often a guest was started: it is off once for each."""
    return guest.witness.boots_total if guest.witness else 0
