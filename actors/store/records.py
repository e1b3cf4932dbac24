"""Rows to records and back: loads what a command needs, saves what it changed."""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar

import attrs
from sqlalchemy import and_, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable, Select

from actors.kernel.ports import Connection
from actors.store.tables import METADATA, kinds
from protocol.bodies import from_plain, to_plain
from protocol.draft import Changes, Need
from protocol.effects.registry import Moment, apply, needs_of
from protocol.records import RECORDS, Record
from protocol.requests import Request

R = TypeVar("R")
Read = Callable[[Any], Any]


def carry_out(connection: Connection, command: Request[R], moment: Moment) -> tuple[Changes, R]:
    """Load, decide and save: the whole of a transactional command."""
    changes, reply = apply(load(connection, needs_of(command)), command, moment)
    save(connection, changes)
    return changes, reply


def load(connection: Connection, needs: tuple[Need, ...]) -> tuple[Record, ...]:
    """Read the rows that `needs` name, each once."""
    found: dict[tuple[type[Record], tuple[str, ...]], Record] = {}
    for need in needs:
        statement = _select(need.record.TABLE, tuple(name for name, _ in need.where))
        for row in connection.execute(statement, dict(need.where)).mappings():
            record = _to_record(need.record, row)
            found[need.record, record.key] = record
    return tuple(found.values())


def save(connection: Connection, changes: Changes) -> None:
    """Write and delete the rows that `changes` name."""
    for record in changes.drops:
        key = {f"key_{name}": getattr(record, name) for name in record.KEY}
        connection.execute(_delete(record.TABLE), key)
    for record in changes.puts:
        connection.execute(_upsert(record.TABLE, connection.dialect.name), _to_row(record))


@cache
def _select(name: str, fields: tuple[str, ...]) -> Select[Any]:
    table = METADATA.tables[name]
    return select(table).where(*(table.c[field] == bindparam(field) for field in fields))


@cache
def _delete(name: str) -> Executable:
    table = METADATA.tables[name]
    return delete(table).where(and_(*(column == bindparam(f"key_{column.name}") for column in table.primary_key)))


@cache
def _upsert(name: str, dialect: str) -> Executable:
    table = METADATA.tables[name]
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    key = [column.name for column in table.primary_key]
    others = {column.name: insert.excluded[column.name] for column in table.c if column.name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=others)


def _reader(annotation: Any) -> Read | None:
    options, _ = kinds(annotation)
    if options[0] in {str, int, bool}:
        return None
    if isinstance(options[0], type) and issubclass(options[0], Enum):
        return options[0]
    return lambda plain: from_plain(plain, annotation)


_READERS: Final = {
    record: tuple((field.name, _reader(field.type)) for field in attrs.fields(record))  # type: ignore[arg-type]  # every Record is an attrs class
    for record in RECORDS
}


def _to_record(record: type[Record], row: Mapping[Any, Any]) -> Record:
    values = {
        name: row[name] if read is None or row[name] is None else read(row[name]) for name, read in _READERS[record]
    }
    return record(**values)


def _to_row(record: Record) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(record)
    return plain
