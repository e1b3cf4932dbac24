"""`cellferry server snapshot|backup` and `cellferry image list`: images that users make of their servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from actors.cli.configuring import config_option
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.servers import Waiting, orders, origin, place
from actors.cli.speaking import Session, speak
from protocol.errors import InvalidValue
from protocol.messages.imaging import ListImages
from protocol.messages.orders import ROTATION_MAX, ImageServer
from protocol.states import Goal

if TYPE_CHECKING:
    from pathlib import Path

LISTED: Final = ("id", "name", "status", "size_bytes", "source", "backup_type")


@click.command()
@click.argument("which", metavar="SERVER")
@click.argument("image")
@orders
def snapshot(*, which: str, image: str, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Make an image, called IMAGE, of the root disk of a server, which runs on meanwhile."""
    _make(config, which, image, {"goal": Goal.SNAPSHOT}, waiting=waiting, shape=shape)


@click.command()
@click.argument("which", metavar="SERVER")
@click.argument("image")
@click.option("--type", "backup_type", required=True, help="What it is rotated with, such as `daily`.")
@click.option("--rotate", type=click.IntRange(0, ROTATION_MAX), required=True, metavar="N",
              help="So many of the type are kept, the newest; 0: none, this one neither.")  # fmt: skip
@orders
def backup(
    *, which: str, image: str, backup_type: str, rotate: int, config: Path, waiting: Waiting, shape: Shape
) -> None:
    """Make a backup of a server, an image called IMAGE, and delete the oldest ones of its type beyond N."""
    fields = {"goal": Goal.BACKUP, "backup_type": backup_type, "rotation": rotate}
    _make(config, which, image, fields, waiting=waiting, shape=shape)


def _make(config: Path, which: str, image: str, fields: dict[str, Any], *, waiting: Waiting, shape: Shape) -> None:
    async def work(session: Session) -> None:
        line = await session.server(which)
        try:
            order = ImageServer(
                server=line.mirror.server, image=image, name=image, origin=origin(session), **fields
            )  # fmt: skip
        except InvalidValue as error:
            raise click.UsageError(str(error)) from error
        what = f"{order.goal} {image}"
        await place(session, order, name=line.mirror.name, what=what, waiting=waiting, shape=shape)

    speak(config, work)


@click.command("list")
@click.option("--server", "which", metavar="SERVER", help="Only those that were made of this server.")
@config_option()
@shape_options
def list_images(*, which: str | None, config: Path, shape: Shape) -> None:
    """List images, by id."""

    async def work(session: Session) -> None:
        source = (await session.server(which)).mirror.server if which else ""
        found = await session.look(ListImages(source=source), at="image")
        rows = [
            {"id": image.id, "name": image.name, "status": image.status, "size_bytes": image.size_bytes,
             "source": image.source or None, "backup_type": image.backup_type or None}
            for image in found.images
        ]  # fmt: skip
        show_rows(session.out, rows, shape, usual=LISTED)

    speak(config, work)


#: The commands, for the group of those about servers.
IMAGING: Final[tuple[click.Command, ...]] = (snapshot, backup)
