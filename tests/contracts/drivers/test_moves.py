"""What every hypervisor driver promises of moves and volumes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import anyio
import pytest

from actors.compute.drivers.base import Boot, Driver, Power
from actors.compute.drivers.disk import WITNESS_BYTES, read_page
from actors.compute.drivers.imaging import without_boots
from protocol.errors import (
    GuestBusy,
    GuestNotFound,
    InvalidValue,
    VolumeUnreachable,
)
from tests.driving import BadImages, all_of, stopped, volume_counter
from tests.guests import (
    IMAGE_BYTES,
    SERVER,
    Cloud,
    connection,
    counter,
    counts,
    found,
    is_off,
    spec,
)

pytestmark = pytest.mark.anyio


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


@pytest.mark.parametrize("is_on", [True, False])
async def test_a_live_snapshot_is_whole_and_its_guest_hears_nothing(cloud: Cloud, h1: Driver, is_on: bool) -> None:
    """It has what was written by some instant of it, and all that the image brought; the guest counts on."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    if not is_on:
        await h1.power_off(SERVER)
    before = counter(cloud, "h1")
    content = b"".join([chunk async for chunk in h1.live_snapshot(SERVER)])
    page = read_page(content[:WITNESS_BYTES])
    assert page is not None
    assert before <= page.witness.counter <= counter(cloud, "h1")
    assert content[WITNESS_BYTES:] == IMAGE_BYTES
    if is_on:
        await counts(cloud, "h1")
    assert found(cloud, "h1").power is (Power.RUNNING if is_on else Power.SHUTDOWN)
    witness = found(cloud, "h1").witness
    assert witness is not None
    assert witness.boots_total == 1


async def test_a_disk_made_of_an_image_of_a_guest_knows_what_was_written_and_of_no_starts(
    cloud: Cloud, h1: Driver
) -> None:
    """Another server that is made of it begins to count its starts anew."""
    before = await stopped(cloud, h1)
    await cloud.images.write("made", without_boots(h1.live_snapshot(SERVER)))
    state = await cloud.driver("h2").spawn(spec(image="made", is_powered_on=False))
    assert state.witness is not None
    assert (state.witness.counter, state.witness.boots, state.witness.image) == (before.counter, (), "made")


async def test_what_has_no_disk_has_no_live_snapshot(cloud: Cloud, h1: Driver) -> None:
    """Neither where nothing is, nor where the root disk is a volume."""
    with pytest.raises(GuestNotFound):
        _ = [chunk async for chunk in h1.live_snapshot(SERVER)]
    await cloud.volumes.create("root", 1 << 20)
    await h1.spawn(spec(image=None, volumes=(connection(cloud.volumes, "root", boot_index=0),), is_powered_on=False))
    with pytest.raises(GuestNotFound):
        _ = [chunk async for chunk in h1.live_snapshot(SERVER)]


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
