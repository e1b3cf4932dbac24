"""Making a disk from an image: downloaded, verified, and laid out, whatever the driver keeps disks in."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.compute.drivers.disk import WITNESS_BYTES, DiskMaker, read_page, write_page
from actors.partners.ports import ImageDigest, ImageFiles
from protocol.errors import ImageDamaged, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.compute.drivers.disk import Boot


async def disk_chunks(
    images: ImageFiles, image: str, *, boots: tuple[Boot, ...] | None = None
) -> AsyncGenerator[bytes, None]:
    """Give the bytes of a disk made from the image.  They are good only when the end comes without an error.

    With `boots` it tells of these starts instead of the image's.

    Raises `NotFound` when there is no such image, and `ImageDamaged` at the end.
    """
    expected = await images.digest(image)
    if expected is None:
        raise NotFound(kind="image", name=image)
    maker, size_bytes, sha256 = DiskMaker(image, boots=boots), 0, hashlib.sha256()
    async with aclosing(images.read(image)) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk)
            sha256.update(chunk)
            yield maker.feed(chunk)
    found = ImageDigest(size_bytes=size_bytes, sha256=sha256.hexdigest())
    if found != expected:
        raise ImageDamaged(image=image, expected=str(expected), found=str(found))
    yield maker.finish()


async def without_boots(disk: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Give a disk's bytes as those of an image of which others are made: it tells of no starts, and of no writer."""
    start: bytearray | None = bytearray()
    async with aclosing(disk) as chunks:
        async for chunk in chunks:
            if start is None:
                yield chunk
                continue
            start += chunk
            if len(start) >= WITNESS_BYTES:
                yield _unused(start)
                start = None
    if start is not None:
        yield bytes(start)


def _unused(start: bytearray) -> bytes:
    page = read_page(start)
    if page is not None:
        write_page(start, page.after(replace(page.witness, boots=(), writer="")))
    return bytes(start)
