"""Rows as people and programs get them: each format as it is, to the letter."""

from __future__ import annotations

import io
import json
from typing import Any, Final

import click
import pytest

from actors.cli.formats import Shape, show_fields, show_rows
from actors.cli.output import console_for
from actors.cli.times import shown_span, shown_time

ROWS: Final[list[dict[str, Any]]] = [
    {"id": "a1", "name": "web", "host": None, "servers": 3, "volumes": ["data", "logs"], "is_up": True},
    {"id": "b2", "name": 'a: "b"', "host": "h1", "servers": 12, "volumes": [], "is_up": False},
]

GOLDEN: Final = {
    "json": json.dumps(ROWS, indent=2) + "\n",
    "yaml": (
        '- id: "a1"\n  name: "web"\n  host: null\n  servers: 3\n  volumes:\n    - "data"\n    - "logs"\n  is_up: true\n'
        '- id: "b2"\n  name: "a: \\"b\\""\n  host: "h1"\n  servers: 12\n  volumes: []\n  is_up: false\n'
    ),
    "csv": 'id,name,host,servers,volumes,is_up\na1,web,,3,"data, logs",yes\nb2,"a: ""b""",h1,12,-,no\n',
    "value": 'a1 web - 3 data, logs yes\nb2 a: "b" h1 12 - no\n',
}


def shown(shape: Shape, *, usual: tuple[str, ...] = ("id", "name", "servers")) -> str:
    """Show the rows on what is no terminal; give what a table was written as."""
    written = io.StringIO()
    show_rows(console_for(written), ROWS, shape, usual=usual)
    return written.getvalue()


@pytest.mark.parametrize(("form", "expected"), GOLDEN.items())
def test_programs_get_every_column(form: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All columns, on standard output, in the format that was asked for."""
    assert shown(Shape(form=form)) == ""
    assert capsys.readouterr().out == expected


def test_people_get_a_table_of_the_usual_columns() -> None:
    """Numbers stand to the right; lines have no blanks at their ends."""
    assert shown(Shape()) == 'id  name    servers\na1  web           3\nb2  a: "b"       12\n'


def test_columns_are_shown_in_the_order_of_asking(capsys: pytest.CaptureFixture[str]) -> None:
    """Of one thing and of many; one that is not there is refused with those that are."""
    shown(Shape(form="value", columns=("host", "id")))
    show_fields(console_for(io.StringIO()), ROWS[1], Shape(form="value", columns=("servers", "name")))
    assert capsys.readouterr().out == '- a1\nh1 b2\n12\na: "b"\n'
    with pytest.raises(click.BadParameter, match="no column colour; there are id, name, host"):
        shown(Shape(columns=("colour",)))


def test_no_rows_are_headings_or_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    """A program can read that there is nothing."""
    written = io.StringIO()
    show_rows(console_for(written), [], Shape(), usual=("id", "name"))
    show_rows(console_for(written), [], Shape(form="json"), usual=("id", "name"))
    assert (written.getvalue(), capsys.readouterr().out) == ("id  name\n", "[]\n")


@pytest.mark.parametrize(
    ("span_us", "text"),
    [(None, None), (1_500, "2 ms"), (9_300_000, "9.3 s"), (125_000_000, "2 min 5 s"), (7_500_000_000, "2 h 5 min"),
     (100_000_000_000, "1 d 3 h")],
)  # fmt: skip
def test_a_span_is_read_at_a_glance(span_us: int | None, text: str | None) -> None:
    """Two units at most."""
    assert shown_span(span_us) == text


def test_a_time_is_in_utc() -> None:
    """To the second, as ISO 8601 writes it."""
    assert shown_time(1_700_000_000_123_456) == "2023-11-14T22:13:20Z"
