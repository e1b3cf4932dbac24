"""The store on PostgreSQL: serializable transactions through asyncpg, run again when they lost a race."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar, cast

import anyio
import sqlalchemy
from sqlalchemy.exc import ArgumentError, DBAPIError

from actors.store.schemas import checked_schema
from protocol.errors import InvalidValue, Overflow, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from actors.store.revisions import Prepare

P = ParamSpec("P")
T = TypeVar("T")
Call: TypeAlias = "Callable[[sqlalchemy.Connection], Any]"

#: How many transactions run at once, and how many may wait for that.
POOL_MAX: Final = 4
WAITING_MAX: Final = 10_000
#: How often a transaction that lost a race is run; after `CROWD_TRIES_MAX` of them no other runs beside it.
TRIES_MAX: Final = 20
CROWD_TRIES_MAX: Final = 2
PAUSE_S: Final = 0.002
PAUSE_S_MAX: Final = 0.05
#: How long the database may take over one try, its connecting included, and over giving a connection back.
ANSWER_S_MAX: Final = 30.0
CLOSE_S_MAX: Final = 5.0

#: SQLSTATEs of a race lost: nothing is wrong with the transaction, and it is run again.
LOST_RACE: Final = frozenset({"40001", "40P01"})
#: SQLSTATEs, or their classes, that speak of the server and not of the statement.
UNAVAILABLE: Final = ("08", "53", "57", "58", "25006", "55P03")
DRIVERS: Final = ("postgresql", "postgres", "postgresql+asyncpg")


class PostgresStore:
    """One schema of a PostgreSQL database, which is a cell's own.

    A transaction that lost a race is run again.  The caller of a transaction may be cancelled: it is undone then,
    unless its COMMIT was already on the way.  After `StoreUnavailable` it is unknown whether it was committed.
    """

    def __init__(
        self, engine: AsyncEngine, *, schema: str, waiting_max: int = WAITING_MAX, answer_s: float = ANSWER_S_MAX
    ) -> None:  # fmt: skip
        """Take the engine over; it connects when the first transaction comes."""
        self._engine = engine
        self._name = f"{engine.url.host}/{engine.url.database}/{schema}"
        self._password = engine.url.password
        self._waiting_max = waiting_max
        self._answer_s = answer_s
        self._waiting = 0
        self._turns = anyio.Semaphore(POOL_MAX)
        self._lone = anyio.Lock()
        self._is_closed = False
        sqlalchemy.event.listen(engine.sync_engine, "handle_error", _remember)

    async def transact(
        self, work: Callable[Concatenate[sqlalchemy.Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run `work` in one serializable transaction: durable when this returns, undone when it raises."""
        if self._waiting >= self._waiting_max:
            raise Overflow(what=f"the store {self._name}", limit=self._waiting_max)
        self._waiting += 1
        try:
            return cast("T", await self._run(lambda connection: work(connection, *arguments, **named)))
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Let what runs end, refuse what waits or comes, and close the connections."""
        self._is_closed = True
        with anyio.CancelScope(shield=True):
            async with self._alone():
                await self._engine.dispose()

    async def create(self, schema: str, prepare: Prepare) -> None:
        """Make the schema if it is missing, and ready what is in it, one process at a time."""

        def make(connection: sqlalchemy.Connection) -> None:
            # So that it sees what another process made while this one waited for the lock.
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_lock_number(schema))))
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            prepare(connection)

        await self.transact(make)

    async def drop(self, schema: str) -> None:
        """Delete the schema with all that is in it; a missing one is no error."""
        await self.transact(lambda connection: connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))

    async def _run(self, call: Call) -> object:
        for tries in range(TRIES_MAX):
            async with self._turns if tries < CROWD_TRIES_MAX else self._alone():
                try:
                    return await self._try(call)
                except DBAPIError as error:
                    if _state(error) not in LOST_RACE:
                        raise
            await anyio.sleep(min(PAUSE_S * 2**tries, PAUSE_S_MAX))
        raise self._unavailable(f"the transaction lost {TRIES_MAX} races")

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold all turns: no other transaction of this process runs meanwhile."""
        async with self._lone, AsyncExitStack() as turns:
            for _ in range(POOL_MAX):
                await turns.enter_async_context(self._turns)
            yield

    async def _try(self, call: Call) -> object:
        if self._is_closed:
            raise self._unavailable("it is closed")
        with anyio.move_on_after(self._answer_s) as limit:
            async with self._connected() as connection:
                return await self._try_on(connection, call)
        assert limit.cancelled_caught
        raise self._unavailable(f"no answer within {self._answer_s:g} s")

    async def _try_on(self, connection: AsyncConnection, call: Call) -> object:
        try:
            return await connection.run_sync(_run_sync, call)
        except DBAPIError as error:
            if error.connection_invalidated or _state(error).startswith(UNAVAILABLE):
                raise self._unavailable(_text(error)) from error
            raise
        except ConnectionError as error:
            raise self._unavailable(str(error)) from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await self._engine.connect()
        except (DBAPIError, OSError) as error:
            raise self._unavailable(_text(error)) from error
        try:
            yield connection
        finally:
            with anyio.move_on_after(CLOSE_S_MAX, shield=True):
                await connection.close()

    def _unavailable(self, text: str) -> StoreUnavailable:
        reason = text.partition("\n")[0]
        if self._password:
            reason = reason.replace(str(self._password), "***")
        return StoreUnavailable(store=self._name, reason=reason)


