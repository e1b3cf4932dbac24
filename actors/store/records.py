"""Rows to records and back: loads what a command needs, saves what it changed."""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache, partial
from typing import Any, Final, TypeVar

import attrs
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable

from actors.kernel.ports import Connection
from actors.store.statements import Statement
from actors.store.tables import METADATA, TABLES, kinds
from protocol.bodies import from_plain, to_plain
from protocol.draft import Changes, Need
from protocol.effects.registry import Moment, apply, gather
from protocol.records import RECORDS, Record
from protocol.requests import Request

R = TypeVar("R")
L = TypeVar("L", bound=Record)
Read = Callable[[Any], Any]


def carry_out(connection: Connection, command: Request[R], moment: Moment) -> tuple[Changes, R]:
    """Load, decide and save: the whole of a transactional command."""
    needs, rows = gather(command, partial(load, connection))
    changes, reply = apply(rows, command, moment, needs=needs)
    save(connection, changes)
    return changes, reply


def load(connection: Connection, needs: tuple[Need, ...]) -> tuple[Record, ...]:
    """Read the rows that `needs` name, each once."""
    rows = [row for need in needs for row in _rows(connection, need)]
    if len(needs) == len({need.record for need in needs}):
        return tuple(rows)
    return tuple({(type(row), row.key): row for row in rows}.values())


def _rows(connection: Connection, need: Need) -> list[Record]:
    statement = _select(need.record.TABLE, tuple([name for name, _ in need.where]))
    return [to_record(need.record, row) for row in statement.all(connection, **dict(need.where))]


def save(connection: Connection, changes: Changes) -> None:
    """Write and delete the rows that `changes` name."""
    for record in changes.drops:
        _delete(record.TABLE).run(connection, **{name: getattr(record, name) for name in record.KEY})
    for record in changes.puts:
        _upsert(record.TABLE).run(connection, **_to_row(record))


@cache
def _select(name: str, fields: tuple[str, ...]) -> Statement:
    table = METADATA.tables[name]
    return Statement(select(table).where(*(table.c[field] == bindparam(field) for field in fields)))


@cache
def _delete(name: str) -> Statement:
    table = METADATA.tables[name]
    return Statement(delete(table).where(*(column == bindparam(column.name) for column in table.primary_key)))


@cache
def _upsert(name: str) -> Statement:
    table = METADATA.tables[name]
    key = [column.name for column in table.primary_key]

    def write(insert: Callable[..., sqlite.Insert]) -> Executable:
        statement = insert(table)
        others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in key}
        return statement.on_conflict_do_update(index_elements=key, set_=others)

    return Statement(write)


def _reader(annotation: Any) -> Read | None:
    options, _ = kinds(annotation)
    if options[0] in {str, int, bool}:
        return None
    if isinstance(options[0], type) and issubclass(options[0], Enum):
        return options[0]
    return lambda plain: from_plain(plain, annotation)


_NAMES: Final = {record: tuple(column.name for column in table.columns) for record, table in TABLES.items()}
_READERS: Final = {
    record: [(place, read) for place, field in enumerate(attrs.fields(record)) if (read := _reader(field.type))]  # type: ignore[arg-type]  # every Record is an attrs class
    for record in RECORDS
}


def to_record(record: type[L], row: Sequence[Any]) -> L:
    """Make a record of its table's row: that has a column for each field, in their order."""
    values = list(row)
    for place, read in _READERS[record]:
        if values[place] is not None:
            values[place] = read(values[place])
    return record(**dict(zip(_NAMES[record], values, strict=True)))


def _to_row(record: Record) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(record)
    return plain
