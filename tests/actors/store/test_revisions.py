"""The history of the tables: it leads to those that are declared, takes rows along, and tells who may work on them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from actors.kernel.ports import Store
from actors.store.kinds import KINDS
from actors.store.migrating import MIGRATIONS, differences, history, upgrade
from actors.store.postgresql import drop_postgresql, open_postgresql
from actors.store.revisions import BOOKS, HEAD, SERVES, SchemaMismatch, State, prepare, standing
from actors.store.sqlite import open_sqlite
from actors.store.tables import METADATA

pytestmark = pytest.mark.anyio

#: A host's store is always a file, and a cell has no table that the root has not.
EACH_KIND: Final = pytest.mark.parametrize(
    ("opened", "kind"),
    [("sqlite", kind) for kind in KINDS] + [("postgresql", kind) for kind in KINDS if kind not in {"host", "cell"}],
    indirect=["opened"],
)
Open = Callable[..., AbstractAsyncContextManager[Store]]

#: A revision beside ours: what it does, and whom it serves.
PLANTED: Final = '''
"""Planted."""
import sqlalchemy as sa
from alembic import op
revision, down_revision, serves = "{revision}", "{before}", "{serves}"
def upgrade():
    op.{step}
'''
ADDED: Final = 'add_column("outbox", sa.Column("extra", sa.Text, nullable={nullable}))'


@pytest.fixture
def anyio_backend() -> str:
    """Threads and sockets need a real loop."""
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Open the one database of this test, again and again, on each engine."""
    if request.param == "sqlite":
        yield partial(open_sqlite, tmp_path / "store.sqlite", sa.MetaData())
        return
    url = request.getfixturevalue("postgresql_url")
    worker, digest = os.environ.get("PYTEST_XDIST_WORKER", "main"), hashlib.blake2s(request.node.nodeid.encode())
    schema = f"test_{worker}_{os.getpid()}_{digest.hexdigest()[:12]}"
    yield partial(open_postgresql, url, schema, metadata=sa.MetaData())
    await drop_postgresql(url, schema)


def plant(directory: Path, step: str, *, revision: str = "0002", before: str = HEAD, serves: str = SERVES) -> None:
    directory.mkdir(exist_ok=True)
    text = PLANTED.format(revision=revision, before=before, serves=serves, step=step)
    (directory / f"r{revision}.py").write_text(text)


def fill(connection: sa.Connection) -> dict[str, int]:
    """Put two rows into every table, with a value in every column."""
    tables = sa.MetaData()
    tables.reflect(connection)
    for table in tables.tables.values():
        if table.name not in BOOKS.tables:
            connection.execute(sa.insert(table), [{c.name: _some(c.type, n) for c in table.columns} for n in (1, 2)])
    return count(connection)


def _some(kind: sa.types.TypeEngine[Any], number: int) -> Any:
    if isinstance(kind, sa.Boolean):
        return number == 1
    if isinstance(kind, sa.LargeBinary):
        return b"%d" % number
    if isinstance(kind, sa.JSON):
        return {"number": number}
    return number if isinstance(kind, sa.Integer) else str(number)


def count(connection: sa.Connection) -> dict[str, int]:
    names = set(sa.inspect(connection).get_table_names()) - BOOKS.tables.keys()
    return {name: connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}  # noqa: S608 - names of ours


def test_the_history_is_one_line_that_ends_at_today() -> None:
    """Numbered, each after the one before; whom the last one serves is what new databases say."""
    names = [revision.name for revision in history()]
    assert names == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert (names[-1], max(each.serves for each in history())) == (HEAD, SERVES)
    assert len(list(MIGRATIONS.glob("r*.py"))) == len(names)


def test_every_table_is_in_a_kind_of_store() -> None:
    """None is left out of the history."""
    assert {name for tables in KINDS.values() for name in tables.tables} == METADATA.tables.keys()


