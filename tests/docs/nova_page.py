"""What Nova's cells did, number by number, what cellferry does, and which tests show it: read off the tests' marks."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.docs.markdown import page, table

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "nova-cells.md"
TESTS: Final = Path(__file__).parents[1]
ROWS: Final = Path(__file__).with_name("nova_cells.toml")
MARK: Final = "proves"
#: What no test shows yet.  A number goes when a test is marked with it.
NOT_YET: Final = frozenset(Path(__file__).with_name("nova_not_yet.txt").read_text(encoding="utf-8").split())

ABOUT: Final = """
The cells of OpenStack Nova (its version 1) are the model of what cells say to each other here. Every behaviour that
their tests show has a number, R1 to R142 (R109 was never given); what none of their tests shows, and was found by
running them, has Q1 to Q25. This is what each says, and what cellferry does: the same, or otherwise and why. A test
that shows a number is marked with it, `@pytest.mark.proves("R14")`.
"""


def numbers() -> dict[str, dict[str, str]]:
    """Give every number with what it says, and what is otherwise here."""
    return {number: row for part in _parts() for number, row in part["rows"].items()}


def _parts() -> list[dict[str, dict[str, dict[str, str]]]]:
    parts: list[dict[str, dict[str, dict[str, str]]]] = tomllib.loads(ROWS.read_text(encoding="utf-8"))["part"]
    return parts


def shown(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Find by number the tests that show it: by the marks in the source, without importing anything."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, source in sorted(sources.items()):
        if f".{MARK}(" not in source:
            continue
        for name, number in _marks(ast.parse(source)):
            test = f"{path}::{name}" if name else path
            if test not in found[number]:
                found[number].append(test)
    return found


def _marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the tests of a module and their numbers; no name for a mark that is nobody's alone (of a parameter)."""
    for statement in module.body:
        is_test = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        name = statement.name if is_test else ""  # type: ignore[attr-defined]  # these three have one
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == MARK:
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"a number is written out: {ast.unparse(node)}"
                    yield name, str(argument.value)


def sources() -> dict[str, str]:
    """Read all tests."""
    root = TESTS.parent
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")}


def nova_page() -> str:
    """Write the page."""
    tests = shown(sources())
    parts = []
    for part in _parts():
        rows = (
            (number, row["says"], row.get("here", "the same"), "<br>".join(f"`{test}`" for test in tests[number]))
            for number, row in part["rows"].items()
        )
        parts += [f"## {part['title']}", table(("Number", "Nova's cells", "cellferry", "Shown by"), rows)]
    return page("Nova's cells, number by number", ABOUT, *parts)


if __name__ == "__main__":
    PAGE.write_text(nova_page(), encoding="utf-8")
