"""How a participant decides purely: the rows that a command named come in, the changed rows go out, and some news."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final, TypeVar, cast

import attrs

from protocol.cell_path import Address
from protocol.envelope import Key
from protocol.errors import NotFound
from protocol.records import Record
from protocol.requests import Request

R = TypeVar("R", bound=Record)
#: Where a row is: its class and its key.
At = tuple[type[Record], tuple[str, ...]]
_KEY: Final = attrgetter("key")


@attrs.frozen
class Need:
    """Rows that a command reads: those of one class whose fields have these values."""

    record: type[Record]
    where: tuple[tuple[str, str | bool], ...]

    def covers(self, record: type[Record], where: Mapping[str, str | bool]) -> bool:
        """Tell whether every row of that query is among these rows."""
        if record is not self.record:
            return False
        return all(where.get(name) == value for name, value in self.where)


def need(record: type[Record], /, **where: str | bool) -> Need:
    """Name the rows of `record` whose fields equal `where`."""
    return Need(record, tuple(sorted(where.items())) if len(where) > 1 else tuple(where.items()))


@attrs.frozen(kw_only=True)
class News:
    """A message that a change calls for; the same change always has the same id."""

    id: str
    target: Address
    server: str
    request: Request[Any]
    #: What it tells of, and how new it is: older news of the same need not be told any more.
    about: str = ""
    rank: int = 0
    #: A plain call's: for who takes what he is told only once, and only under a key.
    key: Key | None = None


@attrs.frozen(kw_only=True)
class Changes:
    """What a command did: the rows to write, the rows to delete, and what others are to be told besides."""

    puts: tuple[Record, ...] = ()
    drops: tuple[Record, ...] = ()
    tells: tuple[News, ...] = ()

    @property
    def has_rows(self) -> bool:
        """Tell whether there is anything to save."""
        return bool(self.puts or self.drops)


NO_CHANGES: Final = Changes()


class Draft:
    """A working set of rows.  Reading what no `Need` names is a mistake of ours, and raises."""

    def __init__(self, rows: tuple[Record, ...], needs: tuple[Need, ...]) -> None:
        self._needs = needs
        self._read = rows
        # By class and key, as they were read and as they are now; neither until the first is written.
        self._before: dict[At, Record] = {}
        self._now: dict[At, Record] | None = None
        self._tells: tuple[News, ...] = ()

    def all(self, record: type[R], /, **where: str | bool) -> tuple[R, ...]:
        """List the rows of that class with those values, by key."""
        assert self._is_declared(record, where), f"{record.__name__} {where} is not declared"
        now = self._read if self._now is None else self._now.values()
        rows = [row for row in now if type(row) is record and _matches(row, where)]
        if len(rows) > 1:
            rows.sort(key=_KEY)
        return cast("tuple[R, ...]", tuple(rows))

    def _is_declared(self, record: type[Record], where: Mapping[str, str | bool]) -> bool:
        for needed in self._needs:  # noqa: SIM110  a generator costs more than it says, and this is asked all the time
            if needed.covers(record, where):
                return True
        return False

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

    def count(self, record: type[Record]) -> int:
        """Count the rows of that class that were read or written so far."""
        now = self._read if self._now is None else self._now.values()
        return sum(type(row) is record for row in now)

    def put(self, row: R) -> R:
        """Write the row, new or changed."""
        self._written()[type(row), row.key] = row
        return row

    def drop(self, row: Record) -> None:
        """Delete the row; it is no error when there is none."""
        self._written().pop((type(row), row.key), None)

    def tell(self, news: News) -> None:
        """Have something told that does not follow from the rows."""
        self._tells += (news,)

    def changes(self) -> Changes:
        """Tell what differs from what was read, and what is to be told."""
        if self._now is None:
            return Changes(tells=self._tells) if self._tells else NO_CHANGES
        before = self._before
        puts = tuple([row for at, row in self._now.items() if _differs(before.get(at), row)])
        drops = tuple([row for at, row in before.items() if at not in self._now])
        return Changes(puts=puts, drops=drops, tells=self._tells)

    def _written(self) -> dict[At, Record]:
        if self._now is None:
            self._before = {(type(row), row.key): row for row in self._read}
            self._now = dict(self._before)
        return self._now


def _differs(before: Record | None, now: Record) -> bool:
    # Most rows are as they were read: the very same.
    return before is not now and before != now


def _matches(row: Record, where: Mapping[str, Any]) -> bool:
    for name, value in where.items():  # noqa: SIM110  as above
        if getattr(row, name) != value:
            return False
    return True
