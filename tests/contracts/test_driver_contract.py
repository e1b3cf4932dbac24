"""What every hypervisor driver promises, run over each of them: guests in memory, and guests that are processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.compute.drivers.base import Boot, Driver, Power
from actors.compute.drivers.disk import WITNESS_BYTES, DiskWitness, read_page
from actors.partners.ports import ImageDigest, ImageFiles
from protocol.errors import (
    GuestBusy,
    GuestNotFound,
    HypervisorFailed,
    ImageDamaged,
    InvalidName,
    InvalidValue,
    NotFound,
    PermitRefused,
    VolumeUnreachable,
)
from sim.clock import SimLoop
from sim.ports import VirtualClock
from tests.guests import (
    IMAGE,
    IMAGE_BYTES,
    SERVER,
    Cloud,
    MemoryCloud,
    ProcessCloud,
    chunked,
    connection,
    counter,
    counts,
    found,
    is_off,
    spec,
    until,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "process"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": SimLoop} if kind == "memory" else {}


@pytest.fixture
def cloud(kind: str, tmp_path: Path) -> Iterator[Cloud]:
    if kind == "memory":
        yield MemoryCloud(VirtualClock())
        return
    processes = ProcessCloud(tmp_path)
    yield processes
    processes.close()


@pytest.fixture
async def h1(cloud: Cloud) -> Driver:
    await cloud.images.write(IMAGE, chunked(IMAGE_BYTES))
    return cloud.driver("h1")


async def all_of(driver: Driver) -> bytes:
    return b"".join([chunk async for chunk in driver.snapshot(SERVER)])


async def stopped(cloud: Cloud, driver: Driver) -> DiskWitness:
    """Spawn the guest, let it count, and stop it."""
    await driver.spawn(spec())
    await counts(cloud, "h1")
    await driver.power_off(SERVER)
    witness = found(cloud, "h1").witness
    assert witness is not None
    return witness


def volume_counter(cloud: Cloud, volume: str) -> int:
    page = read_page(cloud.volume_bytes(volume)[:WITNESS_BYTES])
    return page.witness.counter if page else 0


# --- spawn -----------------------------------------------------------------------------------------------------


async def test_a_spawned_guest_runs_and_counts(cloud: Cloud, h1: Driver) -> None:
    """A spawn ends with a guest that runs by its permit and has noted its boot."""
    state = await h1.spawn(spec(permit=7))
    assert (state.is_defined, state.power, state.permit, state.has_disk) == (True, Power.RUNNING, 7, True)
    assert state.witness is not None
    assert state.witness.boots == (Boot(host="h1", permit=7, number=1),)
    assert state.witness.image == IMAGE
    await counts(cloud, "h1")


async def test_a_guest_spawned_off_stays_off(cloud: Cloud, h1: Driver) -> None:
    """A spawn that does not ask for power makes disk and definition only."""
    state = await h1.spawn(spec(is_powered_on=False))
    assert (state.power, state.is_defined, state.has_disk) == (Power.SHUTDOWN, True, True)
    assert state.witness == DiskWitness(image=IMAGE)
    assert cloud.truth("h1") == (state,)


async def test_a_disk_starts_as_the_bytes_of_its_image(h1: Driver) -> None:
    """Behind the witness block a fresh disk is its image."""
    await h1.spawn(spec(is_powered_on=False))
    assert (await all_of(h1))[WITNESS_BYTES:] == IMAGE_BYTES


async def test_a_repeated_spawn_leaves_the_running_guest_alone(cloud: Cloud, h1: Driver) -> None:
    """A spawn that comes again neither boots again nor loses the count."""
    first = await h1.spawn(spec())
    await counts(cloud, "h1")
    again = await h1.spawn(spec())
    assert again.witness is not None
    assert first.witness is not None
    assert again.witness.boots == first.witness.boots
    assert again.witness.counter > first.witness.counter


async def test_a_repeated_spawn_does_not_make_the_disk_again(cloud: Cloud, h1: Driver) -> None:
    """A disk that is there keeps what the guest wrote, though the image is gone."""
    before = await stopped(cloud, h1)
    await cloud.images.delete(IMAGE)
    again = await h1.spawn(spec(is_powered_on=False))
    assert again.witness == before


async def test_a_spawn_without_its_image_leaves_nothing(cloud: Cloud, h1: Driver) -> None:
    """An image that does not exist is named, and no trace of a guest is left."""
    with pytest.raises(NotFound):
        await h1.spawn(spec(image="missing"))
    assert await h1.guest(SERVER) is None
    assert cloud.truth("h1") == ()


class BadImages:
    """An image partner whose images break when they are read."""

    def __init__(self, good: ImageFiles, *, is_cut: bool) -> None:
        self._good = good
        self._is_cut = is_cut

    async def write(self, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        return await self._good.write(image, chunks)

    async def read(self, image: str) -> AsyncGenerator[bytes, None]:
        async for chunk in self._good.read(image):
            yield chunk[:-1] + b"!"
            if self._is_cut:
                raise ConnectionResetError

    async def digest(self, image: str) -> ImageDigest | None:
        return await self._good.digest(image)

    async def delete(self, image: str) -> None:
        await self._good.delete(image)

    async def names(self) -> tuple[str, ...]:
        return await self._good.names()


@pytest.mark.parametrize(("is_cut", "error"), [(True, ConnectionResetError), (False, ImageDamaged)])
async def test_no_disk_is_made_of_a_bad_download(
    cloud: Cloud, h1: Driver, is_cut: bool, error: type[Exception]
) -> None:
    """A download that breaks off, or is not what was registered, leaves nothing, and the next try succeeds."""
    await h1.guests()
    images = BadImages(cloud.images, is_cut=is_cut)
    with pytest.raises(error):
        await cloud.driver("h2", images=images).spawn(spec())
    assert cloud.truth("h2") == ()
    state = await cloud.driver("h2", images=cloud.images).spawn(spec())
    assert state.power is Power.RUNNING


async def test_a_disk_of_another_image_is_never_booted_by_a_spawn(cloud: Cloud, h1: Driver) -> None:
    """A leftover disk is refused, and kept: it may be the last copy of somebody's data."""
    before = await stopped(cloud, h1)
    await cloud.images.write("snapshot", chunked(IMAGE_BYTES))
    with pytest.raises(HypervisorFailed):
        await h1.spawn(spec(image="snapshot", permit=2))
    assert found(cloud, "h1").witness == before
    assert is_off(cloud, "h1")


