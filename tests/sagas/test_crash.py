"""Conductors and hosts that are killed in the middle: whoever goes on does so from what is stored, to the same end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio
import attrs
import pytest

from actors import assembly
from actors.compute.drivers.base import GuestSpec, GuestState
from actors.compute.drivers.memory import MemoryDriver
from actors.kernel.ports import Connection, Store
from protocol.cell_path import Address, host_mailbox
from protocol.journal import Entry, Kind
from protocol.messages.orders import Order
from sim.clock import run
from sim.world import World
from tests import clouds
from tests.clouds import (
    CONFIRM,
    FLAT,
    REVERT,
    SOURCE_HOST,
    TARGET_HOST,
    Backing,
    Dump,
    broken_promises,
    building,
    cloud,
    dump,
)

P = ParamSpec("P")
T = TypeVar("T")
CONDUCTOR: Final = "api/conductor"
#: More than a conductor needs to be asked again after the death of the one before.
PATIENCE_S: Final = 3600.0


class MortalStore:
    """A conductor's store, with which the conductor dies at one write to a journal: just before it, or just after."""

    def __init__(self, store: Store, *, dies: Callable[[Entry, bool], bool], scope: anyio.CancelScope) -> None:
        self._store = store
        self._dies = dies
        self._scope = scope

    async def transact(
        self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        written = next((each for each in arguments if isinstance(each, Entry)), None)
        if self._scope.cancel_called or (written is not None and self._dies(written, False)):
            await self._die()
        value = await self._store.transact(work, *arguments, **named)
        if written is not None and self._dies(written, True):
            await self._die()
        return value

    async def _die(self) -> None:
        self._scope.cancel()
        await anyio.sleep_forever()


@attrs.define
class Deaths:
    """Kills a conductor at each entry of a journal: once before it is written, and once after."""

    seen: set[tuple[Kind, str, bool, bool]] = attrs.field(factory=set)

    def __call__(self, entry: Entry, is_written: bool) -> bool:
        moment = (entry.kind, entry.step, entry.is_undo, is_written)
        is_new = moment not in self.seen
        self.seen.add(moment)
        return is_new


async def conductors(world: World, deaths: Deaths) -> None:
    """Run one conductor after the other, each in a slot of its own over the same store."""
    for number in range(10_000):
        ports = attrs.evolve(world.ports, slot=str(number))
        with anyio.CancelScope() as scope:
            store = MortalStore(world.conductor, dies=deaths, scope=scope)
            await assembly.conductor(ports, FLAT.root, store).run()


@asynccontextmanager
async def haunted(deaths: Deaths) -> AsyncIterator[World]:
    """Run a world whose conductor dies again and again."""
    world = World(FLAT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(conductors, world, deaths)
        async with cloud(world=world, but=(CONDUCTOR,)):
            yield world
        tasks.cancel_scope.cancel()


async def carry_out(world: World, order: Order) -> None:
    """Place an order and wait until its conversation is closed, whoever carries it out."""
    accepted = await world.client.order(order)
    with anyio.fail_after(PATIENCE_S):
        while True:
            conversations = (await world.truth()).conversations
            if any(each.conversation == accepted.conversation and each.is_closed for each in conversations):
                return
            await anyio.sleep(5.0)


def lived(orders: tuple[Order, ...]) -> Dump:
    """Dump the world of a conductor that nobody kills."""

    async def main() -> Dump:
        async with cloud(*orders, world=World(FLAT)) as world:
            return await dump(world)

    return run(main)


@pytest.mark.parametrize("order", [pytest.param(clouds.resize(), id="resize"), pytest.param(REVERT, id="revert")])
def test_a_move_whose_conductor_dies_at_every_entry_of_its_journal_ends_as_if_none_had(order: Order) -> None:
    """Killed before and after each write, another goes on every time; the final dumps are the same."""
    before = (clouds.create(),) if order is not REVERT else (clouds.create(), clouds.resize())
    deaths = Deaths()

    async def main() -> Dump:
        async with haunted(deaths) as world:
            for each in (*before, order):
                await carry_out(world, each)
            return await dump(world)

    survived = run(main)
    assert survived.timeless().differences(lived((*before, order)).timeless()) == []
    assert broken_promises(survived) == ()
    steps = {step for kind, step, _, is_written in deaths.seen if kind is Kind.DONE and is_written}
    assert {"commit", "issue_permit", "seal_source"} <= steps, "there were deaths all along"


class DeadlyDriver(MemoryDriver):
    """A hypervisor whose host's actor is killed when it is told something for the first time: before and after."""

    def __init__(self, name: str, world: World) -> None:
        super().__init__(name, world.images, world.clock, world.volumes)
        self.end_actor: Callable[[], None] = lambda: None
        self.moments: set[tuple[str, bool]] = set()
        self.lags_s: list[float] = []  # How long after each death somebody went on.
        self._died_s: float | None = None

    async def _pass(self, what: str, *, is_done: bool) -> None:
        if self._died_s is not None:
            self.lags_s.append(anyio.current_time() - self._died_s)
            self._died_s = None
        if (what, is_done) not in self.moments:
            self.moments.add((what, is_done))
            self._died_s = anyio.current_time()
            self.end_actor()
            await anyio.sleep_forever()

    async def spawn(self, spec: GuestSpec) -> GuestState:
        await self._pass("spawn", is_done=False)
        state = await super().spawn(spec)
        await self._pass("spawn", is_done=True)
        return state

    async def define(self, spec: GuestSpec) -> GuestState:
        await self._pass("define", is_done=False)
        state = await super().define(spec)
        await self._pass("define", is_done=True)
        return state

    async def power_off(self, server: str, *, grace_s: float = 0.0) -> None:
        await self._pass("power_off", is_done=False)
        await super().power_off(server, grace_s=grace_s)
        await self._pass("power_off", is_done=True)

    async def undefine(self, server: str) -> None:
        await self._pass("undefine", is_done=False)
        await super().undefine(server)
        await self._pass("undefine", is_done=True)

    async def destroy(self, server: str) -> None:
        await self._pass("destroy", is_done=False)
        await super().destroy(server)
        await self._pass("destroy", is_done=True)


async def hosts(world: World, name: str, driver: DeadlyDriver) -> None:
    """Run one host's actor after the other, over the same store and hypervisor."""
    while True:
        with anyio.CancelScope() as scope:
            driver.end_actor = scope.cancel
            await world.host(name).run()


MOVES: Final = {"confirmed": (clouds.resize(), CONFIRM), "reverted": (clouds.resize(), REVERT)}


@pytest.mark.parametrize(
    ("backing", "ending"),
    [(Backing.IMAGE, "confirmed"), (Backing.IMAGE, "reverted"), (Backing.VOLUME, "reverted")],
)
def test_a_host_that_dies_before_and_after_all_that_it_does_to_a_guest_goes_on_with_it(
    backing: Backing, ending: str
) -> None:
    """Accepted and not answered: its successor does it, or finds it done, and no guest is ever started twice for it."""
    orders = (*building(backing), *MOVES[ending])
    world = World(FLAT)
    drivers = {name: DeadlyDriver(name, world) for name in (SOURCE_HOST, TARGET_HOST)}
    world.drivers.update(drivers)

    async def main() -> Dump:
        async with anyio.create_task_group() as tasks:
            for name, driver in drivers.items():
                tasks.start_soon(hosts, world, name, driver)
            names = tuple(str(Address(FLAT.hosts[name], host_mailbox(name))) for name in drivers)
            async with cloud(*orders, world=world, but=names):
                survived = await dump(world)
            tasks.cancel_scope.cancel()
        return survived

    survived, plain = run(main), lived(orders)
    assert survived.timeless().differences(plain.timeless()) == []
    assert broken_promises(survived) == ()
    assert _boots(survived) == _boots(plain)
    assert {("spawn", True), ("spawn", False)} <= drivers[TARGET_HOST].moments
    assert {("power_off", True), ("undefine", True)} <= drivers[SOURCE_HOST].moments
    for driver in drivers.values():
        assert len(driver.lags_s) == len(driver.moments)
        assert max(driver.lags_s) < 1.0, "it goes on by itself, before anybody asks again"


def _boots(dumped: Dump) -> list[tuple[str, int]]:
    return [(boot.host, boot.permit) for guest in dumped.truth.guests for boot in guest.boots]
