"""Simulated stores of images and volumes: they take their time, refuse, and leave their callers unsure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import anyio
import attrs
import pytest

from actors.partners.memory import CHUNK_BYTES, MemoryImages, MemoryVolumes
from protocol.errors import InvalidName, NotFound, Unavailable
from sim.edges.partners import IMAGE_DURATIONS_S, VOLUME_DURATIONS_S, SimImages, SimVolumes
from sim.faults import Fault, FaultKind
from sim.history import Called
from sim.process import Process
from tests.guests import chunked
from tests.sim.weather import Weather, elapse, weather

pytestmark = pytest.mark.anyio

LONG_S: Final = 20.0
#: Those that change something.
WRITES: Final = {"image": ("write", "delete"), "volume": ("create", "delete")}


def images_of(air: Weather) -> SimImages:
    return SimImages(MemoryImages(), history=air.history, injector=air.injector, chance=air.chance)


def volumes_of(air: Weather) -> SimVolumes:
    return SimVolumes(MemoryVolumes(), history=air.history, injector=air.injector, chance=air.chance)


def calls(air: Weather, where: str, process: Process | None = None) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Give the calls of a store of its own, in an order in which each succeeds."""
    images, volumes = images_of(air), volumes_of(air)
    if process is not None:
        images, volumes = images.for_process(process), volumes.for_process(process)
    if where == "image":
        return {
            "write": lambda: images.write("i1", chunked(b"some bytes")),
            "read": lambda: all_of(images),
            "digest": lambda: images.digest("i1"),
            "names": images.names,
            "delete": lambda: images.delete("i1"),
        }
    return {
        "create": lambda: volumes.create("v1", 10),
        "exists": lambda: volumes.exists("v1"),
        "names": volumes.names,
        "delete": lambda: volumes.delete("v1"),
    }


async def all_of(images: SimImages) -> bytes:
    return b"".join([chunk async for chunk in images.read("i1")])


def fault(kind: FaultKind, where: str, call: str, *, amount_s: float = 0.0) -> Fault:
    return Fault(kind=kind, name="f", where=where, point=call, amount_s=amount_s)


EVERY_CALL: Final = pytest.mark.parametrize(
    ("where", "call"),
    [
        *(("image", call) for call in IMAGE_DURATIONS_S),
        *(("volume", call) for call in VOLUME_DURATIONS_S),
    ],
)


@pytest.mark.parametrize("where", ["image", "volume"])
async def test_every_call_takes_its_time_and_is_recorded(where: str) -> None:
    """Each takes as long as the table says, and the history tells who called."""
    air = weather()
    durations_s = IMAGE_DURATIONS_S if where == "image" else VOLUME_DURATIONS_S
    made = calls(air, where, Process("api/image"))
    for call, make in made.items():
        begun_s = anyio.current_time()
        await make()
        low_s, high_s = durations_s[call]
        assert low_s <= anyio.current_time() - begun_s <= high_s
    assert [called.call for called in air.of(Called)] == list(made)
    assert set(made) == set(durations_s)
    assert {(called.where, called.process, called.error) for called in air.of(Called)} == {(where, "api/image", "")}


async def test_a_call_that_fails_by_itself_is_recorded_with_its_code() -> None:
    """What the store's own rules refuse is not disguised."""
    air = weather()
    with pytest.raises(NotFound):
        await calls(air, "image")["read"]()
    with pytest.raises(InvalidName):
        await images_of(air).digest("../i1")
    assert [called.error for called in air.of(Called)] == ["not_found", "invalid_name"]


@EVERY_CALL
async def test_a_refusing_store_does_nothing(where: str, call: str) -> None:
    """PARTNER_REFUSES: the call fails at once, may be made again, and has changed nothing."""
    air = weather(fault(FaultKind.PARTNER_REFUSES, where, call))
    for name, make in calls(air, where).items():
        if name == call:
            begun_s = anyio.current_time()
            with pytest.raises(Unavailable, match=where):
                await make()
            assert anyio.current_time() == begun_s
        await make()
    assert air.struck(FaultKind.PARTNER_REFUSES)
    assert [called.call for called in air.of(Called) if called.error] == [call]


