"""Stores on SQLite: one in memory that runs inline on the loop, one in a file, with a thread and group commit."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from contextlib import asynccontextmanager, suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar, cast

import anyio
import attrs
import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from actors.store.statements import driver_of, run_sql
from protocol.errors import Overflow, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from actors.store.revisions import Prepare

P = ParamSpec("P")
T = TypeVar("T")
Call: TypeAlias = "Callable[[sqlalchemy.Connection], Any]"

#: How many transactions share one COMMIT at most, and how many may wait for their turn.
GROUP_MAX: Final = 128
WAITING_MAX: Final = 10_000
#: How long another process may hold the file's write lock before a transaction gives up.
BUSY_TIMEOUT_MS: Final = 5_000
#: How many statements a connection keeps prepared: all that a cell has.
STATEMENTS_MAX: Final = 512
#: How many sets of tables an empty in-memory store is kept ready for.
TEMPLATES_MAX: Final = 16
#: How often a process tries to switch a new file to WAL while others do the same.
WAL_TRIES_MAX: Final = 50
MEMORY: Final = ":memory:"

#: Primary result codes that speak of the file, the disk or its locks, and not of the statement.
UNAVAILABLE: Final = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
})  # fmt: skip
#: The low byte of an extended result code is the primary one.
PRIMARY_CODE: Final = 0xFF


class InlineStore:
    """An in-memory database that runs each transaction on the loop itself, in the order of the calls' turns.

    It gives way to other tasks before and after a transaction, never within one: as with a deployed store, others
    may run between the commit and the caller's next line, and a caller cancelled there has committed.
    """

    def __init__(self, content: bytes = b"") -> None:
        """Make a database of this content; none: one without tables."""
        self._connection = _memory_engine().connect()
        if content:
            driver_of(self._connection).deserialize(content)

    async def transact(
        self, work: Callable[Concatenate[sqlalchemy.Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run `work` in one transaction: committed when it returns, undone when it raises."""
        await asyncio.sleep(0)
        if self._connection.closed:
            raise StoreUnavailable(store=MEMORY, reason="it is closed")
        try:
            value = _run_alone(self._connection, lambda connection: work(connection, *arguments, **named))
        except DBAPIError as error:
            if (unavailable := _unavailable(error, store=MEMORY)) is None:
                raise
            raise unavailable from error
        await asyncio.sleep(0)
        return cast("T", value)

    def close(self) -> None:
        """Forget the database; closing it again changes nothing."""
        self._connection.close()


def open_inline(metadata: sqlalchemy.MetaData) -> InlineStore:
    """Make an empty in-memory store that has the tables of `metadata`; its owner closes it."""
    return InlineStore(_empty(metadata, tuple(metadata.tables.values())))


@lru_cache(maxsize=TEMPLATES_MAX)
def _empty(metadata: sqlalchemy.MetaData, tables: tuple[sqlalchemy.Table, ...]) -> bytes:
    """Give the content of a database with these tables: making them one by one takes as long as many transactions."""
    with _memory_engine().connect() as connection:
        _run_alone(connection, lambda connection: metadata.create_all(connection, tables=tables))
        return driver_of(connection).serialize()


@attrs.frozen(kw_only=True)
class Statistics:
    """What a store has done so far."""

    #: Transactions that are committed, and the COMMITs that it took.
    transactions: int
    commits: int
    #: Transactions that wait for their turn.
    waiting: int


@attrs.frozen
class _Done:
    value: Any


@attrs.frozen
class _Failed:
    error: BaseException


_Outcome: TypeAlias = _Done | _Failed


@attrs.frozen(kw_only=True, eq=False)
class _Waiting:
    call: Call
    answer: asyncio.Future[_Outcome]