# --- power and permits -----------------------------------------------------------------------------------------


async def test_a_stopped_guest_continues_its_count(cloud: Cloud, h1: Driver) -> None:
    """Off and on again, each done twice: one more boot, and the count goes on."""
    before = await stopped(cloud, h1)
    await h1.power_off(SERVER)
    assert found(cloud, "h1").witness == before
    await h1.power_on(SERVER, permit=1)
    await h1.power_on(SERVER, permit=1)
    after = found(cloud, "h1").witness
    assert after is not None
    assert after.boots == (*before.boots, Boot(host="h1", permit=1, number=2))
    assert after.counter >= before.counter
    await counts(cloud, "h1")


async def test_a_guest_that_died_is_seen_as_off(cloud: Cloud, h1: Driver) -> None:
    """A killed guest is SHUTDOWN, keeps its definition, and starts again."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    cloud.kill("h1")
    await until(lambda: is_off(cloud, "h1"))
    state = await h1.guest(SERVER)
    assert state is not None
    assert (state.power, state.is_defined) == (Power.SHUTDOWN, True)
    await h1.power_on(SERVER, permit=2)
    assert found(cloud, "h1").permit == 2


async def test_a_paused_guest_does_not_count(cloud: Cloud, h1: Driver) -> None:
    """Pausing, twice, holds the count exactly; unpausing, twice, lets it go on without a boot."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    await h1.pause(SERVER)
    held = found(cloud, "h1")
    await h1.pause(SERVER)
    assert held.power is Power.PAUSED
    first, second = await all_of(h1), await all_of(h1)
    assert first == second
    assert found(cloud, "h1") == held
    await h1.unpause(SERVER)
    await h1.unpause(SERVER)
    await counts(cloud, "h1")
    after = found(cloud, "h1")
    assert after.witness is not None
    assert held.witness is not None
    assert (after.power, after.witness.boots) == (Power.RUNNING, held.witness.boots)


