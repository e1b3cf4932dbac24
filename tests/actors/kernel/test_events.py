"""The list of events is closed: what the code tells is declared, with its fields, and what is declared is told."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.kernel.events import CONTEXT, EVENTS, FIELDS
from actors.kernel.metrics import COUNTED

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTORS: Final = Path(__file__).parents[3] / "actors"
#: What is told under a name that only the caller knows, and the argument that says it; `error` is always one field.
BY_ARGUMENT: Final = "waits"
#: Told through a parameter: the log of libraries.
BY_HANDLER: Final = {"library_said": {"library", "text"}}


def emits() -> Iterator[tuple[str, str, set[str] | None]]:
    """Find each place that tells an event: where, which one, and its fields; None where some are spread out."""
    for path in ACTORS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            where = f"{path.relative_to(ACTORS)}:{node.lineno}"
            if isinstance(node.func, ast.Attribute) and node.func.attr == "emit" and node.args:
                name, named = node.args[0], node.keywords
                if isinstance(name, ast.Constant):
                    yield where, str(name.value), fields_of(named)
            waits = next((each.value for each in node.keywords if each.arg == BY_ARGUMENT), None)
            if isinstance(waits, ast.Constant):
                named = [each for each in node.keywords if each.arg not in {BY_ARGUMENT, "events"}]
                yield where, str(waits.value), (fields_of(named) or set()) | {"error"}


def fields_of(named: list[ast.keyword]) -> set[str] | None:
    """Name the fields; None when a table is spread out among them."""
    return None if any(each.arg is None for each in named) else {str(each.arg) for each in named}


def test_what_the_code_tells_is_declared() -> None:
    """Every event by name, with no other fields than its declaration has."""
    wrong = [
        f"{where}: {event} {sorted(fields or ())}"
        for where, event, fields in emits()
        if event not in EVENTS or not (fields or set()) <= set(EVENTS[event].fields)
    ]
    assert not wrong


def test_what_is_declared_is_told() -> None:
    """No event outlives the code that told it, and no field either."""
    told: dict[str, set[str]] = {name: set(fields) for name, fields in BY_HANDLER.items()}
    spread: set[str] = set()
    for _where, event, fields in emits():
        told.setdefault(event, set()).update(fields or ())
        if fields is None:
            spread.add(event)
    assert told.keys() == EVENTS.keys()
    assert not [name for name, event in EVENTS.items() if name not in spread and set(event.fields) != told[name]]


def test_every_field_has_one_meaning() -> None:
    """Fields are explained once, for all events; nothing is explained that no event has."""
    used = {name for event in EVENTS.values() for name in event.fields}
    assert used == FIELDS.keys()
    assert CONTEXT.keys() & FIELDS.keys() == {"cell", "conversation", "host", "server"}


def test_events_that_are_figures_have_the_fields_for_their_labels() -> None:
    """What a figure is told apart by stands in the event."""
    for name, (metric, fields) in COUNTED.items():
        assert set(fields) <= set(EVENTS[name].fields)
        assert len(fields) == len(metric.labels)
