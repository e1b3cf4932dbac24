"""File operations that a crash cannot leave half done.  Standard library only: the guest program uses them too."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable: what was renamed into it, or removed from it."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def hidden(path: Path, kind: str) -> Path:
    """Name a file beside `path` that can be no name of ours, for those begin with a letter or a digit."""
    return path.with_name(f".{path.name}.{kind}")


def replace(path: Path, content: bytes) -> None:
    """Write a small file as a whole: a reader, or a crash, sees the old content or the new."""
    partial = hidden(path, "partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove a small file, if it is there: it does not come back after a crash."""
    if path.exists():
        path.unlink()
        sync_directory(path.parent)


def try_lock(path: Path) -> int | None:
    """Open the file, made if it is missing, and lock it until the descriptor is closed; None when another holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if lock(fd) and is_at(path, fd):
        return fd
    # Held by another, or its last holder renamed or removed the file before we had the lock.
    os.close(fd)
    return None


def lock(fd: int) -> bool:
    """Lock an open file or directory against every other open of it; False when another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(path: Path, fd: int) -> bool:
    """Tell whether `path` still names the open file `fd`."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(fd))