async def test_powering_on_lets_a_paused_guest_go_on(cloud: Cloud, h1: Driver) -> None:
    """A paused guest that is powered on runs."""
    await h1.spawn(spec())
    await h1.pause(SERVER)
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")


async def test_a_paused_guest_can_be_stopped(cloud: Cloud, h1: Driver) -> None:
    """A paused guest powers off, and is no longer paused when it is started."""
    await h1.spawn(spec())
    await h1.pause(SERVER)
    await h1.power_off(SERVER)
    assert is_off(cloud, "h1")
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")


async def test_a_stopped_guest_can_be_neither_paused_nor_unpaused(cloud: Cloud, h1: Driver) -> None:
    """What needs a running guest says that it is off."""
    await stopped(cloud, h1)
    with pytest.raises(GuestBusy):
        await h1.pause(SERVER)
    with pytest.raises(GuestBusy):
        await h1.unpause(SERVER)


async def test_no_start_by_another_permit_than_the_one_in_use(cloud: Cloud, h1: Driver) -> None:
    """A guest that runs is not said to run by a permit it was not started with."""
    await h1.spawn(spec(permit=2))
    for permit in (1, 3):
        with pytest.raises(PermitRefused):
            await h1.power_on(SERVER, permit=permit)
        with pytest.raises(PermitRefused):
            await h1.spawn(spec(permit=permit))
    assert found(cloud, "h1").permit == 2


async def test_no_start_by_a_permit_older_than_the_last(cloud: Cloud, h1: Driver) -> None:
    """A start that comes too late is refused, also when the guest is off."""
    await h1.spawn(spec(permit=5))
    await h1.power_off(SERVER)
    with pytest.raises(PermitRefused):
        await h1.power_on(SERVER, permit=4)
    with pytest.raises(PermitRefused):
        await h1.define(spec(permit=4))
    assert is_off(cloud, "h1")


# --- moves -----------------------------------------------------------------------------------------------------


async def test_a_guest_spawned_from_a_snapshot_continues_on_another_host(cloud: Cloud, h1: Driver) -> None:
    """Count and boots travel with the snapshot; the disk says what it was made from."""
    before = await stopped(cloud, h1)
    await cloud.images.write("snapshot", h1.snapshot(SERVER))
    h2 = cloud.driver("h2")
    state = await h2.spawn(spec(image="snapshot", permit=2, is_powered_on=False))
    assert state.witness is not None
    assert (state.witness.counter, state.witness.boots) == (before.counter, before.boots)
    await h2.power_on(SERVER, permit=2)
    await counts(cloud, "h2")
    after = found(cloud, "h2").witness
    assert after is not None
    assert after.counter > before.counter
    assert after.boots == (*before.boots, Boot(host="h2", permit=2, number=2))
    assert after.image == "snapshot"


async def test_a_running_guest_has_no_snapshot(cloud: Cloud, h1: Driver) -> None:
    """A disk that changes is not read."""
    await h1.spawn(spec())
    with pytest.raises(GuestBusy):
        await all_of(h1)
    assert found(cloud, "h1").power is Power.RUNNING


