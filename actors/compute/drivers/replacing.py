"""Replacing a guest's disk file by another one: at every instant there is a whole one under its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actors.compute.drivers import domain
from actors.compute.drivers.disk import BLANK, WITNESS_BYTES, read_page
from actors.partners import durable

if TYPE_CHECKING:
    from pathlib import Path

    from actors.compute.drivers.disk import GuestMemory


def replace(home: Path) -> bool:
    """Put the prepared disk under the disk's name, and keep that one under another; false: there is none prepared."""
    disk, prepared, former = (home / name for name in (domain.DISK, domain.PREPARED, domain.FORMER))
    if not prepared.exists():
        return former.exists()  # It is done already.
    if not former.exists():
        os.link(disk, former)
        durable.sync_directory(home)
    prepared.rename(disk)
    durable.sync_directory(home)
    return True


def restore(home: Path) -> None:
    """Forget the prepared disk, and put the former one under the disk's name again."""
    disk, prepared, former = (home / name for name in (domain.DISK, domain.PREPARED, domain.FORMER))
    prepared.unlink(missing_ok=True)
    if former.exists():
        former.rename(disk)
        former.unlink(missing_ok=True)  # Both were names of one file: then a rename leaves both.
    durable.sync_directory(home)


def keep(home: Path) -> None:
    """Forget the former disk."""
    (home / domain.FORMER).unlink(missing_ok=True)
    durable.sync_directory(home)


def write_memory(root: Path, memory: GuestMemory, server: str) -> None:
    """Have a root disk say what a guest knows that goes on from it."""
    fd = os.open(root, os.O_RDWR)
    try:
        page = read_page(os.pread(fd, WITNESS_BYTES, 0)) or BLANK
        after = page.after(memory.onto(page.witness, writer=server))
        os.pwrite(fd, after.encode(), after.offset)
        os.fsync(fd)
    finally:
        os.close(fd)
