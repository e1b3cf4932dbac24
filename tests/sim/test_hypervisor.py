"""A simulated hypervisor: it takes its time, fails, and goes on with what a killed host had asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import anyio
import attrs
import pytest

from actors.compute.drivers.base import Power
from actors.compute.drivers.disk import GuestMemory
from actors.compute.drivers.domain import NetworkInfo
from actors.compute.drivers.memory import MemoryDriver
from actors.partners.memory import MemoryImages, MemoryVolumes
from protocol.errors import CellferryError, GuestBusy, HypervisorFailed
from sim.edges.calls import DURATIONS_S
from sim.edges.hypervisor import SimDriver
from sim.faults import Fault, FaultKind
from sim.history import Begun, Called, GuestOff, GuestOn, Handed, Note
from sim.ports import VirtualClock
from sim.process import Process
from tests.guests import IMAGE, IMAGE_BYTES, SERVER, chunked, connection, spec
from tests.sim.weather import Weather, elapse, weather

pytestmark = pytest.mark.anyio

HOST: Final = "api!eu/host:h1"
LONG_S: Final = 20.0
KEY: Final = "c1:1:spawn:execute"
NETWORK: Final = NetworkInfo(by="c1", ports=(("p1", "fa:16:3e:00:00:01"),), is_reset=True)


async def driver_of(air: Weather, *, scale: float = 1.0) -> SimDriver:
    images, volumes = MemoryImages(), MemoryVolumes()
    await images.write(IMAGE, chunked(IMAGE_BYTES))
    for name in ("v1", "v2"):
        await volumes.create(name, 100)
    inner = MemoryDriver("h1", images, VirtualClock(), volumes)
    return SimDriver(inner, HOST, history=air.history, injector=air.injector, chance=air.chance, scale=scale)


def fault(kind: FaultKind, *, call: str = "spawn", amount_s: float = 0.0) -> Fault:
    return Fault(kind=kind, name="f", where=HOST, point=call, amount_s=amount_s)


def volume(name: str = "v1") -> Any:
    return connection(MemoryVolumes(), name)


def calls(driver: SimDriver) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Give the calls of a life, in an order in which each succeeds."""
    return {
        "spawn": lambda: driver.spawn(spec()),
        "guests": driver.guests,
        "guest": lambda: driver.guest(SERVER),
        "pause": lambda: driver.pause(SERVER),
        "unpause": lambda: driver.unpause(SERVER),
        "connect_volume": lambda: driver.connect_volume(SERVER, volume()),
        "copy_volume": lambda: driver.copy_volume(SERVER, "v1", volume("v2")),
        "disconnect_volume": lambda: driver.disconnect_volume(SERVER, "v1"),
        "live_snapshot": lambda: all_of(driver.live_snapshot(SERVER)),
        "apply_network": lambda: driver.apply_network(SERVER, NETWORK),
        "networks": lambda: driver.networks(SERVER),
        "save": lambda: driver.save(SERVER),
        "restore": lambda: driver.restore(SERVER, permit=1),
        "suspend": lambda: driver.suspend(SERVER),
        "power_off": lambda: driver.power_off(SERVER),
        "snapshot": lambda: all_of(driver.snapshot(SERVER)),
        "prepare_disk": lambda: driver.prepare_disk(SERVER, IMAGE),
        "replace_disk": lambda: driver.replace_disk(SERVER),
        "restore_disk": lambda: driver.restore_disk(SERVER),
        "keep_disk": lambda: driver.keep_disk(SERVER),
        "power_on": lambda: driver.power_on(SERVER, permit=1),
        "undefine": lambda: driver.undefine(SERVER),
        "define": lambda: driver.define(spec()),
        # The very guest runs already.
        "receive": lambda: driver.receive(spec(), GuestMemory(counter=0, boots=())),
        "destroy": lambda: driver.destroy(SERVER),
    }


async def all_of(disk: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in disk])


# --- a life ----------------------------------------------------------------------------------------------------


async def test_every_call_takes_its_time_and_is_recorded() -> None:
    """Each takes as long as the table says, and the history has it, with what it did to the guest's power."""
    air = weather()
    driver = await driver_of(air)
    for call, make in calls(driver).items():
        begun_s = anyio.current_time()
        await make()
        low_s, high_s = DURATIONS_S[call]
        assert low_s <= anyio.current_time() - begun_s <= high_s
    assert (
        [called.call for called in air.of(Called)]
        == list(calls(driver))
        == sorted(DURATIONS_S, key=list(calls(driver)).index)
    )
    assert {(called.where, called.process, called.error) for called in air.of(Called)} == {("h1", HOST, "")}
    assert len(air.of(GuestOn)) == len(air.of(GuestOff)) == 4
    assert air.of(GuestOn)[0] == GuestOn(process=HOST, host="h1", server=SERVER, permit=1)


