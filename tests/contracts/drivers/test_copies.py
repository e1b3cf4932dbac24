"""What every hypervisor driver promises of a volume that is copied to another while its guest runs."""

from __future__ import annotations

import pytest

from actors.compute.drivers.base import Driver, Power
from actors.compute.drivers.disk import WITNESS_BYTES
from protocol.errors import CellferryError, GuestNotFound, InvalidValue, NotFound, VolumeUnreachable
from tests.driving import stopped, volume_counter
from tests.guests import SERVER, Cloud, connection, counter, counts, found, spec

pytestmark = pytest.mark.anyio

#: Behind the block in which guests count.
USER_DATA = b"what a user has put there"


async def volumes(cloud: Cloud) -> None:
    """Make one with a user's data, and a blank one that is larger."""
    await cloud.volumes.create("v1", 1 << 20)
    await cloud.volumes.create("v2", 1 << 21)
    cloud.write_volume("v1", WITNESS_BYTES + 5000, USER_DATA)


def has_data(cloud: Cloud, volume: str) -> bool:
    start = WITNESS_BYTES + 5000
    return cloud.volume_bytes(volume)[start : start + len(USER_DATA)] == USER_DATA


async def copy(cloud: Cloud, driver: Driver) -> None:
    await driver.copy_volume(SERVER, "v1", connection(cloud.volumes, "v2"))


async def test_a_running_guest_writes_to_both_and_then_to_the_copy(cloud: Cloud, h1: Driver) -> None:
    """On return the copy holds all; the guest goes on with both, and without the first with the copy alone."""
    await volumes(cloud)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await counts(cloud, "h1")
    before = volume_counter(cloud, "v1")
    await copy(cloud, h1)
    assert (found(cloud, "h1").power, found(cloud, "h1").volumes) == (Power.RUNNING, ("v1", "v2"))
    assert has_data(cloud, "v2")
    assert volume_counter(cloud, "v2") >= before > 0
    await counts(cloud, "h1")
    await h1.disconnect_volume(SERVER, "v1")
    left = cloud.volume_bytes("v1")
    assert volume_counter(cloud, "v2") >= volume_counter(cloud, "v1") > before
    await counts(cloud, "h1")
    await h1.power_off(SERVER)
    assert cloud.volume_bytes("v1") == left
    assert volume_counter(cloud, "v2") == counter(cloud, "h1")
    assert found(cloud, "h1").volumes == ("v2",)
    assert has_data(cloud, "v2")


async def test_what_is_copied_is_not_copied_again(cloud: Cloud, h1: Driver) -> None:
    """Done again, it throws away nothing that was written to the copy."""
    await volumes(cloud)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await copy(cloud, h1)
    cloud.write_volume("v2", WITNESS_BYTES + 9000, b"since")
    await copy(cloud, h1)
    await counts(cloud, "h1")
    assert cloud.volume_bytes("v2")[WITNESS_BYTES + 9000 :][:5] == b"since"
    assert found(cloud, "h1").volumes == ("v1", "v2")


async def test_what_was_on_the_other_volume_is_overwritten(cloud: Cloud, h1: Driver) -> None:
    """A volume that somebody had before becomes the copy, to the last byte of the first."""
    await volumes(cloud)
    cloud.write_volume("v2", WITNESS_BYTES + 1, b"old")
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),), is_powered_on=False))
    await copy(cloud, h1)
    original = cloud.volume_bytes("v1")
    assert cloud.volume_bytes("v2")[: len(original)] == original


async def test_a_stopped_guest_finds_the_copy_at_its_next_start(cloud: Cloud, h1: Driver) -> None:
    """The bytes are copied although nobody writes, and the next start uses what is connected then."""
    await volumes(cloud)
    await stopped(cloud, h1)
    await h1.connect_volume(SERVER, connection(cloud.volumes, "v1"))
    await copy(cloud, h1)
    await h1.disconnect_volume(SERVER, "v1")
    assert (found(cloud, "h1").volumes, volume_counter(cloud, "v2")) == (("v2",), 0)
    assert has_data(cloud, "v2")
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")
    assert (volume_counter(cloud, "v1"), volume_counter(cloud, "v2") > 0) == (0, True)


async def test_a_paused_guest_stays_paused(cloud: Cloud, h1: Driver) -> None:
    """The copy holds what the guest had written when it was paused."""
    await volumes(cloud)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await counts(cloud, "h1")
    await h1.pause(SERVER)
    held = counter(cloud, "h1")
    await copy(cloud, h1)
    assert (found(cloud, "h1").power, counter(cloud, "h1")) == (Power.PAUSED, held)
    assert (volume_counter(cloud, "v2"), has_data(cloud, "v2")) == (held, True)


async def test_a_paused_guest_takes_and_lets_go_of_volumes(cloud: Cloud, h1: Driver) -> None:
    """It follows without going on: a new volume has its count as it stands, and one that it let go stays as it was."""
    await volumes(cloud)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await counts(cloud, "h1")
    await h1.pause(SERVER)
    held = counter(cloud, "h1")
    await h1.connect_volume(SERVER, connection(cloud.volumes, "v2"))
    await h1.disconnect_volume(SERVER, "v1")
    assert (found(cloud, "h1").power, found(cloud, "h1").volumes) == (Power.PAUSED, ("v2",))
    assert (counter(cloud, "h1"), volume_counter(cloud, "v1"), volume_counter(cloud, "v2")) == (held, held, held)
    await h1.unpause(SERVER)
    await counts(cloud, "h1")
    assert (volume_counter(cloud, "v1"), volume_counter(cloud, "v2") > held) == (held, True)


async def test_a_copy_is_given_up(cloud: Cloud, h1: Driver) -> None:
    """Without the copy the guest goes on with the first volume, which has missed nothing."""
    await volumes(cloud)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await copy(cloud, h1)
    await h1.disconnect_volume(SERVER, "v2")
    left = cloud.volume_bytes("v2")
    await counts(cloud, "h1")
    await h1.power_off(SERVER)
    assert (cloud.volume_bytes("v2"), found(cloud, "h1").volumes) == (left, ("v1",))
    assert volume_counter(cloud, "v1") == counter(cloud, "h1")


async def test_what_cannot_be_copied_is_refused(cloud: Cloud, h1: Driver) -> None:
    """A volume that the guest has not, a root disk, a copy that is not there: the guest goes on as before."""
    await volumes(cloud)
    with pytest.raises(GuestNotFound):
        await copy(cloud, h1)
    await cloud.volumes.create("root", 1 << 20)
    root = connection(cloud.volumes, "root", boot_index=0)
    await h1.spawn(spec(image=None, volumes=(root, connection(cloud.volumes, "v1"))))
    v2 = connection(cloud.volumes, "v2")
    refusals: list[tuple[type[CellferryError], str, str]] = [
        (NotFound, "v3", "v2"), (InvalidValue, "root", "v2"), (VolumeUnreachable, "v1", "gone"),
    ]  # fmt: skip
    for error, volume, other in refusals:
        with pytest.raises(error):
            await h1.copy_volume(SERVER, volume, connection(cloud.volumes, other))
    with pytest.raises(InvalidValue):
        await h1.copy_volume(SERVER, "v1", connection(cloud.volumes, "v2", boot_index=0))
    assert not any(cloud.volume_bytes(v2.volume))
    assert found(cloud, "h1").volumes == ("root", "v1")
    await counts(cloud, "h1")
