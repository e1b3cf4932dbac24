"""The stores beyond their contract: group commit, durability, lost races, lost servers, and which URL names what."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from actors.store.engine import open_store
from actors.store.postgresql import TRIES_MAX, PostgresStore, drop_postgresql, open_postgresql
from actors.store.sqlite import GROUP_MAX, SqliteStore, open_sqlite
from protocol.errors import CellferryError, InvalidName, InvalidValue, Overflow, StoreUnavailable

pytestmark = pytest.mark.anyio

METADATA: Final = sa.MetaData()
ROWS: Final = sa.Table(
    "rows",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
    sa.Column("parent", sa.ForeignKey("rows.id", deferrable=True, initially="DEFERRED")),
)


@pytest.fixture
def anyio_backend() -> str:
    """Threads, processes and sockets need a real loop."""
    return "asyncio"


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store in a file of this test's own."""
    async with open_sqlite(tmp_path / "cell.db", METADATA) as store:
        yield store


@pytest.fixture
async def schema(postgresql_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A schema of this test's own, dropped at its end."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"test_{worker}_{os.getpid()}_{hashlib.blake2s(request.node.nodeid.encode(), digest_size=6).hexdigest()}"
    yield name
    await drop_postgresql(postgresql_url, name)


@pytest.fixture
async def postgres_store(postgresql_url: str, schema: str) -> AsyncIterator[PostgresStore]:
    """A store in that schema."""
    async with open_postgresql(postgresql_url, schema, metadata=METADATA) as store:
        yield store


def put(connection: sa.Connection, number: int, *, value: int = 0, parent: int | None = None) -> None:
    connection.execute(ROWS.insert().values(id=number, value=value, parent=parent))


def get(connection: sa.Connection, number: int) -> int:
    return int(connection.execute(sa.select(ROWS.c.value).where(ROWS.c.id == number)).scalar_one())


def set_value(connection: sa.Connection, number: int, value: int) -> None:
    connection.execute(ROWS.update().where(ROWS.c.id == number).values(value=value))


def ids(connection: sa.Connection) -> list[int]:
    return list(connection.execute(sa.select(ROWS.c.id).order_by(ROWS.c.id)).scalars())


def fail_as(connection: sa.Connection, state: str) -> None:
    """Have the server refuse with that SQLSTATE."""
    connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'planned' USING ERRCODE = '{state}'; END $$")


class Group:
    """Transactions that are waiting together when the store's thread comes for them, and their failures."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.failures: dict[int, BaseException] = {}
        self.is_held = threading.Event()
        self.may_go = threading.Event()

    def hold(self, _connection: sa.Connection) -> None:
        self.is_held.set()
        assert self.may_go.wait(10)

    async def call(self, number: int, work: Callable[[sa.Connection], object]) -> None:
        try:
            await self.store.transact(work)
        except (KeyError, SQLAlchemyError, CellferryError) as error:
            self.failures[number] = error

    async def run(self, *calls: Callable[[sa.Connection], object]) -> None:
        """Hold the thread in a transaction until all the others wait, or were refused."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.store.transact, self.hold)
            await anyio.to_thread.run_sync(self.is_held.wait, 10)
            for number, work in enumerate(calls):
                tasks.start_soon(self.call, number, work)
            while self.store.statistics().waiting + len(self.failures) < len(calls):
                await anyio.lowlevel.checkpoint()
            self.may_go.set()

    def kinds(self) -> dict[int, type[BaseException]]:
        """Tell which calls failed, and how."""
        return {number: type(error) for number, error in self.failures.items()}


# --- SQLite ------------------------------------------------------------------------------------------------


async def test_waiting_transactions_share_a_commit(sqlite_store: SqliteStore) -> None:
    """All that wait are committed together, up to the limit of a group."""
    before = sqlite_store.statistics()
    await Group(sqlite_store).run(*(partial(put, number=number) for number in range(GROUP_MAX + 10)))
    after = sqlite_store.statistics()
    assert after.transactions - before.transactions == 1 + GROUP_MAX + 10
    assert after.commits - before.commits == 3
    assert await sqlite_store.transact(ids) == list(range(GROUP_MAX + 10))


async def test_a_failure_within_a_group_is_its_own(sqlite_store: SqliteStore) -> None:
    """The savepoint of the one that raised is undone; those before and behind it are committed."""

    def put_and_fail(connection: sa.Connection) -> None:
        put(connection, 2)
        raise KeyError(2)

    group = Group(sqlite_store)
    await group.run(lambda c: put(c, 1), put_and_fail, lambda c: put(c, 1), lambda c: put(c, 3))
    assert group.kinds() == {1: KeyError, 2: IntegrityError}
    assert await sqlite_store.transact(ids) == [1, 3]


async def test_a_constraint_that_shows_at_the_commit_fails_its_own_transaction_only(sqlite_store: SqliteStore) -> None:
    """A group whose COMMIT is refused is run again one by one."""
    group = Group(sqlite_store)
    await group.run(lambda c: put(c, 1), lambda c: put(c, 2, parent=99), lambda c: put(c, 3, parent=1))
    assert group.kinds() == {1: IntegrityError}
    assert await sqlite_store.transact(ids) == [1, 3]


async def test_a_group_whose_commit_fails_fails_together(sqlite_store: SqliteStore) -> None:
    """None of them is told that it was committed, and the next transaction opens the file anew."""

    def interrupt(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: True, 1)

    group = Group(sqlite_store)
    await group.run(lambda c: put(c, 1), lambda c: put(c, 2), interrupt)
    assert group.kinds() == dict.fromkeys(range(3), StoreUnavailable)
    assert await sqlite_store.transact(ids) == []


async def test_a_full_disk_is_an_unavailable_store_and_nobody_elses_failure(sqlite_store: SqliteStore) -> None:
    """The transaction that does not fit fails; the others of its group are kept, and the store lives on."""

    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE big (bytes BLOB)")
        connection.exec_driver_sql("PRAGMA max_page_count = 100")

    def fill(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(4000000))")

    await sqlite_store.transact(limit)
    group = Group(sqlite_store)
    await group.run(lambda c: put(c, 1), fill, lambda c: put(c, 3))
    assert group.kinds() == {1: StoreUnavailable}
    assert "database or disk is full" in str(group.failures[1])
    assert await sqlite_store.transact(ids) == [1, 3]


async def test_a_locked_file_is_an_unavailable_store(
    sqlite_store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds the write lock for too long makes all that wait fail, and the next ones succeed when it let go."""
    monkeypatch.setattr("actors.store.sqlite.BUSY_TIMEOUT_MS", 10)
    with closing(sqlite3.connect(tmp_path / "cell.db", isolation_level=None)) as other:
        async with open_sqlite(tmp_path / "cell.db", sa.MetaData()) as impatient:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await impatient.transact(put, 1)
            other.execute("ROLLBACK")
            await impatient.transact(put, 2)
    assert await sqlite_store.transact(ids) == [2]


async def test_a_full_queue_refuses(tmp_path: Path) -> None:
    """Waiting transactions have a limit; reaching it is a named error, and those that wait are not harmed."""
    async with open_sqlite(tmp_path / "cell.db", METADATA, waiting_max=2) as store:
        group = Group(store)
        await group.run(lambda c: put(c, 1), lambda c: put(c, 2), lambda c: put(c, 3))
        assert list(group.kinds().values()) == [Overflow]
        assert len(await store.transact(ids)) == 2


async def test_a_file_that_is_no_database_is_an_unavailable_store(tmp_path: Path) -> None:
    """A wrong path is told on opening."""
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await open_sqlite(tmp_path / "text", METADATA).__aenter__()


async def test_the_file_is_set_up_for_durability(sqlite_store: SqliteStore) -> None:
    """WAL with a full sync at each commit, foreign keys kept, and patience with another writer."""

    def pragmas(connection: sa.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await sqlite_store.transact(pragmas) == ["wal", 2, 1, 5000]


@pytest.mark.parametrize("end", [sa.Connection.commit, sa.Connection.rollback, sa.Connection.close])
async def test_work_that_ends_the_transaction_itself_harms_only_itself(
    sqlite_store: SqliteStore, end: Callable[[sa.Connection], None]
) -> None:
    """A mistake that the contract forbids fails, alone or in a group, and the thread goes on serving."""
    await Group(sqlite_store).run(end)
    await Group(sqlite_store).run(lambda c: put(c, 1), end, lambda c: put(c, 2))
    assert await sqlite_store.transact(ids) == [1, 2]


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    """A transaction that the store took is not dropped because the store is being closed."""
    path = tmp_path / "cell.db"
    async with anyio.create_task_group() as tasks, open_sqlite(path, METADATA) as store:
        for number in range(50):
            tasks.start_soon(store.transact, put, number)
        await anyio.lowlevel.checkpoint()
    async with open_sqlite(path, METADATA) as store:
        assert await store.transact(ids) == list(range(50))


# --- PostgreSQL --------------------------------------------------------------------------------------------


async def test_a_race_that_shows_at_the_commit_only_is_run_again(postgres_store: PostgresStore) -> None:
    """Write skew: each reads what the other writes, no row is written by both."""
    await postgres_store.transact(put, 1, value=0)
    await postgres_store.transact(put, 2, value=0)
    seen: list[int] = []

    def copy_while_copied_back(connection: sa.Connection) -> None:
        seen.append(get(connection, 1))
        set_value(connection, 2, seen[-1] + 1)
        if len(seen) == 1:
            meanwhile(connection, lambda: postgres_store.transact(lambda c: set_value(c, 1, get(c, 2) + 1)))

    await postgres_store.transact(copy_while_copied_back)
    assert seen == [0, 1]
    assert [await postgres_store.transact(get, number) for number in (1, 2)] == [1, 2]


def meanwhile(connection: sa.Connection, call: Callable[[], Any]) -> None:
    """Await `call` to its end within the transaction of `connection`."""
    dbapi_connection: Any = connection.connection.dbapi_connection
    dbapi_connection.run_async(lambda _driver: call())


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_races_lost_for_ever_end_in_an_unavailable_store(postgres_store: PostgresStore, state: str) -> None:
    """Serialization failures and deadlocks are run again up to a limit."""
    runs: list[None] = []

    def lose(connection: sa.Connection) -> None:
        runs.append(None)
        fail_as(connection, state)

    with pytest.raises(StoreUnavailable, match="races"):
        await postgres_store.transact(lose)
    assert len(runs) == TRIES_MAX


async def test_a_race_lost_and_swallowed_is_run_again_all_the_same(postgres_store: PostgresStore) -> None:
    """Work cannot turn a lost race into a success that commits nothing."""
    runs: list[None] = []

    def swallow(connection: sa.Connection) -> int:
        runs.append(None)
        put(connection, len(runs))
        if len(runs) == 1:
            with pytest.raises(DBAPIError):
                fail_as(connection, "40001")
        return len(runs)

    assert await postgres_store.transact(swallow) == 2
    assert await postgres_store.transact(ids) == [2]


@pytest.mark.parametrize("state", ["53100", "53300", "57P01", "58030", "08006", "25006", "22012", "42601", "P0001"])
async def test_a_server_in_trouble_is_told_from_a_refused_statement(postgres_store: PostgresStore, state: str) -> None:
    """Full disk, too many connections, shutdown, I/O error, lost line, standby; the last three are mistakes of ours."""
    with pytest.raises((StoreUnavailable, DBAPIError), match="planned") as caught:
        await postgres_store.transact(fail_as, state)
    assert issubclass(caught.type, DBAPIError) == (state in {"22012", "42601", "P0001"})
    assert await postgres_store.transact(ids) == []


async def test_a_connection_lost_in_mid_transaction_is_an_unavailable_store(postgres_store: PostgresStore) -> None:
    """The server ends the session: that transaction fails, nothing of it is left, the next one connects anew."""

    def put_and_be_cut(connection: sa.Connection) -> None:
        put(connection, 1)
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        # The wait makes it certain that the session is gone when this returns.
        end = sa.text(f"SELECT pg_terminate_backend({pid}, 5000)")
        meanwhile(connection, lambda: postgres_store.transact(sa.Connection.execute, end))
        put(connection, 2)

    with pytest.raises(StoreUnavailable):
        await postgres_store.transact(put_and_be_cut)
    assert await postgres_store.transact(ids) == []


async def test_a_caller_cancelled_in_mid_transaction_leaves_nothing_behind(postgres_store: PostgresStore) -> None:
    """The statement is given up, the row lock is released, and the connections still serve."""
    await postgres_store.transact(put, 1, value=0)

    def lock_and_wait(connection: sa.Connection) -> None:
        set_value(connection, 1, 1)
        started.set()
        connection.exec_driver_sql("SELECT pg_sleep(60)")

    started = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(postgres_store.transact, lock_and_wait)
        await started.wait()
        tasks.cancel_scope.cancel()
    await postgres_store.transact(set_value, 1, 2)
    assert await postgres_store.transact(get, 1) == 2


async def test_a_silent_server_is_unavailable(postgres_store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction has a limit of time; past it the connection is given up."""
    monkeypatch.setattr("actors.store.postgresql.ANSWER_S_MAX", 0.1)
    with pytest.raises(StoreUnavailable, match="no answer"):
        await postgres_store.transact(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(60)"))
    monkeypatch.undo()
    assert await postgres_store.transact(ids) == []


async def test_too_many_waiting_are_refused(postgresql_url: str, schema: str) -> None:
    """Waiting transactions have a limit here too."""
    async with open_postgresql(postgresql_url, schema, metadata=METADATA, waiting_max=1) as store:
        with pytest.raises(Overflow):
            await store.transact(lambda connection: meanwhile(connection, lambda: store.transact(ids)))


# --- which store -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "hunter2", "", "postgresql+psycopg://u:hunter2@h/d"])
def test_an_unknown_kind_of_store_is_refused_without_its_password(url: str) -> None:
    """The error may be logged."""
    with pytest.raises(InvalidValue) as caught:
        open_store(url, schema="s", metadata=METADATA)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("schema", ["", "Big", "a b", 'a"; DROP', "pg_mine", "1a", "a" * 64])
async def test_a_schema_that_would_need_quoting_is_refused(schema: str) -> None:
    """Its name goes into statements and settings as it is."""
    with pytest.raises(InvalidName):
        async with open_postgresql("postgresql://h/d", schema, metadata=METADATA):
            pass
