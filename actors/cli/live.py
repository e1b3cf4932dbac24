"""`cellferry server live-migrate`: a server moves to another host of its cell while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from actors.cli.servers import Waiting, orders, origin, place
from actors.cli.speaking import Session, speak
from protocol.messages.orders import LiveMigrateServer

if TYPE_CHECKING:
    from pathlib import Path

    from actors.cli.formats import Shape


@click.command("live-migrate")
@click.argument("which", metavar="SERVER")
@click.option("--host", help="The target host, one of the server's cell; without, the one there with most room.")
@orders
def live_migrate(*, which: str, host: str | None, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Move a server to another host of its cell while it runs; there is nothing to confirm."""

    async def work(session: Session) -> None:
        line = await session.server(which)
        order = LiveMigrateServer(server=line.mirror.server, host=host, origin=origin(session))
        what = f"live-migrate to host {host}" if host else "live-migrate"
        await place(session, order, name=line.mirror.name, what=what, waiting=waiting, shape=shape)

    speak(config, work)
