"""`cellferry host`: compute hosts, and what they have left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.speaking import LOOK_S, Session, speak, user_here
from protocol.bodies import decode_body
from protocol.cell_path import Address
from protocol.effects.capacity import RESOURCES
from protocol.errors import NotFound, revive
from protocol.errors_wire import decode_error
from protocol.messages.capacity import HostUse, HostUses, ShowHosts
from protocol.messages.orders import FenceHost, UnfenceHost

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from protocol.records import HostFence

LISTED: Final = ("host", "cell", "zone", "enabled", "servers", "vcpus", "memory_mb", "disk_gb")


@click.group()
def host() -> None:
    """Look at compute hosts; fence one that is gone for ever."""


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


@host.command()
@click.argument("name", metavar="HOST")
@click.option("--yes", is_flag=True, help="The machine is off: do not ask.")
@config_option()
def fence(*, name: str, yes: bool, config: Path) -> None:
    """Assert that a host's machine is off and stays off: what waits for it goes on without it.

    A guest that still ran there would run twice, and nothing can check that for you: pull the machine's power first.
    """
    if not yes:
        click.confirm(f"Is the machine of host {name} off, and will it stay off?", abort=True, err=True)

    async def work(session: Session) -> None:
        fence = await _tell(session, FenceHost(host=name, user=user_here()))
        session.out.print(f"host {fence.host} of cell {fence.cell} is fenced; what waits for it goes on without it")

    speak(config, work)


@host.command()
@click.argument("name", metavar="HOST")
@config_option()
def unfence(*, name: str, config: Path) -> None:
    """Let a fenced host come back: it does what it owes, and gives up what it has lost, before it takes a command."""

    async def work(session: Session) -> None:
        fence = await _tell(session, UnfenceHost(host=name, user=user_here()))
        session.out.print(f"host {fence.host} of cell {fence.cell} may come back, when it has done what it owes")

    speak(config, work)


async def _tell(session: Session, request: FenceHost | UnfenceHost) -> HostFence:
    """Give the conductor an operator's word about a host."""
    try:
        fence: HostFence = await session.client.call(Address(session.client.root.cell, "conductor"), request)
    except NotFound as error:
        raise NotThere(f"{error}; list hosts with: cellferry host list") from error
    return fence


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
    for name in RESOURCES:
        has, used = getattr(use, name), getattr(use, f"{name}_used")
        row |= {name: f"{used} of {has}"} if is_short else {name: has, f"{name}_used": used}
    return row
