"""`cellferry db`: the databases of a deployment, taken to today's revision, looked at, and copied."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs
import click

from actors.cli.configuring import config_option, deployment_of
from actors.cli.failures import FAILED
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.output import console_for
from actors.store.backing import copy_sqlite, dump_postgresql
from actors.store.kinds import KINDS
from actors.store.postgresql import look_into_postgresql
from actors.store.revisions import HEAD, Standing, State, standing
from actors.store.sqlite import open_sqlite
from protocol.errors import CellferryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from actors.cli.formats import Row
    from actors.deployment import Deployment, Place, Task
    from actors.kernel.ports import Store

COLUMNS: Final = ("role", "store", "revision", "state")
TAKEN: Final = ("role", "store", "before", "revision", "state")
COPIED: Final = ("role", "store", "copy", "bytes")
#: What a store is that is not there yet, or is on another machine; and one that cannot be looked into.
ABSENT: Final = "absent"
AWAY: Final = "away"
#: On what no process of this version works.
REFUSED: Final = frozenset({State.BEHIND.value, State.AHEAD.value, AWAY})
#: A revision may move many rows.
UPGRADE_S_MAX: Final = 3_600.0


@attrs.frozen(kw_only=True)
class Found:
    """What a look into one store found."""

    task: Task
    place: Place
    state: str
    revision: str = ""
    error: str = ""

    @property
    def row(self) -> Row:
        """Show it."""
        return {
            "role": str(self.task), "store": str(self.place), "revision": self.revision or None, "state": self.state,
            "wanted": HEAD, "error": self.error,
        }  # fmt: skip


@click.group()
def db() -> None:
    """Take databases to the revision of this version, look at them, and back them up."""


@db.command()
@config_option()
@click.option("--cell", default="", help="Only the stores of this cell.")
@shape_options
def check(*, config: Path, cell: str, shape: Shape) -> None:
    """List the databases with their revisions.  Exit code 1 when a process of this version would refuse one."""
    deployment = deployment_of(config)
    found = [anyio.run(look, task, place) for task, place in places(deployment, cell)]
    show_rows(console_for(sys.stdout), [each.row for each in found], shape, usual=COLUMNS)
    if any(each.state in REFUSED for each in found):
        sys.exit(FAILED)


@db.command()
@config_option()
@click.option("--cell", default="", help="Only the stores of this cell.")
@shape_options
def upgrade(*, config: Path, cell: str, shape: Shape) -> None:
    """Take every database to the revision of this version.  Processes may go on: what they need stays.

    Each database is taken in one transaction, all or nothing; those on other machines are to be taken there.
    """
    from actors.store import migrating  # noqa: PLC0415 - Alembic takes a while to load, and no other command needs it

    deployment = deployment_of(config)
    rows: list[Row] = []
    for task, place in places(deployment, cell):
        before = anyio.run(look, task, place)
        # What is empty gets today's tables from the process that first opens it.
        if before.state == State.BEHIND:
            anyio.run(_take, place, migrating.upgrade)
        rows.append({**anyio.run(look, task, place).row, "before": before.revision or None})
    show_rows(console_for(sys.stdout), rows, shape, usual=TAKEN)
    if any(row["state"] in REFUSED for row in rows):
        sys.exit(FAILED)


@db.command()
@config_option()
@click.option("--cell", default="", help="Only the stores of this cell.")
@click.option(
    "--to", type=click.Path(file_okay=False, path_type=Path), required=True, help="The directory of the copies."
)
@shape_options
def backup(*, config: Path, cell: str, to: Path, shape: Shape) -> None:
    """Copy every database, as it is at that instant; processes go on meanwhile.

    A file is copied by SQLite's online backup, a schema of PostgreSQL by pg_dump; those on other machines are to be
    copied there.
    """
    rows: list[Row] = []
    for task, place in places(deployment_of(config), cell):
        if place.path is None:
            copy = to / f"{_plain(task)}.dump"
            dump_postgresql(place.url, place.schema, copy)
        elif place.path.exists():
            copy = to / f"{_plain(task)}.sqlite"
            copy_sqlite(place.path, copy)
        else:
            continue
        rows.append({"role": str(task), "store": str(place), "copy": str(copy), "bytes": copy.stat().st_size})
    show_rows(console_for(sys.stdout), rows, shape, usual=COPIED)


def places(deployment: Deployment, cell: str = "") -> Iterator[tuple[Task, Place]]:
    """Give each role's store once, of all cells or of one."""
    tasks = [task for task in deployment.tasks() if not task.replica and cell in {"", str(task.cell)}]
    if not tasks:
        known = ", ".join(str(each.path) for each in deployment.cloud.cells)
        raise click.BadParameter(f"there is no cell {cell}; the file has {known}", param_hint="--cell")
    for task in tasks:
        yield task, deployment.place_of(task)


async def look(task: Task, place: Place) -> Found:
    """Look where a store stands."""
    if not _is_here(place):
        return Found(task=task, place=place, state=ABSENT)
    try:
        async with opened(place) as store:
            found: Standing = await store.transact(standing, KINDS[place.kind])
    except CellferryError as error:
        return Found(task=task, place=place, state=AWAY, error=str(error))
    return Found(task=task, place=place, state=found.state.value, revision=found.found)


async def _take(place: Place, work: Callable[..., Standing]) -> None:
    async with opened(place) as store:
        await store.transact(work, place.kind)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Store]:
    """Open a store as it is: nothing is made."""
    if place.path is not None:
        async with open_sqlite(place.path, KINDS[place.kind], prepare=_let_be) as store:
            yield store
    else:
        async with look_into_postgresql(place.url, place.schema, answer_s=UPGRADE_S_MAX) as schema:
            yield schema


def _let_be(_connection: Any) -> None:
    """Make nothing."""


def _is_here(place: Place) -> bool:
    return place.path is None or place.path.exists()


def _plain(task: Task) -> str:
    return str(task).replace("/", ".").replace(":", "-")
