"""Images and volumes in memory, for the simulator and for tests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

from actors.partners.ports import IMAGE_BYTES_MAX, ImageDigest, check_name
from protocol.errors import ImageTooLarge, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

CHUNK_BYTES: Final = 64 * 1024


class MemoryImages:
    """Images as bytes of a dictionary."""

    def __init__(self, *, size_bytes_max: int = IMAGE_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        self._images: dict[str, tuple[bytes, ImageDigest]] = {}

    async def write(self, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        """Collect the bytes, then keep them."""
        check_name("image", image)
        content = bytearray()
        async for chunk in chunks:
            content += chunk
            if len(content) > self._size_bytes_max:
                raise ImageTooLarge(image=image, size_bytes_max=self._size_bytes_max)
        await checkpoint()
        digest = ImageDigest(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        self._images[image] = bytes(content), digest
        return digest

    async def read(self, image: str) -> AsyncGenerator[bytes, None]:
        """Give the bytes in chunks."""
        if check_name("image", image) not in self._images:
            raise NotFound(kind="image", name=image)
        content, _ = self._images[image]
        for start in range(0, len(content), CHUNK_BYTES):
            await checkpoint()
            yield content[start : start + CHUNK_BYTES]

    async def digest(self, image: str) -> ImageDigest | None:
        """Give the digest as of the write."""
        await checkpoint()
        kept = self._images.get(check_name("image", image))
        return kept[1] if kept else None

    async def delete(self, image: str) -> None:
        """Forget the bytes."""
        await checkpoint()
        self._images.pop(check_name("image", image), None)

    async def names(self) -> tuple[str, ...]:
        """List the images by name."""
        await checkpoint()
        return tuple(sorted(self._images))


class MemoryVolumes:
    """Volumes as byte arrays, which several memory drivers share as hosts share a storage network."""

    def __init__(self) -> None:
        self._volumes: dict[str, bytearray] = {}

    async def create(self, volume: str, size_bytes: int) -> None:
        """Make a blank volume.  Like a sparse file it takes no room until it is written."""
        assert size_bytes >= 0
        await checkpoint()
        self._volumes.setdefault(check_name("volume", volume), bytearray())

    def path(self, volume: str) -> str:
        """Tell the volume's path: its name."""
        return check_name("volume", volume)

    async def exists(self, volume: str) -> bool:
        """Tell whether there is such a volume."""
        await checkpoint()
        return check_name("volume", volume) in self._volumes

    async def delete(self, volume: str) -> None:
        """Forget the volume."""
        await checkpoint()
        self._volumes.pop(check_name("volume", volume), None)

    async def names(self) -> tuple[str, ...]:
        """List the volumes by name."""
        await checkpoint()
        return tuple(sorted(self._volumes))

    def content(self, path: str) -> bytearray | None:
        """Give the bytes at a path, to read and to write; None when the volume is gone."""
        return self._volumes.get(path)
