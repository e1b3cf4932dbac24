"""Making a disk from an image: downloaded, verified, and laid out, whatever the driver keeps disks in."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from actors.compute.drivers.disk import DiskMaker
from actors.partners.ports import ImageDigest, ImageFiles
from protocol.errors import ImageDamaged, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def disk_chunks(images: ImageFiles, image: str) -> AsyncGenerator[bytes, None]:
    """Give the bytes of a disk made from the image.  They are good only when the end comes without an error.

    Raises `NotFound` when there is no such image, and `ImageDamaged` at the end.
    """
    expected = await images.digest(image)
    if expected is None:
        raise NotFound(kind="image", name=image)
    maker, size_bytes, sha256 = DiskMaker(image), 0, hashlib.sha256()
    async with aclosing(images.read(image)) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk)
            sha256.update(chunk)
            yield maker.feed(chunk)
    found = ImageDigest(size_bytes=size_bytes, sha256=sha256.hexdigest())
    if found != expected:
        raise ImageDamaged(image=image, expected=str(expected), found=str(found))
    yield maker.finish()
