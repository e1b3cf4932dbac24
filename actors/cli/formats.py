"""Rows for people and for programs: tables, JSON, YAML, CSV, or bare values, in the columns that were asked for."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import click
from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

Row: TypeAlias = "dict[str, Any]"

FORMS: Final = ("table", "json", "yaml", "csv", "value")
NOTHING: Final = "-"


@attrs.frozen(kw_only=True)
class Shape:
    """How a command's answer is to look."""

    form: str = FORMS[0]
    columns: tuple[str, ...] = ()


def shape_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how its answer looks, as one argument `shape`."""

    def with_shape(*, form: str, columns: tuple[str, ...], **others: Any) -> None:
        command(shape=Shape(form=form, columns=columns), **others)

    with_shape.__doc__ = command.__doc__
    with_shape.__name__ = command.__name__
    with_shape.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]  # how click hands options on
    form = click.option("-f", "--format", "form", type=click.Choice(FORMS), default=FORMS[0], show_default=True)
    columns = click.option("-c", "--column", "columns", multiple=True, metavar="COLUMN", help="Only this; repeatable.")
    return form(columns(with_shape))


def show_rows(console: Console, rows: Sequence[Row], shape: Shape, *, usual: Sequence[str]) -> None:
    """Show rows: as a table the usual columns, else all of them; or those that were asked for, in that order."""
    every = list(rows[0]) if rows else list(usual)
    names = list(shape.columns) or (list(usual) if shape.form == "table" else every)
    _check(names, every)
    chosen = [{name: row.get(name) for name in names} for row in rows]
    match shape.form:
        case "json":
            click.echo(json.dumps(chosen, indent=2))
        case "yaml":
            click.echo("\n".join(_yaml(chosen)))
        case "csv":
            click.echo(_csv(names, chosen), nl=False)
        case "value":
            for row in chosen:
                click.echo(" ".join(_plain(row[name]) for name in names))
        case _:
            print_table(console, _headed(names), [[row[name] for name in names] for row in chosen])


def show_fields(console: Console, row: Row, shape: Shape) -> None:
    """Show one thing: a table of its fields, an object, or bare values."""
    names = list(shape.columns) or list(row)
    _check(names, list(row))
    chosen = {name: row[name] for name in names}
    match shape.form:
        case "json":
            click.echo(json.dumps(chosen, indent=2))
        case "yaml":
            click.echo("\n".join(_yaml(chosen)))
        case "csv":
            click.echo(_csv(names, [chosen]), nl=False)
        case "value":
            for name in names:
                click.echo(_plain(chosen[name]))
        case _:
            print_table(console, ("field", "value"), [[_title(name), value] for name, value in chosen.items()])


def print_table(console: Console, heads: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Print a table; plain lines without trailing blanks where it is not a terminal that reads it."""
    is_terminal = console.is_terminal
    table = Table(
        box=box.SIMPLE_HEAD if is_terminal else None, pad_edge=False, collapse_padding=is_terminal, show_edge=False
    )
    for place, head in enumerate(heads):
        is_number = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        table.add_column(head, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(_plain(cell)) for cell in row))
    if title:
        console.print()
        console.print(Text(title, style="bold cyan"))
    if is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.print(line.rstrip())


def _check(names: Sequence[str], every: Sequence[str]) -> None:
    for name in names:
        if name not in every:
            raise click.BadParameter(f"there is no column {name}; there are {', '.join(every)}", param_hint="-c")


def _title(name: str) -> str:
    return name.replace("_", " ")


def _headed(names: Sequence[str]) -> list[str]:
    return [_title(name) for name in names]


def _plain(value: object) -> str:
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(each)}" for name, each in value.items())
    return str(value)


def _csv(names: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([["" if row[name] is None else _plain(row[name]) for name in names] for row in rows])
    return text.getvalue()


def _yaml(value: Any) -> list[str]:
    """Write YAML's plainest part: blocks, with scalars and keys as JSON writes them."""
    if isinstance(value, dict) and value:
        return [line for name, each in value.items() for line in _under(f"{name}:", _yaml(each), is_item=False)]
    if isinstance(value, list | tuple) and value:
        return [line for each in value for line in _under("-", _yaml(each), is_item=True)]
    return [json.dumps(value)]


def _under(head: str, lines: list[str], *, is_item: bool) -> list[str]:
    first, *others = lines
    is_block = first.startswith("- ") or (not first.startswith(('"', "[", "{")) and ":" in first)
    if is_item or not is_block:
        return [f"{head} {first}", *(f"  {line}" for line in others)]
    return [head, *(f"  {line}" for line in lines)]
