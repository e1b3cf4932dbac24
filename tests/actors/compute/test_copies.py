"""A volume's copy that breaks off: nothing is lost, and the guest is not left waiting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from actors.compute.drivers.copying import CHUNK_BYTES, copy_bytes
from actors.compute.drivers.home import GuestHome
from actors.compute.drivers.process import ProcessDriver
from protocol.errors import HypervisorFailed
from tests.driving import volume_counter
from tests.guests import IMAGE, IMAGE_BYTES, SERVER, ProcessCloud, chunked, connection, counter, counts, found, spec

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(real_loop: str) -> str:
    return real_loop


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ProcessCloud]:
    processes = ProcessCloud(tmp_path)
    yield processes
    processes.close()


@pytest.fixture
async def h1(cloud: ProcessCloud) -> ProcessDriver:
    """A host whose guest has a volume."""
    await cloud.images.write(IMAGE, chunked(IMAGE_BYTES))
    for volume in ("v1", "v2"):
        await cloud.volumes.create(volume, 1 << 20)
    driver = cloud.driver("h1")
    await driver.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    await counts(cloud, "h1")
    return driver


async def broken_off(cloud: ProcessCloud) -> int:
    """Leave what a driver leaves that dies while it copies: a guest that writes nothing."""
    home = GuestHome(cloud.home("h1") / SERVER, host="h1")
    await home.quiesce()
    before = counter(cloud, "h1")
    await home.quiesce()
    assert counter(cloud, "h1") == before == volume_counter(cloud, "v1")
    return before


async def test_a_copy_that_broke_off_is_made_by_the_next_try(cloud: ProcessCloud, h1: ProcessDriver) -> None:
    """The guest waits for the copy, and goes on with both volumes."""
    before = await broken_off(cloud)
    await h1.copy_volume(SERVER, "v1", connection(cloud.volumes, "v2"))
    assert volume_counter(cloud, "v2") >= before
    await counts(cloud, "h1")
    assert found(cloud, "h1").volumes == ("v1", "v2")


async def test_a_copy_that_broke_off_is_given_up(cloud: ProcessCloud, h1: ProcessDriver) -> None:
    """To take the other volume away, which the guest has not got yet, lets it go on."""
    await broken_off(cloud)
    await h1.disconnect_volume(SERVER, "v2")
    await counts(cloud, "h1")
    assert found(cloud, "h1").volumes == ("v1",)


async def test_a_stop_and_a_start_end_the_wait(cloud: ProcessCloud, h1: ProcessDriver) -> None:
    """Whatever a broken copy left, a guest that is started counts."""
    await broken_off(cloud)
    await h1.power_off(SERVER)
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")


async def test_a_copy_that_cannot_be_written_is_refused(cloud: ProcessCloud, h1: ProcessDriver) -> None:
    """The guest goes on with its volume alone."""
    await anyio.Path(cloud.volumes.path("v3")).mkdir()
    with pytest.raises(HypervisorFailed):
        await h1.copy_volume(SERVER, "v1", connection(cloud.volumes, "v3"))
    await counts(cloud, "h1")
    assert found(cloud, "h1").volumes == ("v1",)


def test_holes_stay_holes(tmp_path: Path) -> None:
    """What neither volume has is neither read nor written; what only one has is right after."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    size_bytes = 64 * CHUNK_BYTES
    for path in (original, copy):
        path.write_bytes(b"")
    with original.open("r+b") as file:
        file.truncate(size_bytes - 7)
        file.seek(5 * CHUNK_BYTES + 3)
        file.write(b"new")
        file.seek(size_bytes - 10)
        file.write(b"end")
    with copy.open("r+b") as file:
        file.truncate(2 * size_bytes)
        file.seek(40 * CHUNK_BYTES)
        file.write(b"old")
    for _ in range(2):
        copy_bytes(original, copy)
        assert copy.read_bytes() == original.read_bytes() + bytes(size_bytes + 7)
        assert copy.stat().st_blocks * 512 <= 8 * CHUNK_BYTES
    small = tmp_path / "small"
    small.write_bytes(b"")
    copy_bytes(original, small)
    assert small.read_bytes() == original.read_bytes()