async def test_a_snapshot_of_a_guest_that_is_started_meanwhile_is_refused(cloud: Cloud, h1: Driver) -> None:
    """Bytes from before and after a boot never pass as one disk."""
    await stopped(cloud, h1)

    async def started_halfway() -> AsyncGenerator[bytes, None]:
        async for chunk in h1.snapshot(SERVER):
            await h1.power_on(SERVER, permit=1)
            await h1.power_off(SERVER)
            yield chunk

    with pytest.raises(GuestBusy):
        await cloud.images.write("snapshot", started_halfway())
    assert await cloud.images.digest("snapshot") is None


async def test_an_undefined_guest_leaves_its_disk(cloud: Cloud, h1: Driver) -> None:
    """Undefining, twice, stops the guest and forgets it; the disk stays as it was at the stop."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    await h1.undefine(SERVER)
    state = found(cloud, "h1")
    await h1.undefine(SERVER)
    assert found(cloud, "h1") == state
    assert (state.is_defined, state.power, state.has_disk, state.permit) == (False, Power.SHUTDOWN, True, None)
    with pytest.raises(GuestNotFound):
        await h1.power_on(SERVER, permit=1)


async def test_a_guest_defined_over_its_disk_continues(cloud: Cloud, h1: Driver) -> None:
    """Define, twice, brings the guest back off; started, it counts on from where it was."""
    before = await stopped(cloud, h1)
    await h1.undefine(SERVER)
    state = await h1.define(spec(permit=3, is_powered_on=False))
    assert await h1.define(spec(permit=3, is_powered_on=False)) == state
    assert (state.is_defined, state.power, state.witness) == (True, Power.SHUTDOWN, before)
    await h1.power_on(SERVER, permit=3)
    await counts(cloud, "h1")
    after = found(cloud, "h1").witness
    assert after is not None
    assert after.counter > before.counter
    assert after.boots[-1] == Boot(host="h1", permit=3, number=2)


async def test_define_needs_the_disk(cloud: Cloud, h1: Driver) -> None:
    """Where no disk was kept there is nothing to define a guest over."""
    with pytest.raises(GuestNotFound):
        await h1.define(spec())
    assert cloud.truth("h1") == ()


async def test_a_destroyed_guest_is_gone(cloud: Cloud, h1: Driver) -> None:
    """Destroying, twice, stops a running guest and leaves no disk and no trace."""
    await h1.spawn(spec())
    await h1.destroy(SERVER)
    await h1.destroy(SERVER)
    assert cloud.truth("h1") == ()
    assert await h1.guests() == ()


async def test_a_disk_left_by_undefine_is_destroyed(cloud: Cloud, h1: Driver) -> None:
    """Confirming a move removes the source's disk, though the guest is long forgotten."""
    await stopped(cloud, h1)
    await h1.undefine(SERVER)
    await h1.destroy(SERVER)
    assert cloud.truth("h1") == ()


async def test_a_guest_outlives_its_driver(cloud: Cloud, h1: Driver) -> None:
    """A restarted actor's driver finds the guest running, and can stop it."""
    started = await h1.spawn(spec())
    restarted = cloud.driver("h1")
    state = await restarted.guest(SERVER)
    assert state is not None
    assert started.witness is not None
    assert state.witness is not None
    assert (state.power, state.witness.boots) == (Power.RUNNING, started.witness.boots)
    await counts(cloud, "h1")
    await restarted.power_off(SERVER)
    assert is_off(cloud, "h1")


# --- volumes ---------------------------------------------------------------------------------------------------


async def test_a_volume_connected_to_a_running_guest_gets_its_counter(cloud: Cloud, h1: Driver) -> None:
    """On return the guest writes to the volume, and goes on doing so; connecting again changes nothing."""
    await cloud.volumes.create("v1", 1 << 20)
    await h1.spawn(spec())
    await counts(cloud, "h1")
    for _ in range(2):
        await h1.connect_volume(SERVER, connection(cloud.volumes, "v1"))
        assert found(cloud, "h1").volumes == ("v1",)
        assert volume_counter(cloud, "v1") > 0
    await counts(cloud, "h1")
    await h1.power_off(SERVER)
    assert volume_counter(cloud, "v1") == counter(cloud, "h1")
    page = read_page(cloud.volume_bytes("v1")[:WITNESS_BYTES])
    assert page is not None
    assert page.witness.writer == SERVER


