"""The tables: one for each class of rows, and those of exactly-once (inbox, epochs, outbox, journal)."""

from collections.abc import Iterable
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, Final, get_args

import attrs
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

from protocol.records import CELL_RECORDS, HOST_RECORDS, RECORDS, ROOT_RECORDS, Record

METADATA: Final = MetaData()


def kinds(annotation: object) -> tuple[tuple[object, ...], bool]:
    """Split a field's type into what it may be, and whether it may be None."""
    options = get_args(annotation) if NoneType in get_args(annotation) else (annotation,)
    return tuple(option for option in options if option is not NoneType), NoneType in options


def _type(annotation: object) -> TypeEngine[Any]:
    (kind, *_), _ = kinds(annotation)
    if kind is bool:
        return Boolean()
    if kind is int or (isinstance(kind, type) and issubclass(kind, Enum) and issubclass(kind, int)):
        return BigInteger()
    if kind is str or (isinstance(kind, type) and issubclass(kind, Enum)):
        return Text()
    return JSON()


def _table(record: type[Record]) -> Table:
    columns: list[Column[object]] = []
    for field in attrs.fields(record):  # type: ignore[arg-type]  # every Record is an attrs class
        _, may_be_null = kinds(field.type)
        is_key = field.name in record.KEY
        index = field.name in record.INDEX
        columns.append(
            Column(field.name, _type(field.type), primary_key=is_key, nullable=may_be_null and not is_key, index=index)
        )
    return Table(record.TABLE, METADATA, *columns)


TABLES: Final[dict[type[Record], Table]] = {record: _table(record) for record in RECORDS}

#: A row a command: `accepted` while an ensuring actor works on it, then `replied`; `poisoned` once it was undone.
INBOX: Final = Table(
    "inbox", METADATA,
    Column("key", Text, primary_key=True),
    Column("scope", Text, nullable=False, index=True),
    Column("number", BigInteger, nullable=False),
    Column("is_plain", Boolean, nullable=False),
    Column("server", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("reply", LargeBinary),
    Column("is_error", Boolean, nullable=False),
    Column("had_effect", Boolean, nullable=False),
)  # fmt: skip

EPOCHS: Final = Table(
    "epochs", METADATA, Column("server", Text, primary_key=True), Column("epoch", BigInteger, nullable=False)
)

#: One row: no command with an epoch below it is taken any more, and nothing of it is remembered.
FLOORS: Final = Table("floors", METADATA, Column("id", Integer, primary_key=True), Column("epoch", BigInteger))

OUTBOX: Final = Table(
    "outbox", METADATA,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False, index=True),
    Column("target", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("about", Text, nullable=False, index=True),
    Column("rank", BigInteger, nullable=False),
    Column("key", Text),
)  # fmt: skip

CONVERSATIONS: Final = Table(
    "conversations", METADATA,
    Column("conversation", Text, primary_key=True),
    Column("server", Text, nullable=False, index=True),
    Column("goal", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("first_epoch", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("waits_for", Text),
    Column("ends_for", LargeBinary),
    Column("is_closed", Boolean, nullable=False, index=True),
    Column("is_swept", Boolean, nullable=False, index=True),
)  # fmt: skip

#: A row an owner: how often it has renewed the lease of all its conversations.
LEASES: Final = Table(
    "leases", METADATA, Column("owner", Text, primary_key=True), Column("beats", BigInteger, nullable=False)
)

ENTRIES: Final = Table(
    "entries", METADATA,
    Column("conversation", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("is_undo", Boolean, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)  # fmt: skip

COUNTERS: Final = Table(
    "counters", METADATA, Column("name", Text, primary_key=True), Column("value", BigInteger, nullable=False)
)

_MEMORY: Final = (INBOX, EPOCHS, FLOORS, OUTBOX)


def _metadata(records: Iterable[type[Record]], *others: Table) -> MetaData:
    metadata = MetaData()
    for table in (*(TABLES[record] for record in records), *_MEMORY, *others):
        table.to_metadata(metadata)
    return metadata


#: What each kind of actor keeps.  Statements are written against `METADATA`; these say what is made where.
CELL_TABLES: Final = _metadata(CELL_RECORDS)
ROOT_TABLES: Final = _metadata((*CELL_RECORDS, *ROOT_RECORDS))
HOST_TABLES: Final = _metadata(HOST_RECORDS)
CONDUCTOR_TABLES: Final = _metadata((), CONVERSATIONS, LEASES, ENTRIES, COUNTERS)


def partner_tables(*records: type[Record]) -> MetaData:
    """Give the tables of the image, volume or network actor."""
    return _partner_tables(tuple(record.TABLE for record in records))


@cache
def _partner_tables(names: tuple[str, ...]) -> MetaData:
    return _metadata(record for record in RECORDS if record.TABLE in names)
