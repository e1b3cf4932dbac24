"""Plain tables -> the classes that declare settings.  All that is wrong is told at once, each with its path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import attrs

from actors.ops.checks import SettingsError, advice
from actors.ops.declared import FILE, about_of, default_of
from protocol.cell_path import CellPath
from protocol.errors import InvalidName

T = TypeVar("T")
#: Looks for what does not fit together, in those fields of the whole that are good by themselves.
Faults: TypeAlias = Callable[[Mapping[str, Any]], Iterable[SettingsError]]

UNKNOWN: Final = "unknown key"
#: How a value that is of another type is refused.
EXPECTED: Final[Mapping[type, str]] = {int: "a whole number", bool: "true or false", str: "a text", float: "a number"}


class _Bad(Exception):
    """A value is no good: what is wrong with it is in the list of problems already."""


def read_table(table: Mapping[str, Any], cls: type[T], faults: Faults) -> T | tuple[SettingsError, ...]:
    """Make a `cls` of a file's tables; give all that is wrong where it is none, unknown keys first.

    An unknown key comes first because it is often the very one that is missing, misspelt.
    """
    reader = _Reader()
    values = reader.fields(table, cls, "")
    found = [*reader.found, *faults(values)]
    if found:
        return tuple(sorted(found, key=lambda problem: UNKNOWN not in problem.what))
    return cls(**values)


class _Reader:
    """Reads values, and notes what is wrong with those that are no good."""

    def __init__(self) -> None:
        self.found: list[SettingsError] = []

    def fields(self, table: Mapping[str, Any], cls: type, path: str) -> dict[str, Any]:
        """Give the good ones of a class's fields, those that are left out with their defaults."""
        hints, fields, values = get_type_hints(cls), attrs.fields(cls), {}
        for name in table:
            if name not in hints:
                self._refuse(_below(path, name), f"{UNKNOWN}; {advice(name, _known(name, cls), of='keys')}")
        for field in fields:
            where = _below(path, field.name)
            if field.name not in table:
                if field.default is attrs.NOTHING:
                    self._refuse(where, "it is missing; add it")
                else:
                    values[field.name] = default_of(field)
                continue
            try:
                value = self._value(
                    table[field.name], hints[field.name], where, is_secret=about_of(cls, field).is_secret
                )
                if field.validator is not None:
                    field.validator(None, field, value)
            except SettingsError as error:
                self._refuse(_below(path, error.where), error.what)
            except _Bad:
                pass
            else:
                values[field.name] = value
        return values

    def _value(self, value: object, kind: Any, where: str, *, is_secret: bool) -> Any:
        options = [each for each in get_args(kind) if each is not type(None)]
        if type(None) in get_args(kind):
            (kind,) = options
        if kind is CellPath:
            return self._cell_path(value, where)
        if attrs.has(kind):
            return self._table(value, kind, where)
        if get_origin(kind) is tuple:
            return self._list(value, options[0], where)
        if get_origin(kind) is dict:
            return self._map(value, options[-1], where)
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            self._refuse(
                where, f"{EXPECTED[kind]} is expected, and {'what it is' if is_secret else repr(value)} is none"
            )
            raise _Bad
        return value

    def _cell_path(self, value: object, where: str) -> CellPath:
        text = self._value(value, str, where, is_secret=False)
        try:
            return CellPath.parse(text)
        except InvalidName as error:
            self._refuse(where, f"{error.text!r} is no {error.kind}; it must match {error.rule}")
            raise _Bad from None

    def _table(self, value: object, cls: type, where: str) -> Any:
        if not isinstance(value, dict):
            head = where.partition("[")[0]
            self._refuse(where, f"a table is expected; write {f'[[{head}]]' if '[' in where else f'[{head}]'} above it")
            raise _Bad
        before = len(self.found)
        values = self.fields(value, cls, where)
        if len(self.found) > before:
            raise _Bad
        return cls(**values)

    def _list(self, value: object, kind: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            of_tables = f"a list of tables is expected; write [[{where}]] above each one"
            self._refuse(where, of_tables if attrs.has(kind) and kind is not CellPath else "a list is expected")
            raise _Bad
        return tuple(self._all([(f"{where}[{place}]", each) for place, each in enumerate(value)], kind))

    def _map(self, value: object, kind: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(where, "a table is expected")
            raise _Bad
        read = self._all([(_below(where, name), each) for name, each in value.items()], kind)
        return dict(zip(value, read, strict=True))

    def _all(self, values: Iterable[tuple[str, object]], kind: Any) -> list[Any]:
        read, is_bad = [], False
        for where, each in values:
            try:
                read.append(self._value(each, kind, where, is_secret=False))
            except _Bad:
                is_bad = True
        if is_bad:
            raise _Bad
        return read

    def _refuse(self, where: str, what: str) -> None:
        self.found.append(SettingsError(where=where, what=what))


def _known(name: str, cls: type) -> list[str]:
    fields = attrs.fields(cls)
    secret = [field.name + FILE for field in fields if about_of(cls, field).is_secret]
    return [*(field.name for field in fields), *(secret if name.endswith(FILE) else ())]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