async def test_a_disconnected_volume_is_let_go(cloud: Cloud, h1: Driver) -> None:
    """After disconnecting, done twice, the guest counts on and the volume stays as it was."""
    await cloud.volumes.create("v1", 1 << 20)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await counts(cloud, "h1")
    for _ in range(2):
        await h1.disconnect_volume(SERVER, "v1")
        assert found(cloud, "h1").volumes == ()
    left = cloud.volume_bytes("v1")
    assert volume_counter(cloud, "v1") > 0
    await counts(cloud, "h1")
    assert cloud.volume_bytes("v1") == left


async def test_a_paused_guest_takes_and_lets_go_volumes_without_counting(cloud: Cloud, h1: Driver) -> None:
    """Volumes come and go on a paused guest, which stays paused and where it was."""
    await cloud.volumes.create("v1", 1 << 20)
    await h1.spawn(spec())
    await counts(cloud, "h1")
    await h1.pause(SERVER)
    held = found(cloud, "h1")
    for _ in range(5):
        await h1.connect_volume(SERVER, connection(cloud.volumes, "v1"))
        assert volume_counter(cloud, "v1") == counter(cloud, "h1")
        await h1.disconnect_volume(SERVER, "v1")
        assert found(cloud, "h1") == held


async def test_a_stopped_guest_uses_a_new_volume_from_its_next_start(cloud: Cloud, h1: Driver) -> None:
    """Connecting to a stopped guest writes nothing until it starts."""
    await cloud.volumes.create("v1", 1 << 20)
    before = await stopped(cloud, h1)
    await h1.connect_volume(SERVER, connection(cloud.volumes, "v1"))
    assert volume_counter(cloud, "v1") == 0
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")
    assert volume_counter(cloud, "v1") > before.counter


async def test_a_volume_that_is_not_there_is_named(cloud: Cloud, h1: Driver) -> None:
    """An unreachable volume is refused by each call that would use it, and the guest is as before."""
    gone = connection(cloud.volumes, "gone")
    with pytest.raises(VolumeUnreachable):
        await h1.spawn(spec(volumes=(gone,)))
    assert cloud.truth("h1") == ()
    await h1.spawn(spec())
    with pytest.raises(VolumeUnreachable):
        await h1.connect_volume(SERVER, gone)
    state = found(cloud, "h1")
    assert (state.power, state.volumes) == (Power.RUNNING, ())


async def test_a_guest_that_boots_from_a_volume_moves_without_a_copy(cloud: Cloud, h1: Driver) -> None:
    """Its root disk is the volume: undefined here and spawned there, it counts on, and destroy leaves the bytes."""
    await cloud.volumes.create("root", 1 << 20)
    root = connection(cloud.volumes, "root", boot_index=0)
    state = await h1.spawn(spec(image=None, volumes=(root,)))
    assert (state.has_disk, state.volumes) == (False, ("root",))
    await counts(cloud, "h1")
    with pytest.raises(GuestNotFound):
        await all_of(h1)
    await h1.undefine(SERVER)
    assert cloud.truth("h1") == ()
    left = volume_counter(cloud, "root")
    h2 = cloud.driver("h2")
    await h2.spawn(spec(image=None, volumes=(root,), permit=2))
    await counts(cloud, "h2")
    witness = found(cloud, "h2").witness
    assert witness is not None
    assert witness.counter > left
    assert [(boot.host, boot.permit) for boot in witness.boots] == [("h1", 1), ("h2", 2)]
    await h2.destroy(SERVER)
    assert volume_counter(cloud, "root") > left


