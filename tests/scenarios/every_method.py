"""The table of all methods: how each is called for real in a tree three levels deep, and what it has done there.

A module `methods_*.py` beside this one adds its methods to `CASES`, and `test_every_method.py` imports that module.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from protocol.requests import Way
from sim.history import Handed
from sim.stages.wire import WireStage
from tests.scenarios.endings import at_rest

if TYPE_CHECKING:
    from protocol.requests import Request
    from sim import Scenario
    from sim.history import Note
    from sim.stages.stage import Stage

#: Two hosts in a cell of the third level, so that there is one to move to; one beside them, and one in between.
HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!eu!eu-1", "h3": "api!eu!eu-2", "h4": "api!us", "h5": "api!eu"}
DEEP: Final = "api!eu!eu-1"
CELLS: Final = ("api", "api!eu", "api!eu!eu-1", "api!eu!eu-2", "api!us")
#: So many cells a request passes on its way from the root to the third level, or back.
LEVELS: Final = 3

Case: TypeAlias = Callable[["Scenario"], Coroutine[Any, Any, None]]
CASES: Final[dict[type[Request[Any]], Case]] = {}
MARKS: Final[dict[type[Request[Any]], tuple[pytest.MarkDecorator, ...]]] = {}


def shows(request: type[Request[Any]], *marks: pytest.MarkDecorator) -> Callable[[Case], Case]:
    """Enter a story as the one that sets up what a request needs, sends it, and reads back what it has done."""

    def enter(case: Case) -> Case:
        assert request not in CASES, f"{request.__name__} is shown twice"
        CASES[request], MARKS[request] = case, marks
        return case

    return enter


async def show(s: Scenario, request_type: type[Request[Any]], *, levels: int) -> None:
    """Tell the story of a request; raise unless it came through so many cells, and left nothing wrong behind it."""
    await s.wait(1.0)
    await CASES[request_type](s)
    await at_rest(s)
    passed = passings(s, request_type.METHOD.name)
    assert passed, "it was never sent"
    if request_type.METHOD.way is not Way.NONE:
        assert max(map(len, passed)) >= levels


def passings(s: Scenario, method: str) -> tuple[frozenset[str], ...]:
    """List the cells that each envelope of a method had come through when it was handed to somebody."""
    return tuple(
        frozenset((*note.route, queue.partition("/")[0]))
        for queue, notes in _handed(s.stage)
        for note in notes
        if note.method == method and note.kind != "answer"
    )


def _handed(stage: Stage) -> Iterator[tuple[str, tuple[Note, ...]]]:
    if isinstance(stage, WireStage):
        yield from ((queue, traffic.notes) for queue, traffic in stage.real.handed)
    else:
        yield from ((what.queue, what.notes) for line in stage.history.lines if isinstance(what := line.what, Handed))
