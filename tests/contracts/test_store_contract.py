"""What every store promises: one suite over those in memory, simulated, in SQLite's files and in PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError

from actors.kernel.ports import Store
from actors.store.postgresql import drop_postgresql
from protocol.errors import Conflict, StoreUnavailable
from sim.clock import SimLoop
from tests.sim.simulated_store import IN_MEMORY, URL, opened

pytestmark = pytest.mark.anyio

CALLERS: Final = 200
METADATA: Final = sa.MetaData()
COUNTERS: Final = sa.Table(
    "counters",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
DOCUMENTS: Final = sa.Table(
    "documents",
    METADATA,
    sa.Column("id", sa.LargeBinary(16), primary_key=True),
    sa.Column("is_live", sa.Boolean, nullable=False),
    sa.Column("content", sa.JSON(none_as_null=True)),
    sa.Column("at_us", sa.BigInteger),
    sa.Column("counter", sa.ForeignKey(COUNTERS.c.name, deferrable=True, initially="DEFERRED")),
)


@pytest.fixture(params=["inline", "sim", "sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which implementation the test runs on."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> object:
    """Run on virtual time what needs neither threads nor sockets."""
    return ("asyncio", {"loop_factory": SimLoop}) if kind in IN_MEMORY else "asyncio"


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the store of that kind is."""
    match kind:
        case "inline":
            return "sqlite://"
        case "sim":
            return URL
        case "sqlite":
            return f"sqlite:///{tmp_path / 'cell.db'}"
        case _:
            return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