@pytest.mark.parametrize(("where", "call"), [(where, call) for where, found in WRITES.items() for call in found])
async def test_an_unsure_store_does_it_and_fails(where: str, call: str) -> None:
    """PARTNER_UNSURE: what was asked is done, and its caller was told otherwise."""
    air = weather(attrs.evolve(fault(FaultKind.PARTNER_UNSURE, where, call), times=2))
    made = calls(air, where)
    if call == "delete":
        await next(iter(made.values()))()
    for _ in range(2):
        with pytest.raises(Unavailable, match="broke off"):
            await made[call]()
    assert (await made["names"]() == ()) == (call == "delete")
    assert [line.what.mattered for line in air.history.lines if hasattr(line.what, "mattered")] == [True, False]


async def test_a_question_is_never_left_unsure() -> None:
    """PARTNER_UNSURE passes by what changes nothing."""
    air = weather(fault(FaultKind.PARTNER_UNSURE, "image", "names"))
    await calls(air, "image")["names"]()
    assert not air.injector.fired


@EVERY_CALL
async def test_a_slow_store_takes_its_time(where: str, call: str) -> None:
    """PARTNER_SLOW: the call takes as long as the fault says; a caller that gave up makes it matter."""
    for is_patient in (True, False):
        air = weather(fault(FaultKind.PARTNER_SLOW, where, call, amount_s=60))
        for name, make in calls(air, where).items():
            begun_s = anyio.current_time()
            if name != call:
                await make()
                continue
            with anyio.move_on_after(100 if is_patient else LONG_S):
                await make()
            assert anyio.current_time() - begun_s == pytest.approx(60 if is_patient else LONG_S)
            break
        assert air.struck(FaultKind.PARTNER_SLOW, mattered=not is_patient)


# --- killed callers --------------------------------------------------------------------------------------------


async def test_a_killed_writer_leaves_the_image_or_none() -> None:
    """By seed, what a killed process was writing is there as a whole, or not at all; it never hears which."""
    kept: list[tuple[str, ...]] = []
    for seed in range(12):
        images, process = images_of(weather(seed=seed)), Process("api/image")
        with anyio.move_on_after(LONG_S) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(images.for_process(process).write, "i1", chunked(b"some bytes"))
                await elapse(0.01)
                process.kill()
        assert scope.cancelled_caught
        assert images.content("i1") in {None, b"some bytes"}
        kept.append(images.kept())
    assert {(), ("i1",)} == set(kept)


async def test_a_killed_reader_reads_no_further() -> None:
    """The chunk after the kill never comes."""
    images, process, chunks = images_of(weather()), Process("api/image"), list[bytes]()
    await images.inner.write("i1", chunked(bytes(3 * CHUNK_BYTES), CHUNK_BYTES))
    with anyio.move_on_after(LONG_S) as scope:
        async with aclosing(images.for_process(process).read("i1")) as content:
            async for chunk in content:
                chunks.append(chunk)
                process.kill()
    assert scope.cancelled_caught
    assert len(chunks) == 1


@EVERY_CALL
async def test_a_dead_process_asks_nothing(where: str, call: str) -> None:
    """No call of a killed process begins."""
    air, process = weather(fault(FaultKind.PARTNER_REFUSES, where, call)), Process("api/image")
    made = calls(air, where, process)
    process.kill()
    with anyio.move_on_after(LONG_S) as scope:
        await made[call]()
    assert scope.cancelled_caught
    assert air.history.lines == []


# --- the truth -------------------------------------------------------------------------------------------------


async def test_the_truth_is_read_without_time_or_trace() -> None:
    """Images and volumes as they are now, asked of nobody."""
    air = weather()
    images, volumes = images_of(air), volumes_of(air)
    digest = await images.inner.write("i1", chunked(b"some bytes"))
    await volumes.inner.create("v1", 10)
    assert images.kept() == await images.peeking.names() == ("i1",)
    assert await images.peeking.digest("i1") == digest
    assert images.content("i1") == b"some bytes"
    assert images.content("i2") is None
    assert volumes.content(volumes.path("v1")) == bytearray()
    assert volumes.content("v2") is None
    assert air.history.lines == []
    assert anyio.current_time() == 0
