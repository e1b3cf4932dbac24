"""What a host does before it does anything: it asks the root what it may run, and pays what it owes after a fence.

While it is fenced it takes no message and starts nothing.  Guests that run, run on: a start of its actor stops none,
and no outage of the control plane does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs

from actors.store.records import load, save
from protocol.cell_path import Address
from protocol.draft import Changes, need
from protocol.errors import CellferryError, InvalidValue
from protocol.messages.fencing import ConfirmPermits, PayOwed, PermitsConfirmed
from protocol.records import HeldPermit
from protocol.requests import Done
from protocol.states import Owed

if TYPE_CHECKING:
    from actors.compute.drivers.base import Driver
    from actors.kernel.ports import Connection, Inbox, Store
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment
    from protocol.messages.hosts import StartAnew
    from protocol.records import OwedAct

PAUSE_S: Final = 1.0
#: How often a fenced host asks whether its fence is lifted.
FENCED_PAUSE_S: Final = 10.0
BUDGET_S: Final = 5.0


class Start:
    """The start of one host's actor."""

    def __init__(self, host: str, *, post: Post, store: Store, inbox: Inbox, driver: Driver) -> None:
        self._host = host
        self._post = post
        self._store = store
        self._inbox = inbox
        self._driver = driver
        self._root = Address(post.me.cell.root, "cell")

    async def run(self) -> None:
        """Return when the host may take messages."""
        while True:
            try:
                confirmed = await self._post.call(self._root, ConfirmPermits(host=self._post.me), budget_s=BUDGET_S)
                if confirmed.fence is None:
                    await self._give_up_lost(confirmed)
                    return
                if confirmed.fence.lift_epoch is not None:
                    await self._pay(confirmed, confirmed.fence.lift_epoch)
                    continue
                self._post.events.emit("host_fenced", host=self._host, by=confirmed.fence.user)
                pause_s = FENCED_PAUSE_S
            except CellferryError as error:
                self._post.events.emit("start_waits", host=self._host, error=str(error))
                pause_s = PAUSE_S
            await anyio.sleep(pause_s)

    async def _pay(self, confirmed: PermitsConfirmed, epoch: int) -> None:
        """Do what is owed, then make void what this host was told before, then say so: any part may run again."""
        for act in sorted(confirmed.owed, key=lambda owed: list(Owed).index(owed.act)):
            await self._do(act)
        await self._give_up_lost(confirmed)
        await self._store.transact(self._begin_anew, confirmed, epoch)
        await self._post.call(self._root, PayOwed(host=self._post.me, acts=confirmed.owed), budget_s=BUDGET_S)

    async def _do(self, owed: OwedAct) -> None:
        if await self._driver.guest(owed.server) is None:
            return
        match owed.act:
            case Owed.OFF:
                await self._driver.power_off(owed.server)
            case Owed.DISCONNECT:
                try:
                    await self._driver.disconnect_volume(owed.server, owed.volume)
                except InvalidValue:
                    # It is the guest's root disk: the guest goes as a whole.
                    await self._driver.undefine(owed.server)
            case Owed.KEEP_DISK:
                await self._driver.keep_disk(owed.server)
            case Owed.RESTORE_DISK:
                await self._driver.restore_disk(owed.server)
            case Owed.DETACH:
                await self._driver.undefine(owed.server)
            case Owed.DESTROY:
                await self._driver.destroy(owed.server)

    async def _give_up_lost(self, confirmed: PermitsConfirmed) -> None:
        """Stop and forget each guest whose permit the ledger does not have as this host's; keep its disk."""
        own = {permit.server: permit.number for permit in confirmed.permits}
        for held in await self._store.transact(_held):
            if held.number is None or own.get(held.server) == held.number:
                continue
            if held.server not in own:
                await self._driver.undefine(held.server)
            await self._store.transact(_put, attrs.evolve(held, number=own.get(held.server)))

    def _begin_anew(self, connection: Connection, confirmed: PermitsConfirmed, epoch: int) -> None:
        self._inbox.renounce(connection, epoch)
        own = {permit.server: permit.number for permit in confirmed.permits}
        gone = {owed.server for owed in confirmed.owed if owed.act is Owed.DESTROY}
        for held in _held(connection):
            if held.server in gone and held.server not in own:
                save(connection, Changes(drops=(held,)))
            elif held.server in own:
                # Given back here, and restored since by the ledger alone.
                save(connection, Changes(puts=(HeldPermit(server=held.server, number=own[held.server]),)))


def _held(connection: Connection) -> tuple[HeldPermit, ...]:
    return tuple(row for row in load(connection, (need(HeldPermit),)) if isinstance(row, HeldPermit))


def _put(connection: Connection, held: HeldPermit) -> None:
    save(connection, Changes(puts=(held,)))


class FenceChanged(Exception):
    """Ends the host's actor; its supervisor starts it again, and the start asks the root."""


class FenceWatch:
    """Has a host that runs hear of its fence: one whose machine is off hears of it as it starts."""

    def __init__(self, *, post: Post) -> None:
        self._post = post
        self._root = Address(post.me.cell.root, "cell")
        self._heard = anyio.Event()

    async def hear(self, _request: StartAnew, _moment: Moment) -> Done:
        """Note that there is a fence.

        Without one there is nothing to start anew for: the message comes again when the frame that it was in was not
        acknowledged before the actor ended, and would end every actor that follows.
        """
        if await self._is_fenced():
            self._heard.set()
        return Done()

    async def _is_fenced(self) -> bool:
        try:
            confirmed = await self._post.call(self._root, ConfirmPermits(host=self._post.me), budget_s=BUDGET_S)
        except CellferryError:
            return True  # The start asks until it is answered.
        return confirmed.fence is not None

    async def watch(self) -> None:
        """End the actor when the fence changes."""
        await self._heard.wait()
        self._heard = anyio.Event()
        raise FenceChanged
