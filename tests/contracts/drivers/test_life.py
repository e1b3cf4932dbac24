"""What every hypervisor driver promises of a guest's life: spawn, power, permits, and what is not there."""

from __future__ import annotations

import pytest

from actors.compute.drivers.base import Boot, Driver, NetworkInfo, Power
from actors.compute.drivers.disk import WITNESS_BYTES, DiskWitness
from protocol.errors import (
    GuestBusy,
    GuestNotFound,
    HypervisorFailed,
    ImageDamaged,
    InvalidName,
    InvalidValue,
    NotFound,
    PermitRefused,
)
from tests.driving import BadImages, all_of, stopped
from tests.guests import (
    IMAGE,
    IMAGE_BYTES,
    SERVER,
    Cloud,
    chunked,
    connection,
    counts,
    found,
    is_off,
    spec,
    until,
)

pytestmark = pytest.mark.anyio


# --- network ---------------------------------------------------------------------------------------------------


async def test_what_was_last_applied_of_a_network_can_be_read(cloud: Cloud, h1: Driver) -> None:
    """Of each kind the last, by a restarted actor too; a guest that runs is not disturbed; it goes with the guest."""
    with pytest.raises(GuestNotFound):
        await h1.apply_network(SERVER, network("c0", is_reset=True))
    assert await h1.networks(SERVER) == ()
    await h1.spawn(spec())
    for by, is_reset in (("c1", True), ("c2", False), ("c3", True), ("c3", True)):
        await h1.apply_network(SERVER, network(by, is_reset=is_reset))
    assert await cloud.driver("h1").networks(SERVER) == (network("c2", is_reset=False), network("c3", is_reset=True))
    await counts(cloud, "h1")
    witness = found(cloud, "h1").witness
    assert witness is not None
    assert witness.boots_total == 1
    await h1.undefine(SERVER)
    assert await h1.networks(SERVER) == ()
    assert found(cloud, "h1").has_disk


def network(by: str, *, is_reset: bool) -> NetworkInfo:
    """Describe a port of the guest of these tests."""
    return NetworkInfo(by=by, ports=(("p1", "fa:16:3e:00:00:01"),), is_reset=is_reset)


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


@pytest.mark.proves("R106")
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


async def test_a_suspended_guest_goes_on_where_it_was(cloud: Cloud, h1: Driver) -> None:
    """Suspending, twice, ends it and keeps its count exactly; to go on, twice, is no boot."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    await h1.suspend(SERVER)
    held = found(cloud, "h1")
    await h1.suspend(SERVER)
    assert (held.power, held.is_defined, held.permit) == (Power.SUSPENDED, True, 1)
    assert await h1.guest(SERVER) == held == found(cloud, "h1")
    with pytest.raises(GuestBusy):
        await h1.pause(SERVER)
    await h1.power_on(SERVER, permit=1)
    await h1.power_on(SERVER, permit=1)
    after = found(cloud, "h1")
    assert held.witness is not None
    assert after.witness is not None
    assert (after.power, after.witness.boots) == (Power.RUNNING, held.witness.boots)
    assert after.witness.counter >= held.witness.counter
    await counts(cloud, "h1")


async def test_a_paused_guest_can_be_suspended_and_then_runs(cloud: Cloud, h1: Driver) -> None:
    """It is not held any more when it goes on."""
    await h1.spawn(spec())
    await h1.pause(SERVER)
    await h1.suspend(SERVER)
    assert found(cloud, "h1").power is Power.SUSPENDED
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")


async def test_a_suspended_guest_that_is_stopped_boots_when_it_is_started(cloud: Cloud, h1: Driver) -> None:
    """What it would have gone on with is gone; its disk is not."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    await h1.suspend(SERVER)
    before = found(cloud, "h1").witness
    await h1.power_off(SERVER)
    assert is_off(cloud, "h1")
    await h1.power_on(SERVER, permit=1)
    after = found(cloud, "h1").witness
    assert before is not None
    assert after is not None
    assert after.boots == (*before.boots, Boot(host="h1", permit=1, number=2))
    assert after.counter >= before.counter


async def test_a_suspended_guest_and_its_disk_can_be_removed(cloud: Cloud, h1: Driver) -> None:
    """Forgotten, it is a disk like any other; destroyed, nothing is left."""
    await h1.spawn(spec())
    await h1.suspend(SERVER)
    await h1.undefine(SERVER)
    assert (found(cloud, "h1").power, found(cloud, "h1").has_disk) == (Power.SHUTDOWN, True)
    await h1.define(spec(permit=2))
    await h1.suspend(SERVER)
    await h1.destroy(SERVER)
    assert cloud.truth("h1") == ()


async def test_a_stopped_guest_can_be_neither_paused_nor_unpaused_nor_suspended(cloud: Cloud, h1: Driver) -> None:
    """What needs a running guest says that it is off."""
    await stopped(cloud, h1)
    with pytest.raises(GuestBusy):
        await h1.suspend(SERVER)
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


async def test_a_machine_tells_how_long_it_is_up(cloud: Cloud, h1: Driver) -> None:
    """It only ever grows, and nothing is needed for it."""
    first = await h1.uptime()
    assert first.up_s >= 0
    await h1.spawn(spec())
    await counts(cloud, "h1")
    later = await h1.uptime()
    assert later.up_s > first.up_s
    assert len(later.loads) == len(first.loads) == 3


async def test_a_running_guest_has_a_console_and_counters_and_each_start_another_port(cloud: Cloud, h1: Driver) -> None:
    """One that is off has none; one that is not there is not found."""
    with pytest.raises(GuestNotFound):
        await h1.console(SERVER)
    await h1.spawn(spec())
    first = await h1.console(SERVER)
    assert await h1.console(SERVER) == first
    traffic = await h1.traffic(SERVER)
    assert traffic is not None
    assert min(traffic.bytes_in, traffic.bytes_out) >= 0
    await h1.power_off(SERVER)
    with pytest.raises(GuestBusy):
        await h1.console(SERVER)
    assert await h1.traffic(SERVER) is None
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")
    assert (await h1.console(SERVER)).port > 0