@asynccontextmanager
async def open_postgresql(
    url: str, schema: str, *, metadata: sqlalchemy.MetaData, waiting_max: int = WAITING_MAX,
    prepare: Prepare | None = None,
) -> AsyncIterator[PostgresStore]:  # fmt: skip
    """Open the schema, made when missing, of the database that `url` names.

    `prepare` readies it, or makes the tables of `metadata`.
    """
    store = PostgresStore(_create_engine(url, schema), schema=schema, waiting_max=waiting_max)
    try:
        await store.create(schema, prepare or metadata.create_all)
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def look_into_postgresql(
    url: str, schema: str, *, answer_s: float = ANSWER_S_MAX
) -> AsyncIterator[PostgresStore]:
    """Open a schema as it is, whether or not it is there; one transaction may take `answer_s` seconds."""
    store = PostgresStore(_create_engine(url, schema), schema=schema, answer_s=answer_s)
    try:
        yield store
    finally:
        await store.close()


async def drop_postgresql(url: str, schema: str) -> None:
    """Delete the schema, with all that is in it, from the database that `url` names."""
    store = PostgresStore(_create_engine(url, schema), schema=schema)
    try:
        await store.drop(schema)
    finally:
        await store.close()


def _create_engine(url: str, schema: str) -> AsyncEngine:
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - it loads the ORM; SQLite needs none

    return create_async_engine(
        _asyncpg_url(url),
        pool_size=POOL_MAX,
        max_overflow=0,
        isolation_level="SERIALIZABLE",
        connect_args={
            "timeout": ANSWER_S_MAX,
            "server_settings": {"search_path": checked_schema(schema), "application_name": "cellferry"},
        },
    )


def _asyncpg_url(text: str) -> sqlalchemy.URL:
    rule = "it must be like postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        url = sqlalchemy.make_url(text)
    except ArgumentError:
        raise InvalidValue(name="the store's URL", value="***", rule=rule) from None
    if url.drivername not in DRIVERS:
        raise InvalidValue(name="the kind of the store's URL", value=url.drivername, rule=rule)
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


def _lock_number(schema: str) -> int:
    return int.from_bytes(hashlib.blake2s(schema.encode(), digest_size=8).digest(), signed=True)


def _run_sync(connection: sqlalchemy.Connection, call: Call) -> object:
    connection.info.pop("refused", None)
    with connection.begin():
        value = call(connection)
        _check_not_aborted(connection)
    return value


def _remember(context: sqlalchemy.ExceptionContext) -> None:
    if context.connection is not None and not context.connection.invalidated:
        context.connection.info.setdefault("refused", context.sqlalchemy_exception)


def _check_not_aborted(connection: sqlalchemy.Connection) -> None:
    """Raise the error that `work` swallowed, if it has spoilt the transaction: its COMMIT would undo in silence."""
    if (refused := connection.info.pop("refused", None)) is None:
        return
    try:
        connection.exec_driver_sql("SELECT 1")
    except DBAPIError:
        raise refused from None


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _text(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    return str(cause) or type(cause).__name__
