"""`cellferry cell sync`: has cells tell the root again what they have, now rather than in their turn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import click

from actors.cli.configuring import config_option
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.speaking import LOOK_S, Session, speak
from actors.cli.times import US_A_S
from protocol.bodies import decode_body
from protocol.cell_path import Address, CellPath
from protocol.errors import CellferryError, revive
from protocol.errors_wire import decode_error
from protocol.messages.sync import Synced, SyncServers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.cli.formats import Row


LISTED: Final = ("cell", "told", "gone", "error")


@click.command()
@click.argument("path", metavar="[PATH]", required=False)
@click.option("--project", default="", help="Only servers of this project.")
@click.option("--since", "since_s", type=click.IntRange(1), metavar="SECONDS", help="Only what changed in so long.")
@click.option(
    "--deleted/--live", "is_deleted", default=None, help="Only what was deleted lately, or only what is there."
)  # fmt: skip
@config_option()
@shape_options
def sync(
    *, path: str | None, project: str, since_s: int | None, is_deleted: bool | None, config: Path, shape: Shape
) -> None:  # fmt: skip
    """Have every cell, or the one at PATH, tell the root its servers again; show how many each tells of.

    They do so by themselves in their turn; this is for who has restored the root's store and cannot wait.
    """
    cell = CellPath.parse(path) if path else None

    async def work(session: Session) -> None:
        since_us = session.clock.now_us() - since_s * US_A_S if since_s else 0
        wish = SyncServers(project=project, since_us=since_us, is_deleted=is_deleted)
        answers = _all(session, wish) if cell is None else _one(session, wish, cell)
        rows = [await _row(session, wish, answer_of, first) async for answer_of, first in answers]
        show_rows(session.out, rows, shape, usual=LISTED)

    speak(config, work)


async def _one(session: Session, wish: SyncServers, cell: CellPath) -> AsyncIterator[tuple[CellPath, Synced]]:
    yield cell, await session.client.ask(Address(cell, "cell"), wish, budget_s=LOOK_S)


async def _all(
    session: Session, wish: SyncServers
) -> AsyncIterator[tuple[CellPath, Synced | CellferryError]]:  # fmt: skip
    for answer in (await session.client.gather(wish, budget_s=LOOK_S)).answers:
        if answer.is_error:
            yield answer.cell, revive(decode_error(answer.body))
        else:
            yield answer.cell, decode_body(answer.body, Synced)


async def _row(session: Session, wish: SyncServers, cell: CellPath, first: Synced | CellferryError) -> Row:
    """Ask a cell for what it has more than a page, and count."""
    if isinstance(first, CellferryError):
        return {"cell": str(cell), "told": None, "gone": None, "error": str(first)}
    page, told, gone = first, first.told, first.gone
    while page.last:
        page = await session.client.ask(Address(cell, "cell"), attrs.evolve(wish, after=page.last), budget_s=LOOK_S)
        told, gone = told + page.told, gone + page.gone
    return {"cell": str(cell), "told": told, "gone": gone, "error": None}
