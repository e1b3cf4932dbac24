"""What every hypervisor driver promises of a root disk that is replaced by another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from actors.compute.drivers.base import Driver, Power
from protocol.errors import GuestBusy, GuestNotFound, HypervisorFailed, NotFound
from tests.driving import stopped
from tests.guests import SERVER, Cloud, chunked, connection, counts, found, spec

pytestmark = pytest.mark.anyio
CONTENT = b"what the other image holds" * 100


@pytest.fixture
async def other(cloud: Cloud) -> str:
    """Put another image there."""
    await cloud.images.write("other", chunked(CONTENT))
    return "other"


async def test_a_disk_is_prepared_while_the_guest_runs_and_replaces_its_own(
    cloud: Cloud, h1: Driver, other: str
) -> None:
    """Each call twice; the new disk knows of the guest's starts, and the old one is gone when it is kept."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    for _ in range(2):
        await h1.prepare_disk(SERVER, other)
    await counts(cloud, "h1")
    assert found(cloud, "h1").has_spare
    with pytest.raises(GuestBusy):
        await h1.replace_disk(SERVER)
    await h1.power_off(SERVER)
    for _ in range(2):
        await cloud.driver("h1").replace_disk(SERVER)
    witness = found(cloud, "h1").witness
    assert witness is not None
    assert (witness.counter, witness.image, witness.boots_total) == (0, other, 1)
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")
    for _ in range(2):
        await h1.keep_disk(SERVER)
    state = found(cloud, "h1")
    assert (state.has_disk, state.has_spare, state.power) == (True, False, Power.RUNNING)
    assert state.witness is not None
    assert state.witness.boots_total == 2


@pytest.mark.parametrize("is_replaced", [True, False])
async def test_a_disk_that_was_replaced_comes_back_as_it_was(
    cloud: Cloud, h1: Driver, other: str, is_replaced: bool
) -> None:
    """With all that was written on it; what was prepared is gone, replaced or not; a guest that runs is left alone."""
    before = await stopped(cloud, h1)
    await h1.prepare_disk(SERVER, other)
    if is_replaced:
        await h1.replace_disk(SERVER)
    await h1.power_on(SERVER, permit=1)
    if is_replaced:
        with pytest.raises(GuestBusy):
            await h1.restore_disk(SERVER)
        await h1.power_off(SERVER)
    for _ in range(2):
        await cloud.driver("h1").restore_disk(SERVER)
    await h1.power_off(SERVER)
    state = found(cloud, "h1")
    assert (state.has_disk, state.has_spare) == (True, False)
    assert state.witness is not None
    assert state.witness.image == before.image
    assert state.witness.counter >= before.counter


async def _nothing_prepared(cloud: Cloud, driver: Driver) -> None:
    await stopped(cloud, driver)
    await driver.replace_disk(SERVER)


async def _no_image(cloud: Cloud, driver: Driver) -> None:
    await stopped(cloud, driver)
    await driver.prepare_disk(SERVER, "nothing")


async def _no_guest(_cloud: Cloud, driver: Driver) -> None:
    await driver.prepare_disk(SERVER, "cirros")


async def _no_disk(cloud: Cloud, driver: Driver) -> None:
    await cloud.volumes.create("root", 1 << 20)
    root = connection(cloud.volumes, "root", boot_index=0)
    await driver.spawn(spec(image=None, volumes=(root,), is_powered_on=False))
    await driver.prepare_disk(SERVER, "cirros")


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        (_nothing_prepared, HypervisorFailed), (_no_image, NotFound), (_no_guest, GuestNotFound),
        (_no_disk, GuestNotFound),
    ],
)  # fmt: skip
async def test_what_cannot_be_replaced_is_refused_by_name(
    cloud: Cloud, h1: Driver, attempt: Callable[[Cloud, Driver], Awaitable[None]], error: type[Exception]
) -> None:
    """And nothing is left beside a disk."""
    with pytest.raises(error):
        await attempt(cloud, h1)
    assert not any(state.has_spare for state in cloud.truth("h1"))
