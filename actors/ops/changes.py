"""What differs between two readings of settings, and which of it a running process takes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actors.ops.declared import Shape
from actors.ops.settings import Cloud, declared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.ops.declared import Setting


def values_of(cloud: Cloud) -> Iterator[tuple[Setting, str, Any]]:
    """Give every value of a cloud with its setting and its path, in the order of their declaration."""
    by_names = {setting.names: setting for setting in declared()}

    def inside(whole: Any, names: tuple[str, ...], path: str) -> Iterator[tuple[Setting, str, Any]]:
        for field in attrs.fields(type(whole)):
            setting, value = by_names[*names, field.name], getattr(whole, field.name)
            where = f"{path}.{field.name}" if path else field.name
            if setting.shape is Shape.LIST:
                for place, entry in enumerate(value):
                    yield from inside(entry, setting.names, f"{where}[{place}]")
            elif setting.shape is Shape.TABLE and value is not None:
                yield from inside(value, setting.names, where)
            elif setting.shape is Shape.VALUE:
                yield setting, where, value

    yield from inside(cloud, (), "")


def changed(old: Cloud, new: Cloud) -> tuple[str, ...]:
    """Name what differs between two clouds, by its path."""
    before, after = ({where: value for _, where, value in values_of(cloud)} for cloud in (old, new))
    nothing = object()
    return tuple(
        where for where in dict.fromkeys([*before, *after]) if before.get(where, nothing) != after.get(where, nothing)
    )


def with_live(old: Cloud, new: Cloud) -> Cloud:
    """Give the old cloud with those settings of the new one that a running process takes up."""
    made = old
    for setting in declared():
        if setting.about.is_live:
            table, field = setting.names
            section, source = getattr(made, table), getattr(new, table)
            if section is not None and source is not None:
                section = attrs.evolve(section, **{field: getattr(source, field)})
                made = attrs.evolve(made, **{table: section})
    return made
