"""Plain tables for people: columns side by side, as wide as what is in them."""

from collections.abc import Iterable, Sequence
from typing import Final

import click

BETWEEN: Final = "  "


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; colours go by themselves where nobody could see them."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    if title:
        click.secho(title, bold=True)
    click.secho(_line(columns, widths), dim=True)
    for row in texts:
        click.echo(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return BETWEEN.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
