"""Statements written once with SQLAlchemy Core; on SQLite they are compiled once and run by the driver itself.

For a statement of a few microseconds SQLAlchemy takes ten times as long as SQLite.  PostgreSQL is a network away: there
Core runs them, which keeps its own cache of what it compiled.
"""

from __future__ import annotations

import sqlite3
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from sqlalchemy import Boolean, LargeBinary
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.sql.base import Executable
    from sqlalchemy.types import TypeEngine

    from actors.kernel.ports import Connection

#: Makes a statement that only a dialect's own INSERT can say, given that INSERT: what to do about a row that is there.
Upsert: TypeAlias = "Callable[[Callable[..., sqlite.Insert]], Executable]"
Convert: TypeAlias = "Callable[[Any], Any]"

SQLITE: Final = sqlite.dialect()


class Statement:
    """A statement with named parameters; each call gives their values.

    A parameter is not named like a column that the statement sets.  Rows are tuples whose items also have the names
    of their columns.
    """

    def __init__(self, core: Executable | Upsert) -> None:
        """Take a statement of Core, or what makes one of a dialect's INSERT."""
        self._core = core

    def run(self, connection: Connection, /, **values: Any) -> None:
        """Run it for what it does."""
        if connection.dialect.name == SQLITE.name:
            self._on_sqlite.run(connection, values)
        else:
            connection.execute(self._on_postgresql, values)

    def all(self, connection: Connection, /, **values: Any) -> Sequence[Any]:
        """Run it and give all rows."""
        if connection.dialect.name == SQLITE.name:
            return self._on_sqlite.rows(connection, values)
        rows: Sequence[Any] = connection.execute(self._on_postgresql, values).all()
        return rows

    def first(self, connection: Connection, /, **values: Any) -> Any | None:
        """Run it and give the first row; None when there is none."""
        rows = self.all(connection, **values)
        return rows[0] if rows else None

    def one(self, connection: Connection, /, **values: Any) -> Any:
        """Run it and give its only row; raise when there are none or several."""
        rows = self.all(connection, **values)
        if not rows:
            raise NoResultFound("no row where there is one")
        if len(rows) > 1:
            raise MultipleResultsFound("several rows where there is one")
        return rows[0]

    def scalar(self, connection: Connection, /, **values: Any) -> Any | None:
        """Run it and give the first column of the first row; None when there is none."""
        rows = self.all(connection, **values)
        return rows[0][0] if rows else None

    def scalars(self, connection: Connection, /, **values: Any) -> tuple[Any, ...]:
        """Run it and give the first column of all rows."""
        return tuple([row[0] for row in self.all(connection, **values)])

    @cached_property
    def _on_sqlite(self) -> _Compiled:
        return _Compiled(self._core(sqlite.insert) if callable(self._core) else self._core)

    @cached_property
    def _on_postgresql(self) -> Executable:
        # Both dialects say it alike, but share no type.
        return self._core(cast("Any", postgresql.insert)) if callable(self._core) else self._core


class _Compiled:
    """A statement as SQLite's driver takes it, and what makes of values what the driver knows, and back."""

    def __init__(self, core: Any) -> None:
        compiled = core.compile(dialect=SQLITE)
        self._sql = str(compiled)
        self._names: list[str] = list(compiled.positiontup)
        writes = {name: _write(compiled.binds[name].type) for name in self._names}
        self._writes = {name: write for name, write in writes.items() if write is not None}
        self._literals = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        columns = list(core.exported_columns)
        names = [column.name for column in columns]
        self._row = type("Row", (tuple,), {name: property(itemgetter(place)) for place, name in enumerate(names)})
        reads = [_read(column.type) for column in columns]
        self._reads = [(place, read) for place, read in enumerate(reads) if read is not None]

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Run it on the connection's driver, and give what that found."""
        if self._literals:
            values = {**self._literals, **values}
        if self._writes:
            values = {**values, **{name: write(values[name]) for name, write in self._writes.items()}}
        return run_sql(connection, self._sql, [values[name] for name in self._names])

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Run it and give its rows."""
        found = self.run(connection, values)
        return [self._row(self._read(row)) for row in found] if self._reads else [self._row(row) for row in found]

    def _read(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for place, read in self._reads:
            values[place] = read(values[place])
        return values


def run_sql(connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """Run SQL on the SQLite driver below a connection and give all rows; its errors are raised as SQLAlchemy's."""
    try:
        return driver_of(connection).execute(sql, values).fetchall()
    except sqlite3.Error as error:
        raise DBAPIError.instance(sql, None, error, sqlite3.Error, dialect=SQLITE) from error


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Give the SQLite driver's connection."""
    driver: sqlite3.Connection = connection.connection.dbapi_connection
    return driver


def _write(kind: TypeEngine[Any]) -> Convert | None:
    # The driver itself knows these two.
    return None if isinstance(kind, Boolean | LargeBinary) else kind.dialect_impl(SQLITE).bind_processor(SQLITE)


def _read(kind: TypeEngine[Any]) -> Convert | None:
    return None if isinstance(kind, LargeBinary) else kind.dialect_impl(SQLITE).result_processor(SQLITE, None)