class SqliteStore:
    """A database in a file, written by one thread that commits all waiting transactions together.

    A transaction that raises undoes itself alone.  When the COMMIT fails, all of its group fail.  The waiter of a
    transaction may be cancelled: one not begun yet is then dropped, one begun may still be committed.
    """

    def __init__(self, path: Path, *, waiting_max: int = WAITING_MAX) -> None:
        """Start the thread, which opens the file when the first transaction comes."""
        self._name = str(path)
        self._waiting_max = waiting_max
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._transactions = 0
        self._commits = 0
        self._engine = _create_engine(self._name)
        #: The thread's own, like the connection in it; None until it is first needed, and after a failure.
        self._connection: sqlalchemy.Connection | None = None
        self._taken: Sequence[_Waiting] = ()
        self._thread = threading.Thread(target=self._serve, name=f"store {path.name}", daemon=True)
        self._thread.start()

    async def transact(
        self, work: Callable[Concatenate[sqlalchemy.Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run `work` in one transaction: durable when this returns, undone when it raises."""
        outcome = await self._enqueue(lambda connection: work(connection, *arguments, **named))
        match outcome:
            case _Done(value):
                return cast("T", value)
            case _Failed(error):
                raise error

    def statistics(self) -> Statistics:
        """Tell how many transactions were committed, in how many commits, and how many wait."""
        return Statistics(transactions=self._transactions, commits=self._commits, waiting=len(self._waiting))

    async def close(self) -> None:
        """Finish what waits, refuse what comes, and let go of the file."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        with anyio.CancelScope(shield=True):
            await asyncio.shield(self._ended)
        self._thread.join()

    def _enqueue(self, call: Call) -> asyncio.Future[_Outcome]:
        waiting = _Waiting(call=call, answer=self._loop.create_future())
        with self._changed:
            if self._is_closing:
                raise StoreUnavailable(store=self._name, reason="it is closed")
            if len(self._waiting) >= self._waiting_max:
                raise Overflow(what=f"the store {self._name}", limit=self._waiting_max)
            self._waiting.append(waiting)
            self._changed.notify()
        return waiting.answer

    # --- in the thread ---------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while self._take():
                if calls := [waiting.call for waiting in self._taken]:
                    self._answer(self._run(calls))
        finally:
            self._stop()

    def _take(self) -> bool:
        """Wait for transactions and take a group of them; tell whether there is more to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_MAX))]
        self._taken = [waiting for waiting in group if not waiting.answer.cancelled()]
        return bool(group)

    def _answer(self, outcomes: Sequence[_Outcome]) -> None:
        answers = list(zip(self._taken, outcomes, strict=True))
        self._taken = ()
        self._tell_loop(_resolve, answers)

    def _tell_loop(self, function: Callable[..., None], /, *arguments: object) -> None:
        # A loop that was closed under the store has no waiters left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _run(self, calls: Sequence[Call]) -> Sequence[_Outcome]:
        if len(calls) == 1:
            return [self._run_one(calls[0])]
        try:
            return self._run_group(calls)
        except SQLAlchemyError as error:
            if _unavailable(error, store=self._name) is not None:
                self._disconnect()
                return [self._failed(error) for _ in calls]
        # One of them broke the transaction that they share (a full disk rolls all of it back, a deferred constraint
        # shows at the COMMIT only).  Each runs again on its own, so that the failure is that one's alone.
        return [self._run_one(call) for call in calls]

    def _run_group(self, calls: Sequence[Call]) -> Sequence[_Outcome]:
        connection = self._connect()
        outcomes: Sequence[_Outcome] = _run_alone(
            connection, lambda connection: [self._run_in_savepoint(connection, call) for call in calls]
        )
        self._count(sum(isinstance(outcome, _Done) for outcome in outcomes))
        return outcomes

    def _run_in_savepoint(self, connection: sqlalchemy.Connection, call: Call) -> _Outcome:
        # One name for all, unlike SQLAlchemy's numbered ones, keeps the driver's statement cache small.
        run_sql(connection, "SAVEPOINT waiting")
        outcome = self._outcome(lambda: call(connection))
        if isinstance(outcome, _Failed):
            run_sql(connection, "ROLLBACK TO waiting")
        run_sql(connection, "RELEASE waiting")
        return outcome

    def _run_one(self, call: Call) -> _Outcome:
        outcome = self._outcome(lambda: _run_alone(self._connect(), call))
        if isinstance(outcome, _Done):
            self._count(1)
        elif isinstance(outcome.error, StoreUnavailable):
            self._disconnect()
        return outcome

    def _outcome(self, run: Callable[[], Any]) -> _Outcome:
        try:
            return _Done(run())
        except BaseException as error:  # noqa: BLE001 - The thread's edge: it is raised again where the caller waits.
            return self._failed(error)

    def _failed(self, error: BaseException) -> _Failed:
        return _Failed(_unavailable(error, store=self._name) or error)

    def _count(self, transactions: int) -> None:
        self._transactions += transactions
        self._commits += 1

    def _connect(self) -> sqlalchemy.Connection:
        if self._connection is not None and (self._connection.closed or driver_of(self._connection).in_transaction):
            self._disconnect()
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        # After an error of the disk the next transaction opens the file anew, and trusts nothing that was cached.
        connection, self._connection = self._connection, None
        if connection is not None and not connection.closed:
            connection.invalidate()
            connection.close()

    def _stop(self) -> None:
        with self._changed:
            self._is_closing = True
            self._taken = (*self._taken, *self._waiting)
            self._waiting.clear()
        self._answer([_Failed(StoreUnavailable(store=self._name, reason="its thread ended")) for _ in self._taken])
        try:
            self._disconnect()
            self._engine.dispose()
        finally:
            self._tell_loop(self._ended.set_result, None)


@asynccontextmanager
async def open_sqlite(
    path: Path, metadata: sqlalchemy.MetaData, *, waiting_max: int = WAITING_MAX, prepare: Prepare | None = None
) -> AsyncIterator[SqliteStore]:
    """Open the database file at `path`, made when missing; `prepare` readies it, or makes the tables of `metadata`."""
    store = SqliteStore(path, waiting_max=waiting_max)
    try:
        await store.transact(prepare or metadata.create_all)
        yield store
    finally:
        await store.close()


def _resolve(answers: Sequence[tuple[_Waiting, _Outcome]]) -> None:
    for waiting, outcome in answers:
        if not waiting.answer.done():
            waiting.answer.set_result(outcome)


def _run_alone(connection: sqlalchemy.Connection, call: Call) -> Any:
    # On the driver itself: SQLAlchemy's own border costs as much as a whole transaction of ours.
    run_sql(connection, "BEGIN IMMEDIATE")
    try:
        value = call(connection)
        _commit(connection)
    except BaseException:
        _undo(connection)
        raise
    return value


def _commit(connection: sqlalchemy.Connection) -> None:
    # Some errors roll the transaction back by themselves, and what came after them is no longer of one piece.
    if not driver_of(connection).in_transaction:
        raise StoreUnavailable(store=_name(connection), reason="the database gave up the transaction")
    if connection.in_transaction():  # The work called SQLAlchemy's own `execute`, which joined in.
        connection.commit()
    else:
        run_sql(connection, "COMMIT")


def _undo(connection: sqlalchemy.Connection) -> None:
    with suppress(sqlite3.Error, SQLAlchemyError):  # The error that led here is the one to tell.
        connection.rollback()
        # SQLite keeps a transaction open whose COMMIT it refused, and SQLAlchemy holds it for ended.
        driver_of(connection).rollback()


def _name(connection: sqlalchemy.Connection) -> str:
    return connection.engine.url.database or MEMORY


def _unavailable(error: BaseException, *, store: str) -> StoreUnavailable | None:
    """Translate an error that means the database is away, locked, full or broken; None for every other one."""
    if not isinstance(error, DBAPIError):
        return None
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_OK)
    if code & PRIMARY_CODE not in UNAVAILABLE:
        return None
    unavailable = StoreUnavailable(store=store, reason=str(error.orig).partition("\n")[0])
    unavailable.__cause__ = error
    return unavailable


def _create_engine(database: str) -> sqlalchemy.Engine:
    url = sqlalchemy.URL.create("sqlite", database=database)
    # No pool: in memory each connection is a database, and a file is written by one thread with one connection.
    connect_args = {"check_same_thread": database != MEMORY, "cached_statements": STATEMENTS_MAX}
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=connect_args)
    sqlalchemy.event.listen(engine, "connect", _prepare)
    return engine


@cache
def _memory_engine() -> sqlalchemy.Engine:
    return _create_engine(MEMORY)


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own BEGIN comes before the first write only, too late for a read that the write depends on.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    _switch_to_wal(connection)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    for _ in range(WAL_TRIES_MAX):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        # While others open the new file too, the switch fails at once, deaf to the busy timeout; a lock waits.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
