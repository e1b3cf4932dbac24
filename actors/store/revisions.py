"""Which revision a database is of, and whether this version may work on it.

A history of revisions, in `actors/store/migrations`, leads from the first tables to those of today.  It grows by two
rules, so that old and new processes work side by side while a deployment is upgraded:

- *expand*: a revision only adds what older code never sees: tables, columns that may be NULL, indexes.  It goes first.
- *contract*: what no version in use needs any more goes away, in a later release; such a revision `serves` newer ones.

A database therefore says, beside its revision, which is the oldest revision whose code it serves.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import attrs
import sqlalchemy as sa

from protocol.errors import CellferryError, define

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Prepare = Callable[[sa.Connection], None]

#: The revision of the tables that this version declares, and the oldest whose code may work on them.
HEAD: Final = "0001"
SERVES: Final = "0001"
#: Beside the tables of a store: the revision, as Alembic keeps it, and which one the database serves.
BOOKS: Final = sa.MetaData()
VERSION: Final = sa.Table("alembic_version", BOOKS, sa.Column("version_num", sa.String(32), primary_key=True))
SERVED: Final = sa.Table("served_revision", BOOKS, sa.Column("oldest", sa.String(32), primary_key=True))


class State(StrEnum):
    """What a database is to this version."""

    EMPTY = "empty"  # It has no table yet.
    CURRENT = "current"
    BEHIND = "behind"
    EXPANDED = "expanded"  # Ahead, but only by what this version never sees.
    AHEAD = "ahead"


ADVICE: Final[Mapping[State, str]] = {
    State.BEHIND: "upgrade it first: cellferry db upgrade --config FILE",
    State.AHEAD: "it was upgraded for a later version; install that, or restore a backup from before",
}


@define
class SchemaMismatch(CellferryError):
    """The tables of a store are not those that this version needs."""

    code = "schema_mismatch"
    template = "the database {store} is {state}: it is of revision {found}, and this version of {wanted}; {advice}"
    store: str
    state: str
    found: str
    wanted: str
    advice: str


@attrs.frozen(kw_only=True)
class Standing:
    """Where a database stands in the history; `found` is empty where it has tables, but is of no revision."""

    found: str
    serves: str
    is_empty: bool = False

    @property
    def state(self) -> State:
        """Say what it is to this version."""
        if self.is_empty:
            return State.EMPTY
        if self.found == HEAD:
            return State.CURRENT
        if self.found < HEAD:
            return State.BEHIND
        return State.EXPANDED if self.serves <= HEAD else State.AHEAD


def standing(connection: sa.Connection, metadata: sa.MetaData) -> Standing:
    """Look where a database stands that has, or is to have, these tables."""
    names = set(sa.inspect(connection).get_table_names())
    if not names & metadata.tables.keys():
        return Standing(found="", serves="", is_empty=True)
    if VERSION.name not in names:
        return Standing(found="", serves="")
    found = connection.execute(sa.select(VERSION.c.version_num)).scalar() or ""
    served = connection.execute(sa.select(SERVED.c.oldest)).scalar() if SERVED.name in names else None
    return Standing(found=found, serves=served or found)


def prepare(metadata: sa.MetaData, *, store: str) -> Prepare:
    """Make what readies a store when it is opened, in one transaction.

    An empty database gets today's tables; one that this version may not work on raises `SchemaMismatch`.
    """

    def ready(connection: sa.Connection) -> None:
        found = standing(connection, metadata)
        if found.state is State.EMPTY:
            metadata.create_all(connection)
            stamp(connection, HEAD, SERVES)
        elif found.state in ADVICE:
            raise SchemaMismatch(
                store=store, state=found.state.value, found=found.found or "none", wanted=HEAD,
                advice=ADVICE[found.state],
            )  # fmt: skip

    return ready


def stamp(connection: sa.Connection, revision: str, serves: str) -> None:
    """Write down of which revision a database is, and the oldest whose code it serves."""
    BOOKS.create_all(connection)
    rows: tuple[tuple[Any, dict[str, str]], ...]
    rows = ((VERSION, {"version_num": revision}), (SERVED, {"oldest": serves}))
    for table, row in rows:
        connection.execute(sa.delete(table))
        connection.execute(sa.insert(table).values(row))
