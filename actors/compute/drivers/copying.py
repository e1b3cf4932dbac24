"""Copying a volume's bytes to another volume: what is a hole in both is not touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES: Final = 256 * 1024


def copy_bytes(original: Path, copy: Path) -> None:
    """Make `copy` begin with all the bytes of `original`, durably; it is never made smaller.

    Whoever was cut off in the middle does it again: what is right already is not written twice.
    """
    with original.open("rb") as source, copy.open("r+b") as target:
        size_bytes = os.fstat(source.fileno()).st_size
        if os.fstat(target.fileno()).st_size < size_bytes:
            target.truncate(size_bytes)
        start: int | None = 0
        while (start := _next_data((source.fileno(), target.fileno()), start or 0, size_bytes)) is not None:
            length = min(CHUNK_BYTES, size_bytes - start)
            wanted = os.pread(source.fileno(), length, start)
            if os.pread(target.fileno(), length, start) != wanted:
                os.pwrite(target.fileno(), wanted, start)
            start += length
        os.fsync(target.fileno())


def _next_data(fds: tuple[int, int], start: int, end: int) -> int | None:
    """Tell where, from `start` on, one of the files has bytes; None: nowhere before `end`."""
    found = [place for fd in fds if (place := _data_after(fd, start)) is not None and place < end]
    return min(found, default=None)


def _data_after(fd: int, start: int) -> int | None:
    try:
        return os.lseek(fd, start, os.SEEK_DATA)
    except OSError:  # Behind the last byte.
        return None
