"""`cellferry server set|lock|unlock`: what is changed of a server's record, at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.formats import Shape, shape_options
from actors.cli.servers import origin, show_server
from actors.cli.speaking import Session, speak
from protocol.errors import InvalidValue
from protocol.messages.changes import ChangeServer, ServerChange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@click.command("set")
@click.argument("which", metavar="SERVER")
@click.option("--name", help="What it is to be called.")
@click.option("--description", help="What it is for; empty: nothing.")
@click.option("--property", "properties", multiple=True, metavar="KEY=VALUE", help="Its metadata from now on.")
@click.option("--no-property", is_flag=True, help="No metadata from now on.")
@click.option("--tag", "tags", multiple=True, help="Its tags from now on.")
@click.option("--no-tag", is_flag=True, help="No tags from now on.")
@config_option()
@shape_options
def set_(
    *, which: str, name: str | None, description: str | None, properties: tuple[str, ...], no_property: bool,
    tags: tuple[str, ...], no_tag: bool, config: Path, shape: Shape,
) -> None:  # fmt: skip
    """Change a server's name, description, metadata or tags, also in the middle of a move; its guest hears nothing."""
    for each in properties:
        if "=" not in each:
            raise click.BadParameter(f"{each} is no KEY=VALUE", param_hint="--property")
    if (properties and no_property) or (tags and no_tag):
        raise click.UsageError("give either --property or --no-property, and either --tag or --no-tag")
    metadata = dict(each.split("=", 1) for each in properties)
    try:
        change = ServerChange(
            name=name, description=description, tags=tags if tags or no_tag else None,
            metadata=metadata if metadata or no_property else None,
        )  # fmt: skip
    except InvalidValue as error:
        raise click.UsageError(str(error)) from error
    if not change.fields():
        raise click.UsageError("say what is to be another: --name, --description, --[no-]property or --[no-]tag")
    _change(config, which, change, shape)


def _locking(*, is_locked: bool) -> Callable[..., None]:
    def command(*, which: str, config: Path, shape: Shape) -> None:
        _change(config, which, ServerChange(is_locked=is_locked), shape)

    return command


def _command(name: str, text: str, *, is_locked: bool) -> click.Command:
    argument = click.argument("which", metavar="SERVER")
    return click.command(name, help=text)(argument(config_option()(shape_options(_locking(is_locked=is_locked)))))


#: The commands, for the group of those about servers.
CHANGES: Final[tuple[click.Command, ...]] = (
    set_,
    _command("lock", "Lock a server against mistakes: it refuses every order until it is unlocked.", is_locked=True),
    _command("unlock", "Unlock a server.", is_locked=False),
)


def _change(config: Path, which: str, change: ServerChange, shape: Shape) -> None:
    async def work(session: Session) -> None:
        line = await session.server(which)
        id_ = session.client.fresh_id("change")
        request = ChangeServer(id=id_, server=line.mirror.server, change=change, origin=origin(session))
        await session.client.change(request)
        await show_server(session, line, shape)

    speak(config, work)
