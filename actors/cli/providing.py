"""Enters the images and volumes that a cloud's file names; what is there already stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.cell_path import Address
from protocol.messages.partners import RegisterImage, RegisterVolume

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.client import Client
    from actors.ops.sections import ImageSettings, VolumeSettings
    from actors.ops.settings import Cloud
    from actors.partners.ports import ImageDigest, ImageFiles

IMAGE_TEXT: Final = b"made up by cellferry. "
CHUNK_BYTES: Final = 64 * 1024


async def provide(client: Client, cloud: Cloud, images: ImageFiles) -> None:
    """Enter all of them."""
    for image in cloud.images:
        await add_image(client, image.name, await _written(image, images))
    for volume in cloud.volumes:
        await add_volume(client, volume)


async def add_image(client: Client, name: str, made: ImageDigest) -> None:
    """Enter an image whose bytes are written already."""
    entry = RegisterImage(image=name, name=name, size_bytes=made.size_bytes, sha256=made.sha256)
    await client.call(Address(client.root.cell, "image"), entry)


async def add_volume(client: Client, volume: VolumeSettings) -> None:
    """Enter a blank volume."""
    blank = RegisterVolume(volume=volume.name, name=volume.name, size_gb=volume.size_gb)
    await client.call(Address(client.root.cell, "volume"), blank)


async def _written(image: ImageSettings, images: ImageFiles) -> ImageDigest:
    return await images.digest(image.name) or await images.write(image.name, made_up(image.size_bytes))


async def made_up(size_bytes: int) -> AsyncIterator[bytes]:
    """Make an image's bytes up."""
    for start in range(0, size_bytes, CHUNK_BYTES):
        count = min(CHUNK_BYTES, size_bytes - start)
        yield (IMAGE_TEXT * (count // len(IMAGE_TEXT) + 1))[:count]
