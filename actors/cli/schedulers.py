"""`cellferry scheduler`: what chooses the cell of a server."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actors.cli.configuring import cloud_of, config_option
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.output import console_for
from actors.ops.plugins import check_names, install
from actors.ops.sections import SchedulerSettings
from protocol.scheduling import FILTERS, MULTIPLIERS, WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.cli.formats import Row

LISTED: Final = ("kind", "name", "used", "multiplier", "does")


@click.group()
def scheduler() -> None:
    """Look at what chooses the cell of a server: filters first, then weighers."""


@scheduler.command("list")
@config_option(is_required=False)
@shape_options
def list_(*, config: Path | None, shape: Shape) -> None:
    """List the cell filters and weighers that are installed here, and which of them a file's cells use."""
    install()
    settings = SchedulerSettings() if config is None else cloud_of(config).scheduler
    check_names(settings.filters, settings.multipliers)
    show_rows(console_for(sys.stdout), rows(settings), shape, usual=LISTED)


def rows(settings: SchedulerSettings) -> list[Row]:
    """Make a row for each, those that are used first and in their order."""
    filters = [*settings.filters, *(name for name in FILTERS if name not in settings.filters)]
    found = [_row("filter", name, FILTERS, is_used=settings.enabled and name in settings.filters) for name in filters]
    for name in WEIGHERS:
        row = _row("weigher", name, WEIGHERS, is_used=settings.enabled)
        found.append(row | {"multiplier": settings.multipliers.get(name, MULTIPLIERS.get(name, 1.0))})
    return found


def _row(kind: str, name: str, table: Mapping[str, Any], *, is_used: bool) -> Row:
    does = (inspect.getdoc(table[name]) or "").partition("\n")[0]
    module = getattr(table[name], "__module__", "")
    return {"kind": kind, "name": name, "used": is_used, "multiplier": None, "from": module, "does": does}