async def test_a_call_that_fails_by_itself_is_recorded_with_its_code() -> None:
    """What the guests' own rules refuse is not disguised."""
    air = weather()
    driver = await driver_of(air, scale=0)
    with pytest.raises(CellferryError):
        await driver.power_on(SERVER, permit=1)
    assert [called.error for called in air.of(Called)] == ["guest_not_found"]


async def test_a_guest_that_dies_is_recorded_once() -> None:
    """Only one that runs can die."""
    air = weather()
    driver = await driver_of(air, scale=0)
    assert not driver.kill_guest(SERVER)
    await driver.spawn(spec())
    assert driver.kill_guest(SERVER)
    assert not driver.kill_guest(SERVER)
    assert air.of(GuestOff) == [GuestOff(process=HOST, host="h1", server=SERVER)]


async def test_calls_that_overlap_record_a_guest_once() -> None:
    """Several that start the same guest start it once."""
    air = weather()
    driver = await driver_of(air, scale=0)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(driver.spawn, spec())
    assert len(air.of(GuestOn)) == 1
    assert len(air.of(Called)) == 3


# --- faults ----------------------------------------------------------------------------------------------------


async def test_a_refusing_hypervisor_does_nothing() -> None:
    """DRIVER_REFUSES: one of its two errors, no guest, and the next try succeeds; both errors occur."""
    errors = []
    for seed in range(10):
        air = weather(fault(FaultKind.DRIVER_REFUSES), seed=seed)
        driver = await driver_of(air, scale=0)
        with pytest.raises((HypervisorFailed, GuestBusy)) as caught:
            await driver.spawn(spec())
        assert driver.inspect() == ()
        assert [called.error for called in air.of(Called)] == [caught.value.code]
        assert air.struck(FaultKind.DRIVER_REFUSES)
        await driver.spawn(spec())
        errors.append(caught.value.code)
    assert {"hypervisor_failed", "guest_busy"} == set(errors)


@pytest.mark.parametrize("call", ["guest", "power_off", "destroy"])
async def test_refusing_what_changes_nothing_does_not_matter(call: str) -> None:
    """DRIVER_REFUSES of a question, or about a guest that is not there, fires only."""
    air = weather(fault(FaultKind.DRIVER_REFUSES, call=call))
    driver = await driver_of(air, scale=0)
    with pytest.raises((HypervisorFailed, GuestBusy)):
        await calls(driver)[call]()
    assert air.struck(FaultKind.DRIVER_REFUSES, mattered=False)


async def test_a_refused_snapshot_gives_nothing() -> None:
    """DRIVER_REFUSES holds for what is read in chunks too."""
    air = weather(fault(FaultKind.DRIVER_REFUSES, call="snapshot"))
    driver = await driver_of(air, scale=0)
    await driver.spawn(spec(is_powered_on=False))
    with pytest.raises((HypervisorFailed, GuestBusy)):
        await all_of(driver.snapshot(SERVER))
    assert air.struck(FaultKind.DRIVER_REFUSES)


async def test_a_dirty_failure_leaves_the_whole_or_a_half() -> None:
    """DRIVER_DIRTY of a spawn leaves a running guest, or a disk alone; either can be spawned again."""
    left = []
    for seed in range(10):
        air = weather(fault(FaultKind.DRIVER_DIRTY), seed=seed)
        driver = await driver_of(air, scale=0)
        with pytest.raises(HypervisorFailed):
            await driver.spawn(spec())
        (state,) = driver.inspect()
        assert state.has_disk
        assert air.struck(FaultKind.DRIVER_DIRTY)
        assert len(air.of(GuestOn)) == state.is_defined
        left.append(state.is_defined)
        assert (await driver.spawn(spec())).power is Power.RUNNING
        assert len(air.of(GuestOn)) == 1
    assert {True, False} == set(left)


@pytest.mark.parametrize("call", ["define", "undefine", "destroy", "power_off", "power_on", "connect_volume"])
async def test_every_dirty_failure_can_be_finished_by_the_same_call(call: str) -> None:
    """DRIVER_DIRTY, whole or half, never leaves what the call could not ensure when it is made again."""
    clean = await driver_of(weather(), scale=0)
    for seed in range(6):
        driver = await driver_of(weather(fault(FaultKind.DRIVER_DIRTY, call=call), seed=seed), scale=0)
        for name, make in calls(driver).items():
            if name == call:
                with pytest.raises(HypervisorFailed):
                    await make()
            await make()
            if name == call:
                break
        if seed == 0:
            for name, make in calls(clean).items():
                await make()
                if name == call:
                    break
        assert lasting(driver) == lasting(clean)


def lasting(driver: SimDriver) -> list[Any]:
    return [attrs.evolve(state, witness=None) for state in driver.inspect()]


