"""A statement gives on SQLite's own driver what it gives through SQLAlchemy, and its errors are SQLAlchemy's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, NoResultFound

from actors.kernel.ports import Store
from actors.store.postgresql import drop_postgresql, open_postgresql
from actors.store.sqlite import open_inline
from actors.store.statements import Statement
from protocol.errors import StoreUnavailable
from sim.clock import SimLoop

pytestmark = pytest.mark.anyio


class Colour(StrEnum):
    """Something that is a text, too."""

    RED = "red"


METADATA: Final = sa.MetaData()
THINGS: Final = sa.Table(
    "things",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("is_new", sa.Boolean),
    sa.Column("data", sa.LargeBinary),
    sa.Column("plain", sa.JSON),
)
ROWS: Final[list[dict[str, Any]]] = [
    {"name": "a", "size": -(2**63), "is_new": True, "data": b"\0\xff", "plain": {"x": [1, None, "ü"]}},
    {"name": "b", "size": 2**63 - 1, "is_new": False, "data": b"", "plain": []},
    {"name": Colour.RED, "size": 0, "is_new": None, "data": None, "plain": None},
]
INSERT: Final = Statement(sa.insert(THINGS))
PUT: Final = Statement(
    lambda insert: insert(THINGS).on_conflict_do_update(index_elements=["name"], set_={"size": THINGS.c.size + 1})
)
ALL: Final = Statement(sa.select(THINGS).order_by(THINGS.c.name))
FIND: Final = Statement(sa.select(THINGS).where(THINGS.c.name == sa.bindparam("which")))
OLDEST: Final = Statement(sa.select(THINGS.c.name).where(THINGS.c.is_new.is_(True)).limit(1))
GROW: Final = Statement(
    sa.update(THINGS).where(THINGS.c.name == sa.bindparam("which")).values(size=sa.bindparam("to"), is_new=False)
)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> object:
    """Run on virtual time what needs no sockets."""
    return ("asyncio", {"loop_factory": SimLoop}) if kind == "sqlite" else "asyncio"


@pytest.fixture
async def store(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store with the table."""
    if kind == "sqlite":
        inline = open_inline(METADATA)
        yield inline
        inline.close()
        return
    url, schema = str(request.getfixturevalue("postgresql_url")), "test_statements"
    async with open_postgresql(url, schema, metadata=METADATA) as opened:
        yield opened
    await drop_postgresql(url, schema)


def fill(connection: sa.Connection) -> None:
    for row in ROWS:
        INSERT.run(connection, **row)


async def test_values_of_every_type_come_back_as_they_went_in(store: Store) -> None:
    """Also through SQLAlchemy itself: what one wrote the other reads."""
    await store.transact(fill)
    found = await store.transact(ALL.all)
    assert [tuple(row) for row in found] == [tuple(row.values()) for row in ROWS]
    assert [type(value) for row in found for value in row[1:4]] == [int, bool, bytes] * 2 + [int] + [type(None)] * 2
    through_core = await store.transact(lambda connection: connection.execute(sa.select(THINGS)).all())
    assert sorted(map(tuple, through_core)) == [tuple(row) for row in found]


async def test_rows_have_the_names_of_their_columns(store: Store) -> None:
    """And each way to ask gives its part of them."""
    await store.transact(fill)
    row = await store.transact(FIND.one, which="a")
    assert (row.name, row.size, row.is_new) == ("a", -(2**63), True)
    assert await store.transact(ALL.scalars) == ("a", "b", "red")
    assert await store.transact(OLDEST.scalar) == "a"
    assert await store.transact(FIND.first, which="nobody") is None
    assert await store.transact(FIND.scalar, which="nobody") is None


async def test_one_row_is_neither_none_nor_several(store: Store) -> None:
    """What must be there once, and is not, is a mistake."""
    await store.transact(fill)
    with pytest.raises(NoResultFound):
        await store.transact(FIND.one, which="nobody")
    with pytest.raises(MultipleResultsFound):
        await store.transact(ALL.one)


async def test_parameters_and_literals_each_reach_their_place(store: Store) -> None:
    """In the SET clause, in the condition, and in the answer to a row that is there."""
    await store.transact(fill)
    await store.transact(GROW.run, which="a", to=7)
    await store.transact(PUT.run, name="red", size=5, is_new=True, data=b"x", plain=None)
    rows = {row.name: row for row in await store.transact(ALL.all)}
    assert (rows["a"].size, rows["a"].is_new) == (7, False)
    assert (rows["red"].size, rows["red"].is_new) == (1, None)


async def test_a_refused_statement_raises_what_sqlalchemy_raises_and_undoes_the_transaction(store: Store) -> None:
    """Whoever looks at errors sees no difference between the ways."""

    def fill_twice(connection: sa.Connection) -> None:
        fill(connection)
        fill(connection)

    with pytest.raises(IntegrityError):
        await store.transact(fill_twice)
    assert len(await store.transact(ALL.all)) == 0


async def test_both_ways_share_one_transaction(store: Store) -> None:
    """What a statement wrote SQLAlchemy's own `execute` sees, and an error undoes both."""

    def both(connection: sa.Connection, *, fails: bool) -> int:
        fill(connection)
        connection.execute(THINGS.insert().values(name="c", size=0))
        if fails:
            raise KeyError
        return int(connection.execute(sa.select(sa.func.count()).select_from(THINGS)).scalar_one())

    with pytest.raises(KeyError):
        await store.transact(both, fails=True)
    assert await store.transact(both, fails=False) == len(ROWS) + 1
    assert len(await store.transact(ALL.all)) == len(ROWS) + 1


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_full_database_is_an_unavailable_store(store: Store) -> None:
    """The driver's own error is told apart as SQLAlchemy's was, and the transaction is undone."""

    def outgrow(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 20")
        INSERT.run(connection, name="big", size=0, is_new=None, data=bytes(1_000_000), plain=None)

    with pytest.raises(StoreUnavailable, match="full"):
        await store.transact(outgrow)
    assert len(await store.transact(ALL.all)) == 0


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_work_does_not_survive_a_transaction_that_the_database_gave_up(store: Store) -> None:
    """Some errors roll all of it back by themselves: work that swallows one of these did not succeed."""

    def swallow(connection: sa.Connection) -> None:
        fill(connection)
        with suppress(IntegrityError):
            connection.exec_driver_sql("INSERT OR ROLLBACK INTO things (name, size) VALUES ('a', 1)")

    with pytest.raises(StoreUnavailable, match="gave up"):
        await store.transact(swallow)
    assert len(await store.transact(ALL.all)) == 0


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_stores_of_one_kind_begin_empty_each() -> None:
    """They are made of one template, and what one is given the others do not have."""
    first, second = open_inline(METADATA), open_inline(METADATA)
    await first.transact(fill)
    assert len(await first.transact(ALL.all)) == len(ROWS)
    assert len(await second.transact(ALL.all)) == 0
    assert len(await open_inline(METADATA).transact(ALL.all)) == 0
