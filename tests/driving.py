"""What the contract of hypervisor drivers does again and again with a guest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from actors.compute.drivers.base import Driver
from actors.compute.drivers.disk import WITNESS_BYTES, DiskWitness, read_page
from actors.partners.ports import ImageDigest, ImageFiles
from tests.guests import (
    SERVER,
    Cloud,
    counts,
    found,
    spec,
)


async def all_of(driver: Driver) -> bytes:
    return b"".join([chunk async for chunk in driver.snapshot(SERVER)])


async def stopped(cloud: Cloud, driver: Driver) -> DiskWitness:
    """Spawn the guest, let it count, and stop it."""
    await driver.spawn(spec())
    await counts(cloud, "h1")
    await driver.power_off(SERVER)
    witness = found(cloud, "h1").witness
    assert witness is not None
    return witness


def volume_counter(cloud: Cloud, volume: str) -> int:
    page = read_page(cloud.volume_bytes(volume)[:WITNESS_BYTES])
    return page.witness.counter if page else 0


class BadImages:
    """An image partner whose images break when they are read."""

    def __init__(self, good: ImageFiles, *, is_cut: bool) -> None:
        self._good = good
        self._is_cut = is_cut

    async def write(self, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        return await self._good.write(image, chunks)

    async def read(self, image: str) -> AsyncGenerator[bytes, None]:
        async for chunk in self._good.read(image):
            yield chunk[:-1] + b"!"
            if self._is_cut:
                raise ConnectionResetError

    async def digest(self, image: str) -> ImageDigest | None:
        return await self._good.digest(image)

    async def delete(self, image: str) -> None:
        await self._good.delete(image)

    async def names(self) -> tuple[str, ...]:
        return await self._good.names()
