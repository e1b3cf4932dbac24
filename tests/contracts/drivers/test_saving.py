"""What every hypervisor driver promises of a guest that is stopped where it is, and goes on here or elsewhere."""

from __future__ import annotations

import pytest

from actors.compute.drivers.base import Driver, Power
from actors.compute.drivers.imaging import without_boots
from protocol.errors import GuestBusy, GuestNotFound, PermitRefused
from tests.guests import SERVER, Cloud, connection, counter, counts, found, spec

pytestmark = pytest.mark.anyio


def starts(cloud: Cloud, host: str) -> list[tuple[str, int]]:
    """Tell of the starts that a guest's disk knows of."""
    witness = found(cloud, host).witness
    assert witness is not None
    return [(boot.host, boot.permit) for boot in witness.boots]


async def test_a_guest_that_was_saved_goes_on_from_there(cloud: Cloud, h1: Driver) -> None:
    """By another permit, by a restarted actor, and each call twice: it is off in between, and was started once."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    memory = await h1.save(SERVER)
    assert await cloud.driver("h1").save(SERVER) == memory
    assert (found(cloud, "h1").power, counter(cloud, "h1")) == (Power.SHUTDOWN, memory.counter)
    for _ in range(2):
        await cloud.driver("h1").restore(SERVER, permit=2)
    await counts(cloud, "h1")
    assert starts(cloud, "h1") == [("h1", 1)]
    with pytest.raises(PermitRefused):
        await h1.restore(SERVER, permit=1)


async def test_a_guest_goes_on_at_another_host_with_all_that_it_wrote_since_its_disk_was_copied(
    cloud: Cloud, h1: Driver
) -> None:
    """The disk came before, while the guest ran; its memory brings what is newer. It is not started there."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    await cloud.images.write("copy", without_boots(h1.live_snapshot(SERVER)))
    h2 = cloud.driver("h2")
    await h2.spawn(spec(image="copy", is_powered_on=False))
    await counts(cloud, "h1")
    memory = await h1.save(SERVER)
    for _ in range(2):
        state = await h2.receive(spec(image="copy", permit=2), memory)
        assert (state.power, state.permit) == (Power.RUNNING, 2)
    assert counter(cloud, "h2") >= memory.counter
    await counts(cloud, "h2")
    assert starts(cloud, "h2") == [("h1", 1)]
    await h1.destroy(SERVER)
    await h2.power_off(SERVER)
    await h2.power_on(SERVER, permit=2)
    assert starts(cloud, "h2") == [("h1", 1), ("h2", 2)], "that is a start"


async def test_a_root_volume_and_others_go_along(cloud: Cloud, h1: Driver) -> None:
    """They are the same bytes at both hosts; nothing is copied."""
    for volume in ("root", "data"):
        await cloud.volumes.create(volume, 1 << 20)
    volumes = (connection(cloud.volumes, "root", boot_index=0), connection(cloud.volumes, "data"))
    await h1.spawn(spec(image=None, volumes=volumes))
    await counts(cloud, "h1")
    memory = await h1.save(SERVER)
    h2 = cloud.driver("h2")
    await h2.receive(spec(image=None, volumes=volumes, permit=2), memory)
    await counts(cloud, "h2")
    assert starts(cloud, "h2") == [("h1", 1)]
    await h2.power_off(SERVER)
    # The disk was written to since: what the first host's guest knew is of no use any more.
    await h1.restore(SERVER, permit=3)
    assert starts(cloud, "h1") == [("h1", 1), ("h1", 3)]
    assert counter(cloud, "h1") >= memory.counter


async def test_a_saved_guest_that_is_started_has_forgotten_what_it_knew(cloud: Cloud, h1: Driver) -> None:
    """As every start: off and saved no more, it is not restored either."""
    await h1.spawn(spec())
    await h1.save(SERVER)
    await h1.power_on(SERVER, permit=1)
    assert starts(cloud, "h1") == [("h1", 1), ("h1", 1)]
    await h1.power_off(SERVER)
    await h1.restore(SERVER, permit=1)
    assert found(cloud, "h1").power is Power.SHUTDOWN
    with pytest.raises(GuestBusy):
        await h1.save(SERVER)


async def test_what_is_not_there_is_neither_saved_nor_received(cloud: Cloud, h1: Driver) -> None:
    """By name: no guest, no disk."""
    with pytest.raises(GuestNotFound):
        await h1.save(SERVER)
    await h1.spawn(spec())
    memory = await h1.save(SERVER)
    with pytest.raises(GuestNotFound):
        await cloud.driver("h2").receive(spec(permit=2), memory)
