"""A participant's rows on dicts, with an index for every combination of fields that a `Need` asks for."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeVar, cast

from protocol.draft import Changes, Need
from protocol.records import Record

R = TypeVar("R", bound=Record)
Key = tuple[str, ...]
#: Of one index: by the values of its fields, the rows with these values by their keys.
Index = dict[tuple[Any, ...], dict[Key, Record]]

_READERS: Final[dict[type[Record], Callable[[Any], Any]]] = {}
_NONE: Final[dict[Key, Record]] = {}


class Rows:
    """All rows of one participant."""

    def __init__(self) -> None:
        self._tables: dict[type[Record], dict[Key, Record]] = {}
        self._indexes: dict[type[Record], dict[tuple[str, ...], Index]] = {}
        self.changes = 0  # How many rows were ever written or deleted.

    def load(self, needs: tuple[Need, ...]) -> tuple[Record, ...]:
        """Read the rows that `needs` name, each once."""
        if len(needs) == 1:
            return tuple(self._found(needs[0]).values())
        found: dict[tuple[type[Record], Key], Record] = {}
        for need in needs:
            for key, row in self._found(need).items():
                found[need.record, key] = row
        return tuple(found.values())

    def _found(self, need: Need) -> dict[Key, Record]:
        table = self._tables.get(need.record)
        if table is None:
            return _NONE
        if not need.where:
            return table
        names = tuple([name for name, _ in need.where])
        index = self._indexes.setdefault(need.record, {}).get(names)
        if index is None:
            index = self._indexes[need.record][names] = _indexed(table, names)
        return index.get(tuple([value for _, value in need.where]), _NONE)

    def save(self, changes: Changes) -> None:
        """Write and delete the rows that `changes` name."""
        for row in changes.drops:
            self._forget(row, key_of(row))
        for row in changes.puts:
            self._put(row)

    def _put(self, row: Record) -> None:
        kind, key = type(row), key_of(row)
        self._forget(row, key)
        self._tables.setdefault(kind, {})[key] = row
        for names, index in self._indexes.get(kind, {}).items():
            index.setdefault(_values(row, names), {})[key] = row

    def _forget(self, row: Record, key: Key) -> None:
        self.changes += 1
        kind = type(row)
        old = self._tables.get(kind, _NONE).pop(key, None)
        if old is None:
            return
        for names, index in self._indexes.get(kind, {}).items():
            del index[_values(old, names)][key]

    def find(self, kind: type[R], *key: str) -> R | None:
        """Give the row with that key."""
        return cast("R | None", self._tables.get(kind, _NONE).get(key))

    def all(self, *kinds: type[Record]) -> tuple[Record, ...]:
        """Read every row of these classes, in the order of their keys."""
        rows = [row for kind in kinds for row in self._tables.get(kind, _NONE).values()]
        return tuple(sorted(rows, key=lambda row: (row.TABLE, row.key)))


def key_of(row: Record) -> Key:
    """Give a row's primary key, as `Record.key` does, but by a reader that is made once for each class."""
    kind = type(row)
    read = _READERS.get(kind)
    if read is None:
        # Two names at least: of one alone the reader would give no tuple.
        read = _READERS[kind] = attrgetter(*kind.KEY, kind.KEY[0])
    found: Key = read(row)[:-1]
    return found


def _indexed(table: dict[Key, Record], names: tuple[str, ...]) -> Index:
    index: Index = {}
    for key, row in table.items():
        index.setdefault(_values(row, names), {})[key] = row
    return index


def _values(row: Record, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple([getattr(row, name) for name in names])
