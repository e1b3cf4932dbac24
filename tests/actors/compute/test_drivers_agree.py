"""A script of calls on guests in memory and on real ones: the same answers, the same refusals, the same truth."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.compute.drivers.base import Driver, GuestState
from protocol.errors import CellferryError
from tests.guests import IMAGE, IMAGE_BYTES, SERVER, Cloud, MemoryCloud, ProcessCloud, chunked, connection, spec

Call = Callable[[Cloud, Driver], Awaitable[object]]


async def snapshot(cloud: Cloud, driver: Driver) -> None:
    await cloud.images.write("snapshot", driver.snapshot(SERVER))


CALLS: dict[str, Call] = {
    "spawn": lambda _, driver: driver.spawn(spec()),
    "spawn off": lambda _, driver: driver.spawn(spec(is_powered_on=False)),
    "spawn by 2": lambda _, driver: driver.spawn(spec(permit=2)),
    "spawn of a snapshot": lambda _, driver: driver.spawn(spec(image="snapshot")),
    "spawn with v1": lambda cloud, driver: driver.spawn(spec(volumes=(connection(cloud.volumes, "v1"),))),
    "spawn from v2": lambda cloud, driver: driver.spawn(
        spec(image=None, volumes=(connection(cloud.volumes, "v2", boot_index=0),))
    ),
    "define": lambda _, driver: driver.define(spec(permit=2)),
    "define off": lambda _, driver: driver.define(spec(is_powered_on=False)),
    "power on": lambda _, driver: driver.power_on(SERVER, permit=1),
    "power on by 2": lambda _, driver: driver.power_on(SERVER, permit=2),
    "power off": lambda _, driver: driver.power_off(SERVER),
    "pause": lambda _, driver: driver.pause(SERVER),
    "unpause": lambda _, driver: driver.unpause(SERVER),
    "snapshot": snapshot,
    "connect v1": lambda cloud, driver: driver.connect_volume(SERVER, connection(cloud.volumes, "v1")),
    "connect v2": lambda cloud, driver: driver.connect_volume(SERVER, connection(cloud.volumes, "v2")),
    "connect a volume that is gone": lambda cloud, driver: driver.connect_volume(
        SERVER, connection(cloud.volumes, "gone")
    ),
    "disconnect v1": lambda _, driver: driver.disconnect_volume(SERVER, "v1"),
    "disconnect v2": lambda _, driver: driver.disconnect_volume(SERVER, "v2"),
    "copy v1 to v2": lambda cloud, driver: driver.copy_volume(SERVER, "v1", connection(cloud.volumes, "v2")),
    "copy v2 to v1": lambda cloud, driver: driver.copy_volume(SERVER, "v2", connection(cloud.volumes, "v1")),
    "undefine": lambda _, driver: driver.undefine(SERVER),
    "destroy": lambda _, driver: driver.destroy(SERVER),
}
scripts = st.lists(st.sampled_from(sorted(CALLS)), min_size=3, max_size=8)


class StandingClock:
    """Time stands: guests in memory count nothing."""

    def now_us(self) -> int:
        return 0


def uncounted(states: tuple[GuestState, ...]) -> list[GuestState]:
    """Leave the counters out: how far a guest comes is its own affair."""
    return [attrs.evolve(state, witness=state.witness and state.witness.counted(0, writer="")) for state in states]


async def story(cloud: Cloud, script: list[str], *, times: int) -> list[object]:
    """Do the calls, each some times over, and tell how each ended and what was true then."""
    await cloud.images.write(IMAGE, chunked(IMAGE_BYTES))
    await cloud.volumes.create("v1", 1 << 20)
    await cloud.volumes.create("v2", 1 << 20)
    driver = cloud.driver("h1")
    told: list[object] = []
    for call in script:
        answers = [await answer(cloud, driver, call) for _ in range(times)]
        told.append((call, answers[-1], uncounted(cloud.truth("h1"))))
    return told


async def answer(cloud: Cloud, driver: Driver, call: str) -> str:
    try:
        await CALLS[call](cloud, driver)
    except CellferryError as error:
        return error.code
    return "done"


async def in_memory(script: list[str], *, times: int) -> list[object]:
    return await story(MemoryCloud(StandingClock()), script, times=times)


async def in_processes(script: list[str]) -> list[object]:
    with tempfile.TemporaryDirectory() as directory:
        cloud = ProcessCloud(Path(directory))
        try:
            return await story(cloud, script, times=1)
        finally:
            cloud.close()


@given(scripts)
@settings(max_examples=8)
def test_guests_in_memory_and_real_guests_tell_one_story(script: list[str]) -> None:
    """After each call of any script both drivers answered alike and the same is true of their guests."""
    real = anyio.run(in_processes, script)
    assert anyio.run(lambda: in_memory(script, times=1)) == real


@given(scripts)
def test_a_call_made_twice_is_a_call_made_once(script: list[str]) -> None:
    """Any script with each call doubled ends as the script itself: calls ensure, they do not merely do."""
    assert anyio.run(lambda: in_memory(script, times=2)) == anyio.run(lambda: in_memory(script, times=1))