async def test_a_dirty_failure_of_what_was_so_already_does_not_matter() -> None:
    """DRIVER_DIRTY of a second spawn changes nothing."""
    air = weather(attrs.evolve(fault(FaultKind.DRIVER_DIRTY), skip=1))
    driver = await driver_of(air, scale=0)
    await driver.spawn(spec())
    with pytest.raises(HypervisorFailed):
        await driver.spawn(spec())
    assert driver.inspect()[0].power is Power.RUNNING
    assert air.struck(FaultKind.DRIVER_DIRTY, mattered=False)


@pytest.mark.parametrize("key", ["", KEY, "c1:1:spawn:undo", "c2:1:spawn:execute"])
async def test_a_slow_call_matters_when_its_asker_asks_again_or_gives_up(key: str) -> None:
    """DRIVER_SLOW matters when the same command or its undo is handed to the host meanwhile, and not by itself."""
    air = weather(fault(FaultKind.DRIVER_SLOW, amount_s=60))
    driver = (await driver_of(air)).for_process(Process(HOST))
    air.history.record(Begun(process=HOST, key=KEY, server=SERVER, epoch=1, method="spawn_guest"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver.spawn, spec())
        await elapse(LONG_S)
        if key:
            air.history.record(handed(key))
    assert anyio.current_time() == pytest.approx(60)
    assert air.struck(FaultKind.DRIVER_SLOW, mattered=key.startswith("c1"))


async def test_a_slow_call_matters_when_its_host_is_killed() -> None:
    """DRIVER_SLOW that nobody waits for to the end has mattered."""
    air = weather(fault(FaultKind.DRIVER_SLOW, amount_s=60))
    driver = await driver_of(air)
    with anyio.move_on_after(LONG_S):
        await driver.spawn(spec())
    assert air.struck(FaultKind.DRIVER_SLOW)


def handed(key: str) -> Handed:
    note = Note(
        id="m", kind="call", method="spawn_guest", source="a", target="b", route=(), hops_max=3, server=SERVER, key=key,
        epoch=1,
    )  # fmt: skip
    return Handed(process=HOST, queue="api!eu/host:h1", frame=1, copy=1, notes=(note,))


# --- killed hosts ----------------------------------------------------------------------------------------------


async def killed_in_the_middle(seed: int, heard: list[str]) -> bool:
    """Kill a host that waits for a spawn; tell whether the guest came to be all the same, in its time."""
    air = weather(seed=seed)
    hypervisor, process = await driver_of(air), Process(HOST)
    driver = hypervisor.for_process(process)

    async def ask() -> None:
        with anyio.CancelScope() as process.scope:
            await driver.spawn(spec())
            heard.append(SERVER)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await elapse(1)
        process.kill()
    assert hypervisor.inspect() == ()
    await elapse(LONG_S)
    went_on = len(air.of(GuestOn)) == 1
    assert bool(hypervisor.inspect()) == went_on == bool(air.history.probes["hypervisor_went_on"])
    return went_on


async def test_a_killed_host_may_have_its_wish_and_never_hears_of_it() -> None:
    """By seed, the hypervisor finishes what it was asked, or does not begin; the host's actor is gone anyway."""
    heard: list[str] = []
    went_on = [await killed_in_the_middle(seed, heard) for seed in range(12)]
    assert {True, False} == set(went_on)
    assert heard == []
    assert went_on == [await killed_in_the_middle(seed, heard) for seed in range(12)]


async def test_a_host_that_was_just_killed_has_nothing_done_for_it() -> None:
    """Between the kill and the cancellation that follows, a call that is due does not begin."""
    hypervisor, process = await driver_of(weather()), Process(HOST)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hypervisor.for_process(process).spawn, spec())
            await elapse(1)
            process.kill()
            await elapse(LONG_S)
            assert hypervisor.inspect() == ()
            scope.cancel()


async def test_a_host_that_is_killed_while_it_reads_a_disk_reads_no_further() -> None:
    """The chunk after the kill never comes."""
    hypervisor, process, chunks = await driver_of(weather()), Process(HOST), list[bytes]()
    await hypervisor.spawn(spec(is_powered_on=False))
    with anyio.move_on_after(LONG_S) as scope:
        async with aclosing(hypervisor.for_process(process).snapshot(SERVER)) as content:
            async for chunk in content:
                chunks.append(chunk)
                process.kill()
    assert scope.cancelled_caught
    assert len(chunks) == 1


async def test_a_dead_host_asks_nothing() -> None:
    """No call of a killed process begins."""
    air = weather()
    hypervisor, process = await driver_of(air), Process(HOST)
    process.kill()
    driver = hypervisor.for_process(process)
    for make in calls(driver).values():
        with anyio.move_on_after(LONG_S) as scope:
            await make()
        assert scope.cancelled_caught
    assert air.history.lines == []