async def schema(url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A schema of this test's own, dropped at its end."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"test_{worker}_{os.getpid()}_{hashlib.blake2s(request.node.nodeid.encode(), digest_size=6).hexdigest()}"
    yield name
    if url.startswith("postgresql"):
        await drop_postgresql(url, name)


@pytest.fixture
async def store(url: str, schema: str) -> AsyncIterator[Store]:
    """An open, empty store."""
    async with opened(url, schema=schema, metadata=METADATA) as store:
        yield store


def put(connection: sa.Connection, name: str, value: int) -> None:
    connection.execute(COUNTERS.insert().values(name=name, value=value))


def get(connection: sa.Connection, name: str) -> int | None:
    return connection.execute(sa.select(COUNTERS.c.value).where(COUNTERS.c.name == name)).scalar_one_or_none()


def count(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(COUNTERS)).scalar_one()


def increment(connection: sa.Connection, name: str, *, by: int = 1) -> int:
    """Read, think, write: what loses an update where transactions are not serializable."""
    value = (get(connection, name) or 0) + by
    connection.execute(COUNTERS.update().where(COUNTERS.c.name == name).values(value=value))
    return value


def put_and_fail(connection: sa.Connection, name: str, error: BaseException) -> None:
    put(connection, name, 1)
    raise error


async def test_a_transaction_that_returned_is_seen_by_the_next(store: Store) -> None:
    """Its value comes back, and what it wrote is there."""
    assert await store.transact(count) == 0
    await store.transact(put, "a", 7)
    assert await store.transact(get, "a") == 7
    assert await store.transact(get, "b") is None


async def test_arguments_reach_the_work_by_place_and_by_name(store: Store) -> None:
    """What stands behind the function is what it is called with."""
    await store.transact(put, "a", value=1)
    assert await store.transact(increment, "a", by=41) == 42
    assert await store.transact(get, name="a") == 42


async def test_a_transaction_that_raised_is_undone_altogether(store: Store) -> None:
    """The caller gets the very exception, and nothing of what was written before it is left."""
    error = Conflict(server="s", action="move", reason="busy")
    with pytest.raises(Conflict) as caught:
        await store.transact(put_and_fail, "a", error)
    assert caught.value is error
    assert await store.transact(count) == 0


@pytest.mark.parametrize("error", [KeyError("k"), ZeroDivisionError(), StopIteration(), GeneratorExit()], ids=repr)
async def test_no_exception_of_the_work_wedges_the_store(store: Store, error: BaseException) -> None:
    """Also those that a future or a coroutine treats in its own way reach the caller, and the store lives on."""
    # A coroutine cannot raise StopIteration; the language makes a RuntimeError of it.
    with pytest.raises((type(error), RuntimeError)):
        await store.transact(put_and_fail, "a", error)
    assert await store.transact(count) == 0


async def test_a_duplicate_key_stays_an_integrity_error(store: Store) -> None:
    """A mistake in the work is not disguised as a store that is away."""
    await store.transact(put, "a", 1)
    with pytest.raises(IntegrityError):
        await store.transact(put, "a", 2)
    assert await store.transact(get, "a") == 1


async def test_a_constraint_that_is_checked_at_the_commit_undoes_the_transaction(store: Store) -> None:
    """The refusal of a COMMIT is the caller's error, and the next transaction is not in the way of what it left."""

    def point_nowhere(connection: sa.Connection) -> None:
        put(connection, "a", 1)
        connection.execute(DOCUMENTS.insert().values(id=b"1", is_live=True, counter="nowhere"))

    with pytest.raises(IntegrityError):
        await store.transact(point_nowhere)
    assert await store.transact(count) == 0
    await store.transact(put, "a", 2)
    assert await store.transact(get, "a") == 2


async def test_a_missing_table_is_no_missing_store(store: Store) -> None:
    """An error of the statement passes unchanged."""
    with pytest.raises((ProgrammingError, sa.exc.OperationalError)):
        await store.transact(lambda connection: connection.exec_driver_sql("SELECT 1 FROM nowhere"))


async def test_an_error_contained_by_a_savepoint_undoes_only_that(store: Store) -> None:
    """Work may try something within a savepoint of its own, fail at it, and go on."""

    def try_twice(connection: sa.Connection) -> None:
        put(connection, "a", 1)
        with suppress(IntegrityError), connection.begin_nested():
            put(connection, "b", 1)
            put(connection, "a", 2)
        put(connection, "c", 3)

    await store.transact(try_twice)
    assert [await store.transact(get, name) for name in "abc"] == [1, None, 3]


async def test_nothing_that_returned_was_undone_in_silence(store: Store) -> None:
    """Work that swallows a refusal is either committed with all it wrote, or fails; never a success that is lost."""

    def swallow(connection: sa.Connection) -> None:
        put(connection, "b", 1)
        with pytest.raises(IntegrityError):
            put(connection, "a", 2)

    await store.transact(put, "a", 1)
    try:
        await store.transact(swallow)
    except IntegrityError:
        assert await store.transact(count) == 1
    else:
        assert await store.transact(count) == 2


async def test_concurrent_changes_of_one_row_lose_none(store: Store) -> None:
    """Each of many read-modify-writes of one row builds on the one before it."""
    await store.transact(put, "a", 0)
    seen: list[int] = []

    async def change() -> None:
        seen.append(await store.transact(increment, "a"))

    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(change)
    assert sorted(seen) == list(range(1, CALLERS + 1))
    assert await store.transact(get, "a") == CALLERS


async def test_two_stores_on_one_database_lose_no_change(store: Store, url: str, schema: str, kind: str) -> None:
    """Replicas of an actor exclude each other by the transaction alone."""
    await store.transact(put, "a", 0)

    async def change(store: Store) -> None:
        for _ in range(25):
            await store.transact(increment, "a")

    async with opened(url, schema=schema, metadata=METADATA) as second, anyio.create_task_group() as tasks:
        # What is in memory cannot be shared: there both are the same store.
        for each in (store, store if kind in IN_MEMORY else second):
            tasks.start_soon(change, each)
            tasks.start_soon(change, each)
    assert await store.transact(get, "a") == 100


async def test_write_skew_between_two_rows_is_refused(store: Store) -> None:
    """Two transactions that each read what the other writes do not both act on the old state."""
    await store.transact(put, "a", 0)
    await store.transact(put, "b", 0)

    def take_if_free(connection: sa.Connection, mine: str, other: str) -> bool:
        is_free = get(connection, other) == 0
        if is_free:
            increment(connection, mine)
        return is_free

    taken: list[bool] = []

    async def take(mine: str, other: str) -> None:
        taken.append(await store.transact(take_if_free, mine, other))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(take, "a", "b")
            tasks.start_soon(take, "b", "a")
    values = [await store.transact(get, name) for name in "ab"]
    assert sorted(values, key=str) == [0, 10]
    assert taken.count(True) == 10


async def test_a_failing_transaction_takes_no_other_with_it(store: Store) -> None:
    """Of many at once each caller gets its own value or its own exception, and only the failing ones are undone."""
    results: dict[int, Any] = {}

    async def call(number: int) -> None:
        try:
            if number % 3:
                await store.transact(put, f"n{number}", number)
                results[number] = await store.transact(get, f"n{number}")
            else:
                await store.transact(put_and_fail, f"n{number}", KeyError(number))
        except KeyError as error:
            results[number] = error.args[0]

    async with anyio.create_task_group() as tasks:
        for number in range(CALLERS):
            tasks.start_soon(call, number)
    assert results == {number: number for number in range(CALLERS)}
    assert await store.transact(count) == sum(1 for number in range(CALLERS) if number % 3)


async def test_values_come_back_as_they_went_in(store: Store) -> None:
    """Bytes, booleans, 64-bit integers, nested JSON and its absence survive the way to the database and back."""
    rows: dict[bytes, dict[str, Any]] = {
        bytes(range(16)): {"is_live": True, "content": None, "at_us": None},
        b"\0" * 16: {"is_live": False, "content": {"a": [1, {"b": None}], "ü!": "\u2603"}, "at_us": 2**62},
        b"\xff" * 16: {"is_live": True, "content": [], "at_us": -1},
    }

    def save_and_load(connection: sa.Connection) -> dict[bytes, dict[str, Any]]:
        connection.execute(DOCUMENTS.insert(), [{"id": key, **row} for key, row in rows.items()])
        return load(connection)

    def load(connection: sa.Connection) -> dict[bytes, dict[str, Any]]:
        columns = sa.select(DOCUMENTS.c.id, DOCUMENTS.c.is_live, DOCUMENTS.c.content, DOCUMENTS.c.at_us)
        found = [dict(row) for row in connection.execute(columns).mappings()]
        return {row.pop("id"): row for row in found}

    assert await store.transact(save_and_load) == rows
    assert await store.transact(load) == rows


async def test_a_cancelled_caller_leaves_a_store_that_works(store: Store) -> None:
    """Its transaction is committed whole or not at all, and neither lock nor connection stays behind."""
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(store.transact, put, f"n{number}", number)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    before = await store.transact(count)
    await store.transact(put, "after", 1)
    assert await store.transact(count) == before + 1


async def test_a_closed_store_is_unavailable(url: str, schema: str) -> None:
    """Who comes too late gets a declared error that may be retried."""
    async with opened(url, schema=schema, metadata=METADATA) as store:
        await store.transact(put, "a", 1)
    with pytest.raises(StoreUnavailable, match="closed") as caught:
        await store.transact(count)
    assert caught.value.is_retryable


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("url", ["sqlite:////nowhere/cells", "postgresql://me:hunter2@127.0.0.1:1/cells"])
async def test_a_database_that_cannot_be_reached_is_unavailable(url: str) -> None:
    """The error names the store, never what opens it."""
    with pytest.raises(StoreUnavailable, match="/cells") as caught:
        async with opened(url, schema="s", metadata=METADATA):
            pass
    assert "hunter2" not in str(caught.value)


async def test_opening_again_finds_what_was_there(url: str, schema: str, kind: str) -> None:
    """A database outlives the process that made it, unless it was in memory; the tables are not made twice."""
    for expected in (0, 0) if kind in IN_MEMORY else (0, 1):
        async with opened(url, schema=schema, metadata=METADATA) as store:
            assert await store.transact(count) == expected
            await store.transact(put, f"a{expected}", 1)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_a_transaction_that_lost_a_race_runs_again_on_the_new_state(store: Store) -> None:
    """Another transaction commits between its read and its write; the second run sees what that one wrote."""
    await store.transact(put, "a", 1)
    seen: list[int | None] = []

    def read_and_write(connection: sa.Connection) -> int:
        seen.append(get(connection, "a"))
        if len(seen) == 1:
            driver: Any = connection.connection.dbapi_connection
            driver.run_async(lambda _driver: store.transact(increment, "a", by=9))
        return increment(connection, "a")

    assert await store.transact(read_and_write) == 11
    assert seen == [1, 10]
    assert await store.transact(get, "a") == 11


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"], indirect=True)
async def test_replicas_that_open_a_new_store_at_once_all_succeed(url: str, schema: str) -> None:
    """Database and tables are made once, whoever comes first."""

    async def open_and_count() -> None:
        async with opened(url, schema=schema, metadata=METADATA) as store:
            assert await store.transact(count) == 0

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(open_and_count)


CHILD: Final = """
import os, sys, anyio, sqlalchemy
from actors.store.engine import open_store

def insert(connection, name):
    connection.exec_driver_sql(f"INSERT INTO counters (name, value) VALUES ('{name}', 0)")

def insert_and_die(connection, name):
    insert(connection, name)
    os._exit(9)

async def main(url, schema):
    async with open_store(url, schema=schema, metadata=sqlalchemy.MetaData()) as store:
        await store.transact(insert, "a")
        await store.transact(insert, "b")
        await store.transact(insert_and_die, "c")

anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"], indirect=True)
async def test_what_was_committed_outlives_a_killed_process(store: Store, url: str, schema: str) -> None:
    """A process that dies within a transaction leaves those it had been told of, and nothing of that one."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    died = await anyio.run_process([sys.executable, "-c", CHILD, url, schema], check=False, env=environment)
    assert died.returncode == 9, died.stderr.decode()
    assert [await store.transact(get, name) for name in "abc"] == [0, 0, None]
