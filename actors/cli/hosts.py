"""`cellferry host`: compute hosts, and what they have left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.speaking import LOOK_S, Session, speak
from protocol.bodies import decode_body
from protocol.errors import revive
from protocol.errors_wire import decode_error
from protocol.messages.capacity import HostUse, HostUses, ShowHosts

if TYPE_CHECKING:
    from actors.cli.formats import Row

LISTED: Final = ("host", "cell", "zone", "enabled", "servers", "vcpus", "memory_mb", "disk_gb")


@click.group()
def host() -> None:
    """Look at compute hosts."""


@host.command("list")
@click.option("--cell", help="Only hosts of this cell.")
@config_option()
@shape_options
def list_(*, cell: str | None, config: Path, shape: Shape) -> None:
    """List compute hosts: what is used, of what there is."""

    async def work(session: Session) -> None:
        found = [use for use in await uses(session) if cell in {None, use.cell}]
        is_table = shape.form == "table"
        show_rows(session.out, [row_of(use, is_short=is_table) for use in found], shape, usual=LISTED)

    speak(config, work)


@host.command()
@click.argument("name", metavar="HOST")
@config_option()
@shape_options
def show(*, name: str, config: Path, shape: Shape) -> None:
    """Show a compute host."""

    async def work(session: Session) -> None:
        found = [use for use in await uses(session) if use.host == name]
        if not found:
            raise NotThere(f"there is no host {name}; list them with: cellferry host list")
        show_fields(session.out, row_of(found[0], is_short=False), shape)

    speak(config, work)


async def uses(session: Session) -> list[HostUse]:
    """Ask all cells for their hosts; cells that are away are named."""
    found: list[HostUse] = []
    for answer in (await session.client.gather(ShowHosts(), budget_s=LOOK_S)).answers:
        if answer.is_error:
            error = revive(decode_error(answer.body))
            session.progress.print(f"warning: no answer from cell {answer.cell} and below: {error}")
        else:
            found.extend(decode_body(answer.body, HostUses).hosts)
    return sorted(found, key=lambda use: (use.cell, use.host))


def row_of(use: HostUse, *, is_short: bool) -> Row:
    """Make a row: short for people, used of all; with a column for each number for programs."""
    row: Row = {
        "host": use.host,
        "cell": use.cell,
        "zone": use.availability_zone or None,
        "enabled": use.is_enabled,
        "servers": use.servers,
    }
    for name in ("vcpus", "memory_mb", "disk_gb"):
        has, used = getattr(use, name), getattr(use, f"{name}_used")
        row |= {name: f"{used} of {has}"} if is_short else {name: has, f"{name}_used": used}
    return row
