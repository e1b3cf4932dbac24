"""Cell filters and weighers of other packages: functions that they name by entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

from actors.ops.checks import SettingsError, advice
from protocol.scheduling import FILTERS, WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Iterable

FILTER_GROUP: Final = "cellferry.cell_filters"
WEIGHER_GROUP: Final = "cellferry.cell_weighers"
TABLES: Final[dict[str, dict[str, Any]]] = {FILTER_GROUP: FILTERS, WEIGHER_GROUP: WEIGHERS}


def install(found: Iterable[EntryPoint] | None = None) -> None:
    """Take in what is installed on this machine; a name that is taken already stays whose it was."""
    points = (point for group in TABLES for point in entry_points(group=group)) if found is None else found
    for point in points:
        table = TABLES.get(point.group)
        if table is not None and point.name not in table:
            table[point.name] = point.load()


def check_names(filters: Iterable[str], weighers: Iterable[str]) -> None:
    """Raise `SettingsError` for a filter or a weigher that is not there."""
    for where, names, table in (
        ("scheduler.filters", filters, FILTERS), ("scheduler.multipliers", weighers, WEIGHERS)
    ):  # fmt: skip
        for name in names:
            if name not in table:
                raise SettingsError(where=where, what=f"{name!r} is not installed; {advice(name, table, of='ones')}")
