"""`cellferry server rebuild`: a server's root disk is made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from actors.cli.servers import Waiting, orders, origin, place, read
from actors.cli.speaking import Session, speak
from protocol.errors import InvalidValue
from protocol.messages.changes import ServerChange
from protocol.messages.orders import RebuildServer

if TYPE_CHECKING:
    from pathlib import Path

    from actors.cli.formats import Shape


@click.command()
@click.argument("which", metavar="SERVER")
@click.option("--image", help="What its root disk is made from; without, the image that it was made from.")
@click.option("--name", help="What it is to be called from then on.")
@click.option("--property", "properties", multiple=True, metavar="KEY=VALUE", help="Its metadata from then on.")
@click.option("--preserve-ephemeral", is_flag=True, help="It is in any case: nothing but the root disk is touched.")
@orders
def rebuild(
    *, which: str, image: str | None, name: str | None, properties: tuple[str, ...], preserve_ephemeral: bool,
    config: Path, waiting: Waiting, shape: Shape,
) -> None:  # fmt: skip
    """Make the root disk of a server anew: it keeps its host, ports and volumes, and what was on that disk is gone."""
    for each in properties:
        if "=" not in each:
            raise click.BadParameter(f"{each} is no KEY=VALUE", param_hint="--property")

    async def work(session: Session) -> None:
        line = await session.server(which)
        wanted = image or await _own_image(session, line.mirror.server)
        metadata = dict(each.split("=", 1) for each in properties) or None
        try:
            order = RebuildServer(
                server=line.mirror.server, image=wanted, origin=origin(session),
                change=ServerChange(name=name, metadata=metadata), preserve_ephemeral=preserve_ephemeral,
            )  # fmt: skip
        except InvalidValue as error:
            raise click.UsageError(str(error)) from error
        await place(
            session, order, name=line.mirror.name, what=f"rebuild from {wanted}", waiting=waiting, shape=shape
        )  # fmt: skip

    speak(config, work)


async def _own_image(session: Session, server: str) -> str:
    line = await session.server(server)
    return (await read(session, line)).server.image
