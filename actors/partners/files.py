"""Images and volumes as files in a directory that all hosts see."""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING, BinaryIO, Final

import anyio.to_thread

from actors.partners import durable
from actors.partners.names import NAME
from actors.partners.polling import poll
from actors.partners.ports import IMAGE_BYTES_MAX, ImageDigest, check_name
from protocol.errors import ImageTooLarge, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable
    from pathlib import Path

CHUNK_BYTES: Final = 256 * 1024
#: How often a writer looks whether an earlier writer of the same image has ended.  Only a retry ever waits.
LOCK_POLL_S: Final = 0.05

#: An image's file ends with its digest, so that bytes and digest are renamed into place in one.
_FOOTER: Final = struct.Struct(">8sQ32s")
_MAGIC: Final = b"cf-img-1"


def _names(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in directory.iterdir() if NAME.fullmatch(entry.name)))


class FileImages:
    """Images as files of one directory."""

    def __init__(self, directory: Path, *, size_bytes_max: int = IMAGE_BYTES_MAX) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._size_bytes_max = size_bytes_max

    async def write(self, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        """Write beside the image, make it durable, rename it into place."""
        path = self._path(image)
        partial = durable.hidden(path, "partial")

        def partial_lock() -> int | None:
            return durable.try_lock(partial)

        with os.fdopen(await poll(partial_lock, every_s=LOCK_POLL_S), "wb") as file:
            try:
                file.truncate(0)  # What a crashed writer left.
                digest = await self._fill(file, image, chunks)
                await anyio.to_thread.run_sync(_settle, file, digest, path)
            except FileNotFoundError:
                raise NotFound(kind="image", name=image) from None  # Deleted while it was written.
            finally:
                if durable.is_at(partial, file.fileno()):
                    partial.unlink()
        return digest

    async def _fill(self, file: BinaryIO, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        size_bytes, sha256 = 0, hashlib.sha256()

        def append(chunk: bytes) -> None:
            sha256.update(chunk)
            file.write(chunk)

        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > self._size_bytes_max:
                raise ImageTooLarge(image=image, size_bytes_max=self._size_bytes_max)
            await anyio.to_thread.run_sync(append, chunk)
        return ImageDigest(size_bytes=size_bytes, sha256=sha256.hexdigest())

    async def read(self, image: str) -> AsyncGenerator[bytes, None]:
        """Read the bytes before the footer, in chunks."""
        try:
            file = self._path(image).open("rb")
        except FileNotFoundError:
            raise NotFound(kind="image", name=image) from None
        with file:
            left_bytes = os.fstat(file.fileno()).st_size - _FOOTER.size
            while left_bytes > 0:
                chunk = await anyio.to_thread.run_sync(file.read, min(CHUNK_BYTES, left_bytes))
                if not chunk:
                    return
                left_bytes -= len(chunk)
                yield chunk

    async def digest(self, image: str) -> ImageDigest | None:
        """Read the footer.  A file without one is as good as damaged: its digest fits no bytes."""
        try:
            with self._path(image).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _FOOTER.size))
                footer = file.read()
        except FileNotFoundError:
            return None
        if len(footer) != _FOOTER.size or not footer.startswith(_MAGIC):
            return ImageDigest(size_bytes=0, sha256="")
        _, size_bytes, sha256 = _FOOTER.unpack(footer)
        return ImageDigest(size_bytes=size_bytes, sha256=sha256.hex())

    async def delete(self, image: str) -> None:
        """Remove the file and a broken write's remains."""
        path = self._path(image)
        for file in (path, durable.hidden(path, "partial")):
            file.unlink(missing_ok=True)
        await anyio.to_thread.run_sync(durable.sync_directory, self._directory)

    async def names(self) -> tuple[str, ...]:
        """List the images by name."""
        return await anyio.to_thread.run_sync(_names, self._directory)

    def _path(self, image: str) -> Path:
        return self._directory / check_name("image", image)


def _settle(file: BinaryIO, digest: ImageDigest, path: Path) -> None:
    file.write(_FOOTER.pack(_MAGIC, digest.size_bytes, bytes.fromhex(digest.sha256)))
    file.flush()
    os.fsync(file.fileno())
    durable.hidden(path, "partial").rename(path)
    durable.sync_directory(path.parent)


class FileVolumes:
    """Volumes as sparse files of one directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    async def create(self, volume: str, size_bytes: int) -> None:
        """Make the file, or what is missing of it after a crash."""
        await anyio.to_thread.run_sync(_ensure_size, self._path(volume), size_bytes)

    def path(self, volume: str) -> str:
        """Tell the file's path."""
        return str(self._path(volume))

    async def exists(self, volume: str) -> bool:
        """Tell whether the file is there."""
        return self._path(volume).exists()

    async def delete(self, volume: str) -> None:
        """Remove the file."""
        self._path(volume).unlink(missing_ok=True)
        await anyio.to_thread.run_sync(durable.sync_directory, self._directory)

    async def names(self) -> tuple[str, ...]:
        """List the volumes by name."""
        return await anyio.to_thread.run_sync(_names, self._directory)

    def _path(self, volume: str) -> Path:
        return self._directory / check_name("volume", volume)


def _ensure_size(path: Path, size_bytes: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(fd).st_size < size_bytes:
            os.ftruncate(fd, size_bytes)
        os.fsync(fd)
    finally:
        os.close(fd)
    durable.sync_directory(path.parent)
