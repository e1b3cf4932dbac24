"""What is true of the process driver's guests, read from disks and processes and never from a driver's beliefs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.compute.drivers import domain
from actors.compute.drivers.base import GuestState, Power
from actors.compute.drivers.disk import WITNESS_BYTES, Page, read_page
from actors.compute.drivers.domain import Definition, Running, Saved
from actors.partners.names import NAME

if TYPE_CHECKING:
    from pathlib import Path


def inspect(directory: Path) -> tuple[GuestState, ...]:
    """Tell what guests, and what remains of guests, there are in a driver's directory."""
    homes = sorted(home for home in directory.iterdir() if NAME.fullmatch(home.name))
    return tuple(state for home in homes if (state := observe(home)) is not None)


def observe(home: Path) -> GuestState | None:
    """Tell what there is in a guest's directory; None when there is no such directory."""
    if not home.is_dir():
        return None
    definition, running = Definition.read(home), Running.read(home)
    power = power_of(home, running)
    permit: int | None = None
    volumes: tuple[str, ...] = ()
    if running and power.is_on:
        permit, volumes = running.permit, running.volumes
    elif definition:
        permit, volumes = definition.permit, tuple(sorted(volume.volume for volume in definition.volumes))
    root = definition.root(home) if definition else home / domain.DISK
    page = page_of(root) if root else None
    return GuestState(
        server=home.name,
        is_defined=definition is not None,
        power=power,
        permit=permit,
        has_disk=(home / domain.DISK).exists(),
        has_spare=(home / domain.PREPARED).exists() or (home / domain.FORMER).exists(),
        volumes=volumes,
        witness=page.witness if page else None,
    )


def power_of(home: Path, running: Running | None) -> Power:
    """Tell what the guest's process does; without one, whether it was suspended."""
    state = running.state() if running else None
    if state is None:
        return Power.SUSPENDED if Saved.read(home) is not None else Power.SHUTDOWN
    return Power.PAUSED if state == "T" else Power.RUNNING


def page_of(disk: Path) -> Page | None:
    """Read the newest page of a disk's or volume's witness block; None when there is none."""
    try:
        with disk.open("rb") as file:
            return read_page(file.read(WITNESS_BYTES))
    except FileNotFoundError:
        return None
