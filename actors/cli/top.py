"""`cellferry top`: what moves, and the tree, in one picture that stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from actors.cli.cells import look
from actors.cli.configuring import config_option
from actors.cli.speaking import Session, speak
from actors.cli.tops import Moving, document, in_order, moving, picture
from protocol.errors import CellferryError
from protocol.messages.orders import Accepted, ListConversations
from protocol.messages.root import PageServers

if TYPE_CHECKING:
    from actors.cli.trees import Seen
    from protocol.messages.orders import ConversationLine

#: So many conversations are looked at one by one; of the others it is told that they are there.
MOVES_MAX: Final = 20
OPEN_MAX: Final = 1_000


@click.command()
@click.option("--once", is_flag=True, help="Show it once; what is no terminal is shown it once anyway.")
@click.option(
    "--every", "every_s", type=click.FloatRange(min=0.5, max=3600.0), default=2.0, show_default=True,
    help="Look again after so many seconds.",
)  # fmt: skip
@click.option("-f", "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@config_option()
def top(*, once: bool, every_s: float, form: str, config: Path) -> None:
    """Show what moves, parked ones first, with a bar of its steps; and the tree of cells.  Ctrl-C ends it."""

    async def work(session: Session) -> None:
        if form == "json":
            seen, moves, more = await _look(session)
            told = document(seen, moves, more=more, now_us=session.clock.now_us())
            click.echo(json.dumps(told, indent=2))
        elif once or not session.out.is_terminal:
            for line in await _picture(session):
                session.out.print(line)
        else:
            await _stay(session, every_s)

    try:
        speak(config, work)
    except KeyboardInterrupt:  # How one leaves it.
        return


async def _stay(session: Session, every_s: float) -> None:
    """Look again and again; while nobody answers the last picture stays, with the reason above it."""
    shown = await _picture(session)
    with Live(Group(*shown), console=session.out, screen=True, auto_refresh=False) as live:
        while True:
            live.refresh()
            await anyio.sleep(every_s)
            try:
                shown = await _picture(session)
                live.update(Group(*shown))
            except CellferryError as error:
                live.update(Group(Text(f"no answer: {error}", style="bold red"), *shown))


async def _picture(session: Session) -> list[Text]:
    seen, moves, more = await _look(session)
    return list(picture(seen, moves, more=more, now_us=session.clock.now_us()))


async def _look(session: Session) -> tuple[Seen, list[Moving], int]:
    """Ask for all of it side by side; give also how many conversations were not looked at."""
    found: dict[str, Moving] = {}
    page = await session.look(ListConversations(limit=OPEN_MAX, is_open=True), at="conductor")
    chosen = in_order([moving(line, None) for line in page.lines])[:MOVES_MAX]

    async def read(line: ConversationLine) -> None:
        accepted = Accepted(conversation=line.conversation, server=line.server)
        try:
            progress = await session.client.watch(accepted, seen=0)
            servers = (await session.look(PageServers(id_start=line.server, limit=1))).lines
            name = servers[0].mirror.name if servers else ""
            found[line.conversation] = moving(line, progress, name=name)
        except CellferryError:  # It is shown as far as it is known.
            found[line.conversation] = moving(line, None)

    async with anyio.create_task_group() as tasks:
        for each in chosen:
            tasks.start_soon(read, each.line)
        seen = await look(session)
    return seen, list(found.values()), len(page.lines) - len(chosen)
