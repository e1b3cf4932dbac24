"""How a participant decides purely: the rows that a command named come in, the changed rows go out."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import attrs

from protocol.errors import NotFound
from protocol.records import Record

R = TypeVar("R", bound=Record)


@attrs.frozen
class Need:
    """Rows that a command reads: those of one class whose fields have these values."""

    record: type[Record]
    where: tuple[tuple[str, str], ...]

    def covers(self, record: type[Record], where: Mapping[str, str]) -> bool:
        """Tell whether every row of that query is among these rows."""
        return record is self.record and set(self.where) <= set(where.items())


def need(record: type[Record], /, **where: str) -> Need:
    """Name the rows of `record` whose fields equal `where`."""
    return Need(record, tuple(sorted(where.items())))


@attrs.frozen(kw_only=True)
class Changes:
    """What a command did: the rows to write and the rows to delete."""

    puts: tuple[Record, ...] = ()
    drops: tuple[Record, ...] = ()


class Draft:
    """A working set of rows.  Reading what no `Need` names is a mistake of ours, and raises."""

    def __init__(self, rows: tuple[Record, ...], needs: tuple[Need, ...]) -> None:
        self._needs = needs
        self._before = {(type(row), row.key): row for row in rows}
        self._now = dict(self._before)

    def all(self, record: type[R], /, **where: str) -> tuple[R, ...]:
        """List the rows of that class with those values, by key."""
        assert any(needed.covers(record, where) for needed in self._needs), f"{record.__name__} {where} is not declared"
        rows = [row for (kind, _), row in self._now.items() if kind is record and _matches(row, where)]
        if len(rows) > 1:
            rows.sort(key=lambda row: row.key)
        return cast("tuple[R, ...]", tuple(rows))

    def find(self, record: type[R], /, **where: str) -> R | None:
        """Give the only row with those values, or None."""
        rows = self.all(record, **where)
        assert len(rows) <= 1, f"{record.__name__} {where} is not one row"
        return rows[0] if rows else None

    def one(self, record: type[R], /, **where: str) -> R:
        """Give the only row with those values; raise `NotFound` when there is none."""
        row = self.find(record, **where)
        if row is None:
            raise NotFound(kind=record.TABLE.rstrip("s").replace("_", " "), name="/".join(where.values()))
        return row

    def put(self, row: R) -> R:
        """Write the row, new or changed."""
        self._now[type(row), row.key] = row
        return row

    def drop(self, row: Record) -> None:
        """Delete the row; it is no error when there is none."""
        self._now.pop((type(row), row.key), None)

    def changes(self) -> Changes:
        """Tell what differs from what was read."""
        puts = tuple(row for at, row in self._now.items() if _differs(self._before.get(at), row))
        drops = tuple(row for at, row in self._before.items() if at not in self._now)
        return Changes(puts=puts, drops=drops)


def _differs(before: Record | None, now: Record) -> bool:
    # Most rows are as they were read: the very same.
    return before is not now and before != now


def _matches(row: Record, where: Mapping[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in where.items())
