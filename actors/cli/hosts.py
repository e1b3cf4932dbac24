"""`cellferry host`: compute hosts, and what they have left."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.speaking import LOOK_S, Session, speak, user_here
from protocol.bodies import decode_body, to_plain
from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.effects.capacity import RESOURCES
from protocol.errors import NotFound, revive
from protocol.errors_wire import decode_error
from protocol.messages.capacity import HostUse, ShowHosts
from protocol.messages.nodes import NodeStats, ShowNodeStats, ShowUptime
from protocol.messages.orders import FenceHost, UnfenceHost
from protocol.messages.services import UpdateService

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from protocol.records import HostFence
    from protocol.requests import Request

T = TypeVar("T")
LISTED: Final = ("host", "cell", "zone", "enabled", "reason", "heard", "servers", "vcpus", "memory_mb", "disk_gb")
US_A_S: Final = 1_000_000


@click.group()
def host() -> None:
    """Look at compute hosts; disable one, fence one that is gone for ever."""


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


@host.command()
@click.argument("name", metavar="HOST")
@config_option()
def enable(*, name: str, config: Path) -> None:
    """Let new servers come to a host again."""
    _switch(config, name, is_enabled=True)


@host.command()
@click.argument("name", metavar="HOST")
@click.option("--reason", default="", help="Why, for whoever wonders.")
@config_option()
def disable(*, name: str, reason: str, config: Path) -> None:
    """Keep new servers away from a host; those that are there stay, and a revert may still lead back to it."""
    _switch(config, name, is_enabled=False, reason=reason)


def _switch(config: Path, name: str, *, is_enabled: bool, reason: str = "") -> None:
    async def work(session: Session) -> None:
        cell = await cell_of(session, name)
        request = UpdateService(host=name, is_enabled=is_enabled, reason=reason)
        await session.client.call(Address(cell, "cell"), request)
        session.out.print(f"host {name} of cell {cell} is {'enabled' if is_enabled else 'disabled'}")

    speak(config, work)


@host.command()
@click.argument("name", metavar="HOST")
@config_option()
@shape_options
def uptime(*, name: str, config: Path, shape: Shape) -> None:
    """Ask a host how long its machine has been up, and how busy it is."""

    async def work(session: Session) -> None:
        to = Address(await cell_of(session, name), host_mailbox(name))
        found = await session.client.ask(to, ShowUptime(), budget_s=LOOK_S)
        loads = [round(load, 2) for load in found.loads]
        row: Row = {"host": name, "up_s": round(found.up_s), "users": found.users, "loads": loads}
        show_fields(session.out, row, shape)

    speak(config, work)


@host.command()
@config_option()
@shape_options
def stats(*, config: Path, shape: Shape) -> None:
    """Sum up what all enabled hosts have, what of it is used, and what runs there."""

    async def work(session: Session) -> None:
        found = [each for _, each in await gathered(session, ShowNodeStats())]
        show_fields(session.out, to_plain(reduce(NodeStats.plus, found, NodeStats())), shape)

    speak(config, work)


async def cell_of(session: Session, name: str) -> CellPath:
    """Tell which cell a host is in; raise `NotThere`."""
    for known in (await session.client.hosts()).hosts:
        if known.host == name:
            return CellPath.parse(known.cell)
    raise NotThere(f"there is no host {name}; list them with: cellferry host list")


async def gathered(session: Session, request: Request[T]) -> list[tuple[CellPath, T]]:
    """Ask all cells; those that are away are named, and left out."""
    found: list[tuple[CellPath, T]] = []
    for answer in (await session.client.gather(request, budget_s=LOOK_S)).answers:
        if answer.is_error:
            error = revive(decode_error(answer.body))
            session.progress.print(f"warning: no answer from cell {answer.cell} and below: {error}")
        else:
            found.append((answer.cell, decode_body(answer.body, request.reply_type())))
    return found


async def uses(session: Session) -> list[HostUse]:
    """Ask all cells for their hosts; cells that are away are named."""
    found = [use for _, each in await gathered(session, ShowHosts()) for use in each.hosts]
    return sorted(found, key=lambda use: (use.cell, use.host))


def row_of(use: HostUse, *, is_short: bool) -> Row:
    """Make a row: short for people, used of all; with a column for each number for programs."""
    row: Row = {
        "host": use.host,
        "cell": use.cell,
        "zone": use.availability_zone or None,
        "enabled": use.is_enabled,
        "reason": use.reason or None,
        "heard": _ago(use.heard_ago_us) if is_short else use.heard_ago_us and use.heard_ago_us / US_A_S,
        "servers": use.servers,
    }
    for name in RESOURCES:
        has, used = getattr(use, name), getattr(use, f"{name}_used")
        row |= {name: f"{used} of {has}"} if is_short else {name: has, f"{name}_used": used}
    return row


def _ago(heard_ago_us: int | None) -> str | None:
    return None if heard_ago_us is None else f"{heard_ago_us / US_A_S:.0f} s ago"