async def test_a_volume_may_be_connected_by_another_attachment(cloud: Cloud, h1: Driver) -> None:
    """The new attachment takes the old one's place: the volume is connected once."""
    await cloud.volumes.create("v1", 1 << 20)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await h1.connect_volume(SERVER, replace(connection(cloud.volumes, "v1"), attachment="another"))
    assert found(cloud, "h1").volumes == ("v1",)


async def test_a_guest_keeps_the_root_disk_it_was_defined_with(cloud: Cloud, h1: Driver) -> None:
    """No connecting or disconnecting takes a guest's root disk away, gives it a second, or makes it a data volume."""
    for volume in ("root", "v1"):
        await cloud.volumes.create(volume, 1 << 20)
    root = connection(cloud.volumes, "root", boot_index=0)
    await h1.spawn(spec(image=None, volumes=(root,), is_powered_on=False))
    before = found(cloud, "h1")
    for wrong in (connection(cloud.volumes, "root"), connection(cloud.volumes, "v1", boot_index=0)):
        with pytest.raises(InvalidValue):
            await h1.connect_volume(SERVER, wrong)
    with pytest.raises(InvalidValue):
        await h1.disconnect_volume(SERVER, "root")
    await h1.connect_volume(SERVER, replace(root, attachment="another"))
    assert found(cloud, "h1") == before


async def test_a_spawn_cut_off_in_the_middle_leaves_nothing(cloud: Cloud, h1: Driver) -> None:
    """A spawn cancelled while it downloads leaves no trace, and holds up no later call."""
    await h1.guests()

    class Stuck(BadImages):
        async def read(self, image: str) -> AsyncGenerator[bytes, None]:
            async for chunk in super().read(image):
                yield chunk
                scope.cancel()
                await anyio.sleep_forever()

    h2 = cloud.driver("h2", images=Stuck(cloud.images, is_cut=False))
    with anyio.CancelScope() as scope:
        await h2.spawn(spec())
    assert scope.cancelled_caught
    assert cloud.truth("h2") == ()
    await h2.destroy(SERVER)
    assert await h2.guest(SERVER) is None


# --- what is not there -----------------------------------------------------------------------------------------


async def test_what_is_to_be_gone_may_be_gone_already(cloud: Cloud, h1: Driver) -> None:
    """Calls that take away find nothing to do, and leave nothing behind."""
    await h1.power_off(SERVER)
    await h1.disconnect_volume(SERVER, "v1")
    await h1.undefine(SERVER)
    await h1.destroy(SERVER)
    assert await h1.guest(SERVER) is None
    assert cloud.truth("h1") == ()


async def test_what_is_to_be_acted_on_must_be_there(cloud: Cloud, h1: Driver) -> None:
    """Calls that need a guest name the server and the host when there is none."""
    await cloud.volumes.create("v1", 1 << 20)
    calls = (
        h1.power_on(SERVER, permit=1),
        h1.pause(SERVER),
        h1.unpause(SERVER),
        h1.connect_volume(SERVER, connection(cloud.volumes, "v1")),
        all_of(h1),
    )
    for call in calls:
        with pytest.raises(GuestNotFound, match=f"host h1 .* server {SERVER}"):
            await call


async def test_a_server_s_name_never_leads_out_of_the_directory(h1: Driver) -> None:
    """A name that is no name is refused before anything is looked at."""
    for name in ("", "..", "../x", "/etc", ".hidden", "a/b", "a\n", "x" * 200):
        with pytest.raises(InvalidName):
            await h1.guest(name)
        with pytest.raises(InvalidName):
            await h1.destroy(name)


async def test_a_guest_has_one_root_disk(cloud: Cloud) -> None:
    """A guest with no root disk, or with two, cannot be described."""
    root = connection(cloud.volumes, "root", boot_index=0)
    with pytest.raises(InvalidValue):
        spec(image=None)
    with pytest.raises(InvalidValue):
        spec(image=IMAGE, volumes=(root,))