@EACH_KIND
async def test_the_history_leads_to_what_is_declared(kind: str, opened: Open) -> None:
    """A database that was taken along it has the tables, columns, types and indexes of a new one."""
    async with opened(prepare=partial(upgrade, kind=kind)) as store:
        assert await store.transact(differences, KINDS[kind]) == []
        assert (await store.transact(standing, KINDS[kind])).state is State.CURRENT
        assert await store.transact(upgrade, kind) == await store.transact(standing, KINDS[kind])


@EACH_KIND
async def test_a_new_store_is_as_if_it_had_gone_along_the_history(kind: str, opened: Open) -> None:
    """It is made at once, and is of today's revision; opened again it is let be."""
    ready = prepare(KINDS[kind], store="s")
    async with opened(prepare=ready) as store:
        assert await store.transact(differences, KINDS[kind]) == []
        rows = await store.transact(fill)
    async with opened(prepare=ready) as store:
        assert await store.transact(count) == rows


@pytest.mark.parametrize("revision", [each.name for each in history()])
async def test_every_revision_takes_the_rows_of_the_one_before_along(revision: str, opened: Open) -> None:
    """Whatever is in a database, no row is lost and the revision can be applied."""
    await takes_rows_along(opened, f"{int(revision) - 1:04}", revision)


async def takes_rows_along(opened: Open, before: str, to: str, *beside: Path, kind: str = "root") -> None:
    """Fill a database at a revision, and take it to the next one."""

    def work(connection: sa.Connection) -> None:
        if before >= history()[0].name:
            upgrade(connection, kind, to=before, beside=beside)
        rows = fill(connection)
        upgrade(connection, kind, to=to, beside=beside)
        assert rows.items() <= count(connection).items()

    async with opened() as store:
        await store.transact(work)


async def test_a_column_that_may_be_empty_takes_rows_along(opened: Open, tmp_path: Path) -> None:
    """An expansion passes the test above."""
    plant(tmp_path, ADDED.format(nullable=True))
    await takes_rows_along(opened, HEAD, "0002", tmp_path, kind="network")


@pytest.mark.parametrize("step", [ADDED.format(nullable=False), 'drop_table("outbox")'])
async def test_a_revision_that_cannot_take_rows_along_is_found(step: str, opened: Open, tmp_path: Path) -> None:
    """A column that must have a value, and a table that is dropped, fail that test."""
    plant(tmp_path, step)
    with pytest.raises((AssertionError, sa.exc.DBAPIError)):
        await takes_rows_along(opened, HEAD, "0002", tmp_path, kind="network")


async def test_a_database_from_before_the_history_is_adopted(opened: Open) -> None:
    """Its tables are those of the first revision; until it is upgraded no process works on it."""
    tables = KINDS["network"]
    async with opened(prepare=tables.create_all) as store:
        rows = await store.transact(fill)
    with pytest.raises(SchemaMismatch, match=r"the database s is behind: .* cellferry db upgrade"):
        await opened(prepare=prepare(tables, store="s")).__aenter__()
    async with opened() as store:
        await store.transact(upgrade, "network")
        assert await store.transact(count) == rows
    async with opened(prepare=prepare(tables, store="s")):
        pass


async def test_old_code_works_on_what_was_expanded_and_on_nothing_that_was_contracted(
    opened: Open, tmp_path: Path
) -> None:
    """A database says whom it serves: a process of before starts on one that is only larger."""
    ready, tables = prepare(KINDS["network"], store="s"), KINDS["network"]
    plant(tmp_path, ADDED.format(nullable=True))
    plant(tmp_path, 'drop_column("outbox", "extra")', revision="0003", before="0002", serves="0002")
    async with opened(prepare=ready) as store:
        await store.transact(upgrade, "network", to="0002", beside=(tmp_path,))
        assert (await store.transact(standing, tables)).state is State.EXPANDED
        assert await store.transact(differences, tables) != []
    async with opened(prepare=ready) as store:
        await store.transact(upgrade, "network", to="0003", beside=(tmp_path,))
        assert (await store.transact(standing, tables)).state is State.AHEAD
    with pytest.raises(SchemaMismatch, match=r"the database s is ahead: it is of revision 0003, .* a later version"):
        await opened(prepare=ready).__aenter__()
