"""`cellferry server history|console|bandwidth` and `cell audits`: what was done, how to speak to a guest, and usage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.hosts import gathered
from actors.cli.speaking import LOOK_S, Session, speak
from actors.cli.times import shown_time
from protocol.cell_path import Address, CellPath
from protocol.messages.consoles import OpenConsole
from protocol.messages.histories import ListActions, ListEvents, ListTaskLog
from protocol.messages.root import FindHome
from protocol.messages.top import ListBandwidth

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from protocol.messages.root import ServerLine
    from protocol.records import ActionEvent, ServerAction, TaskLog

HISTORY: Final = ("action", "event", "host", "result", "started", "user", "message")
AUDITS: Final = ("cell", "host", "begin", "end", "servers", "errors", "state")
BANDWIDTH: Final = ("cell", "since", "bytes_in", "bytes_out")


@click.command()
@click.argument("which", metavar="SERVER")
@config_option()
@shape_options
def history(*, which: str, config: Path, shape: Shape) -> None:
    """Show what was done to a server, newest first, with each part of it."""

    async def work(session: Session) -> None:
        line = await session.server(which)
        home, server = await home_of(session, line), line.mirror.server
        rows: list[Row] = []
        for action in (await session.client.ask(home, ListActions(server=server), budget_s=LOOK_S)).actions:
            events = (await session.client.ask(home, ListEvents(action=action.id), budget_s=LOOK_S)).events
            rows.extend(history_rows(action, events))
        show_rows(session.out, rows, shape, usual=HISTORY)

    speak(config, work)


def history_rows(action: ServerAction, events: tuple[ActionEvent, ...]) -> list[Row]:
    """Make a row of an action, and one of each of its events below."""
    first: Row = {
        "action": action.action,
        "event": None,
        "host": None,
        "result": "under way" if action.finished_at_us is None else "Error" if action.message else "Success",
        "started": shown_time(action.started_at_us),
        "user": action.user,
        "message": action.message,
        "request": action.request_id,
    }
    return [
        first,
        *(
            first
            | {
                "event": event.name,
                "host": event.host or None,
                "result": event.result or "under way",
                "started": shown_time(event.started_at_us),
                "message": event.details,
            }
            for event in events
        ),
    ]


@click.command()
@click.argument("which", metavar="SERVER")
@config_option()
@shape_options
def console(*, which: str, config: Path, shape: Shape) -> None:
    """Open a server's console: where its guest listens, and a token that is good for ten minutes.

    It is void as soon as the guest is off, moved or gone.
    """

    async def work(session: Session) -> None:
        line = await session.server(which)
        found = await session.client.call(await home_of(session, line), OpenConsole(server=line.mirror.server))
        row: Row = {
            "token": found.token,
            "host": found.host,
            "kind": found.kind,
            "address": found.address,
            "port": found.port,
            "expires": shown_time(found.expires_at_us),
        }
        show_fields(session.out, row, shape)

    speak(config, work)


@click.command()
@click.argument("which", metavar="SERVER")
@config_option()
@shape_options
def bandwidth(*, which: str, config: Path, shape: Shape) -> None:
    """Show what went over a server's port, day by day, in each cell that it was in."""

    async def work(session: Session) -> None:
        found = await session.look(ListBandwidth(server=(await session.server(which)).mirror.server))
        rows: list[Row] = [
            {
                "cell": row.cell,
                "since": shown_time(row.begin_us),
                "bytes_in": row.bytes_in,
                "bytes_out": row.bytes_out,
            }
            for row in found.rows
        ]
        show_rows(session.out, rows, shape, usual=BANDWIDTH)

    speak(config, work)


@click.command()
@click.option("--host", default="", help="Only of this host.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many of each cell.")
@config_option()
@shape_options
def audits(*, host: str, limit: int, config: Path, shape: Shape) -> None:
    """List the audits of all cells: how many servers were on each host in each period, newest first."""

    async def work(session: Session) -> None:
        found = await gathered(session, ListTaskLog(host=host, limit=limit))
        rows = [audit_row(cell, entry) for cell, page in found for entry in page.entries]
        show_rows(session.out, rows, shape, usual=AUDITS)

    speak(config, work)


def audit_row(cell: CellPath, entry: TaskLog) -> Row:
    """Make a row of a listing."""
    return {
        "cell": str(cell),
        "host": entry.host,
        "begin": shown_time(entry.begin_us),
        "end": shown_time(entry.end_us),
        "servers": entry.items,
        "errors": entry.errors,
        "state": entry.state,
    }


async def home_of(session: Session, line: ServerLine) -> Address:
    """Name the cell that has a server; raise `NotThere` while none has."""
    found = await session.look(FindHome(server=line.mirror.server))
    if found.mapping.cell is None:
        raise NotThere(f"server {line.mirror.name} has no home yet; see: cellferry server show {line.mirror.name}")
    return Address(CellPath.parse(found.mapping.cell), "cell")


#: What is added to `server`.
OF_SERVER: Final = (history, console, bandwidth)
