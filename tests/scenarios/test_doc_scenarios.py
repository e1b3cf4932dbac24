"""The scenarios that the documents show are run as they stand."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = DOCS / "how-to" / "write-a-scenario.md"
TUTORIAL: Final = DOCS / "tutorial" / "find-a-bug.md"
BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(page: Path) -> dict[str, Callable[..., None]]:
    """Run each block of Python of a page by itself, and give the tests that it defines."""
    text = page.read_text(encoding="utf-8")
    found: dict[str, Callable[..., None]] = {}
    for match in BLOCK.finditer(text):
        line = text[: match.start(1)].count("\n")
        names: dict[str, Any] = {}
        # Padded, so that a traceback names the line of the page.
        exec(compile("\n" * line + match[1], str(page), "exec"), names)  # noqa: S102 - our own page.
        found |= {name: value for name, value in names.items() if name.startswith("test_")}
    return found


def cases(tests: dict[str, Callable[..., None]]) -> list[Any]:
    """Spread the tests over what they are parametrized with."""
    spread = []
    for name, test in tests.items():
        marks = getattr(test, "pytestmark", [])
        values = [{mark.args[0]: value} for mark in marks for value in mark.args[1]] or [{}]
        spread += [pytest.param(test, value, id="-".join([name, *map(str, value.values())])) for value in values]
    return spread


SHOWN: Final = shown(PAGE)


def test_the_page_shows_ten_scenarios() -> None:
    """There are ten at least, and each takes nothing but what it is parametrized with."""
    assert len(SHOWN) >= 10
    assert all(len(inspect.signature(test).parameters) <= 1 for test in SHOWN.values())


@pytest.mark.parametrize(("test", "values"), cases(SHOWN | shown(TUTORIAL)))
def test_a_scenario_of_the_page_passes(test: Callable[..., None], values: dict[str, Any]) -> None:
    """What somebody copies from the page works."""
    test(**values)
