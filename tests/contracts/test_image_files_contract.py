"""What every place for images and volumes promises, run over each: in memory, simulated, and in files."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from actors.partners.files import FileImages, FileVolumes
from actors.partners.memory import MemoryImages, MemoryVolumes
from actors.partners.ports import ImageDigest, ImageFiles, VolumeFiles
from protocol.errors import ImageTooLarge, InvalidName, NotFound
from sim.chance import Chance
from sim.clock import SimLoop
from sim.edges.partners import SimImages, SimVolumes
from sim.history import History
from sim.injector import Injector
from tests.guests import chunked

pytestmark = pytest.mark.anyio
T = TypeVar("T")
SIZE_BYTES_MAX = 300_000
CONTENTS = (b"", b"x", b"some bytes. " * 1000, bytes(SIZE_BYTES_MAX))


@pytest.fixture(params=["memory", "sim", "files"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> tuple[str, dict[str, Any]]:
    return "asyncio", {} if kind == "files" else {"loop_factory": SimLoop}


@pytest.fixture
def images(kind: str, tmp_path: Path) -> ImageFiles:
    if kind != "files":
        images = MemoryImages(size_bytes_max=SIZE_BYTES_MAX)
        return images if kind == "memory" else simulated(SimImages, images)
    return FileImages(tmp_path / "images", size_bytes_max=SIZE_BYTES_MAX)


@pytest.fixture
def volumes(kind: str, tmp_path: Path) -> VolumeFiles:
    if kind != "files":
        return MemoryVolumes() if kind == "memory" else simulated(SimVolumes, MemoryVolumes())
    return FileVolumes(tmp_path / "volumes")


def simulated(store: Callable[..., T], inner: object) -> T:
    """Put a simulated store around one in memory; no faults."""
    history, chance = History(lambda: 0), Chance(0)
    injector = Injector((), chance=chance, history=history)
    return store(inner, history=history, injector=injector, chance=chance)


async def all_of(images: ImageFiles, image: str) -> bytes:
    return b"".join([chunk async for chunk in images.read(image)])


async def broken() -> AsyncIterator[bytes]:
    yield b"the beginning"
    raise ConnectionResetError


# --- images ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", CONTENTS, ids=len)
async def test_an_image_is_read_as_it_was_written(images: ImageFiles, content: bytes) -> None:
    """Bytes and digest come back, for the empty image and for the largest."""
    digest = await images.write("i1", chunked(content, 7_000))
    assert digest == ImageDigest(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    assert await images.digest("i1") == digest
    assert await all_of(images, "i1") == content
    assert await images.names() == ("i1",)


async def test_an_image_written_again_is_the_new_one(images: ImageFiles) -> None:
    """The same bytes again change nothing; others take their place."""
    first = await images.write("i1", chunked(b"one"))
    assert await images.write("i1", chunked(b"one")) == first
    second = await images.write("i1", chunked(b"another"))
    assert await images.digest("i1") == second
    assert await all_of(images, "i1") == b"another"


async def test_a_broken_write_leaves_what_was_there(images: ImageFiles) -> None:
    """A write that breaks off changes neither the image nor the list, and can be tried again."""
    with pytest.raises(ConnectionResetError):
        await images.write("i1", broken())
    assert await images.names() == ()
    digest = await images.write("i1", chunked(b"one"))
    with pytest.raises(ConnectionResetError):
        await images.write("i1", broken())
    assert await images.digest("i1") == digest
    assert await all_of(images, "i1") == b"one"


async def test_a_cancelled_write_leaves_what_was_there(images: ImageFiles) -> None:
    """A write that is given up in the middle leaves nothing, and can be tried again."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"the beginning"
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await images.write("i1", endless())
    assert await images.names() == ()
    await images.write("i1", chunked(b"one"))
    assert await all_of(images, "i1") == b"one"


async def test_an_image_over_the_limit_is_refused(images: ImageFiles) -> None:
    """One byte more than allowed is a named error, and nothing is kept."""
    with pytest.raises(ImageTooLarge, match=str(SIZE_BYTES_MAX)):
        await images.write("i1", chunked(bytes(SIZE_BYTES_MAX + 1), 7_000))
    assert await images.digest("i1") is None
    assert await images.names() == ()


async def test_a_deleted_image_is_gone(images: ImageFiles) -> None:
    """Deleting, twice, leaves no image, no digest and no name."""
    await images.write("i1", chunked(b"one"))
    await images.write("i2", chunked(b"two"))
    for _ in range(2):
        await images.delete("i1")
        assert await images.names() == ("i2",)
    assert await images.digest("i1") is None
    with pytest.raises(NotFound, match="i1"):
        await all_of(images, "i1")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", ".x", "a\n", "x" * 129])
