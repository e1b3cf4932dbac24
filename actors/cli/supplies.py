"""`cellferry image add` and `cellferry volume add`: what servers are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import click

from actors.cli.configuring import config_option
from actors.cli.imaging import list_images
from actors.cli.providing import add_image, add_volume
from actors.cli.speaking import Session, speak
from actors.ops.checks import SettingsError
from actors.ops.sections import VolumeSettings
from actors.partners.files import FileImages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK_BYTES: Final = 256 * 1024


@click.group()
def image() -> None:
    """Add images, which root disks are made from."""


image.add_command(list_images)


@image.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="What it is called; without, the file's name.")
@config_option()
def add_image_(*, file: Path, name: str | None, config: Path) -> None:
    """Add FILE as an image.  The deployment's directory must be here: bytes go there, and never over the wire."""
    called = name or file.stem.lower()

    async def work(session: Session) -> None:
        images = FileImages(session.deployment.directory / "images")
        made = await images.write(called, _chunks(file))
        await add_image(session.client, called, made)
        session.out.print(f"image {called}: {made.size_bytes} bytes, sha256 {made.sha256}")

    speak(config, work)


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(file, "rb") as source:
        while chunk := await source.read(CHUNK_BYTES):
            yield chunk


@click.group()
def volume() -> None:
    """Add volumes."""


@volume.command("add")
@click.argument("name")
@click.option("--size-gb", type=click.IntRange(min=1), default=1, show_default=True)
@config_option()
def add_volume_(*, name: str, size_gb: int, config: Path) -> None:
    """Add a blank volume, called NAME."""
    try:
        settings = VolumeSettings(name=name, size_gb=size_gb)
    except SettingsError as error:
        raise click.BadParameter(error.what, param_hint="NAME") from error

    async def work(session: Session) -> None:
        await add_volume(session.client, settings)
        session.out.print(f"volume {name}: {size_gb} GB")

    speak(config, work)