async def test_a_name_never_leads_elsewhere(images: ImageFiles, volumes: VolumeFiles, name: str) -> None:
    """A name that could be a path is refused by every call."""
    with pytest.raises(InvalidName):
        await images.write(name, chunked(b""))
    with pytest.raises(InvalidName):
        await all_of(images, name)
    with pytest.raises(InvalidName):
        await images.digest(name)
    with pytest.raises(InvalidName):
        await images.delete(name)
    with pytest.raises(InvalidName):
        await volumes.create(name, 1)
    with pytest.raises(InvalidName):
        volumes.path(name)
    with pytest.raises(InvalidName):
        await volumes.delete(name)


# --- volumes ---------------------------------------------------------------------------------------------------


async def test_a_volume_is_made_once(volumes: VolumeFiles) -> None:
    """Creating again changes nothing, and volumes are listed by name."""
    for _ in range(2):
        await volumes.create("v2", 1 << 30)
        await volumes.create("v1", 1 << 30)
    assert await volumes.names() == ("v1", "v2")
    assert await volumes.exists("v1")
    assert volumes.path("v1") != volumes.path("v2")


async def test_a_deleted_volume_is_gone(volumes: VolumeFiles) -> None:
    """Deleting, twice, leaves no volume."""
    await volumes.create("v1", 1 << 20)
    for _ in range(2):
        await volumes.delete("v1")
        assert not await volumes.exists("v1")
    assert await volumes.names() == ()


# --- files only ------------------------------------------------------------------------------------------------


@pytest.fixture
def file_images(tmp_path: Path) -> FileImages:
    return FileImages(tmp_path / "images")


@pytest.mark.parametrize("kind", ["files"], indirect=True)
async def test_what_a_crashed_writer_left_is_no_image(file_images: FileImages, tmp_path: Path) -> None:
    """A half-written file is not listed, does not spoil the next write, and goes with the image."""
    left = tmp_path / "images" / ".i1.partial"
    left.write_bytes(bytes(100_000))
    assert await file_images.names() == ()
    await file_images.write("i1", chunked(b"one"))
    assert await all_of(file_images, "i1") == b"one"
    left.write_bytes(b"again")
    await file_images.delete("i1")
    assert list((tmp_path / "images").iterdir()) == []


@pytest.mark.parametrize("kind", ["files"], indirect=True)
async def test_a_broken_write_leaves_no_file(file_images: FileImages, tmp_path: Path) -> None:
    """A write that fails while its process lives takes no room on the disk."""
    with pytest.raises(ConnectionResetError):
        await file_images.write("i1", broken())
    assert list((tmp_path / "images").iterdir()) == []


@pytest.mark.parametrize("kind", ["files"], indirect=True)
async def test_two_writers_of_one_image_do_not_mix(file_images: FileImages) -> None:
    """A retry that overlaps the first write waits for it; the image is whole, and one of the two."""
    contents = [b"a" * 50_000, b"b" * 60_000]
    async with anyio.create_task_group() as group:
        for content in contents:
            group.start_soon(file_images.write, "i1", chunked(content))
    kept = await all_of(file_images, "i1")
    assert kept in contents
    digest = await file_images.digest("i1")
    assert digest is not None
    assert digest.sha256 == hashlib.sha256(kept).hexdigest()


@pytest.mark.parametrize("kind", ["files"], indirect=True)
async def test_a_damaged_image_does_not_fit_its_digest(file_images: FileImages, tmp_path: Path) -> None:
    """The digest is of the bytes that were written, whatever has become of them."""
    digest = await file_images.write("i1", chunked(b"one" * 1000))
    file = tmp_path / "images" / "i1"
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)
    assert await file_images.digest("i1") == digest
    assert hashlib.sha256(await all_of(file_images, "i1")).hexdigest() != digest.sha256
    file.write_bytes(content[:50])
    assert await file_images.digest("i1") != digest


def size(volumes: FileVolumes, volume: str) -> int:
    return Path(volumes.path(volume)).stat().st_size


@pytest.mark.parametrize("kind", ["files"], indirect=True)
async def test_a_volume_keeps_its_bytes_and_its_size(tmp_path: Path) -> None:
    """Creating an existing volume again neither blanks nor shrinks it, and finishes a half-made one."""
    volumes = FileVolumes(tmp_path / "volumes")
    half_made = tmp_path / "volumes" / "v1"
    half_made.write_bytes(b"data")
    await volumes.create("v1", 1 << 20)
    assert size(volumes, "v1") == 1 << 20
    await volumes.create("v1", 1 << 10)
    assert size(volumes, "v1") == 1 << 20
    assert half_made.read_bytes().startswith(b"data")
