"""The exhaustive driver: kills every process at every point of every kind of move, each in a trial of its own.

Which points a move passes is read off a run in which nothing goes wrong but what its story says.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from sim.cases.case import Case
from sim.cases.layout import Layout
from sim.cases.places import conductor_of, crash_points, host_names, process_names
from sim.cases.workload import Act, Op
from sim.commands.levels import Level
from sim.faults import Fault, FaultKind
from sim.history import Phase
from sim.points import AFTER_RECORD, AFTER_SEND, BEFORE_SEND, point_of
from sim.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sim.history import Line
    from sim.points import Point

SERVER: Final = "web"
SOURCE: Final = "h1"
TARGET: Final = "h2"
LAYOUT: Final = Layout.tree(cells=3, hosts=2)
#: Both hosts in one cell: there a move leaves no second record.
ONE_CELL: Final = Layout.tree(cells=2, hosts=2)
#: How long a killed process is down: longer than its callers wait before they ask again.
DOWN_S: Final = 5.0
#: At these positions it is the conductor itself that does something.
OWN_POSITIONS: Final = (BEFORE_SEND, AFTER_SEND, AFTER_RECORD)


@attrs.frozen(kw_only=True)
class Story:
    """One kind of move in a small cloud, from what is there before it to its end."""

    name: str
    case: Case


def _stories() -> Iterator[Story]:
    for layout, where in ((LAYOUT, ""), (ONE_CELL, "inside-")):
        yield from _stories_of(layout, where)


def _stories_of(layout: Layout, where: str) -> Iterator[Story]:
    for backing in ("image", "volume"):
        kind = f"{where}{backing}"
        create = Op(
            name="create", act=Act.CREATE, server=SERVER, host=SOURCE, volume="data",
            is_volume_backed=backing == "volume",
        )  # fmt: skip
        stop = Op(name="stop", act=Act.STOP, server=SERVER)
        resize = Op(name="resize", act=Act.RESIZE, server=SERVER, host=TARGET)
        migrate = Op(name="migrate", act=Act.MIGRATE, server=SERVER, host=TARGET)
        confirm = Op(name="confirm", act=Act.CONFIRM, server=SERVER)
        revert = Op(name="revert", act=Act.REVERT, server=SERVER)
        delete = Op(name="delete", act=Act.DELETE, server=SERVER)
        refused = Fault(
            kind=FaultKind.DRIVER_REFUSES, name="refused", where=host_names(layout)[1], point="spawn", times=0
        )
        story = partial(_story, layout)
        yield story(f"resize-{kind}", (create,), resize)
        yield story(f"undone-{kind}", (create,), resize, refused)
        yield story(f"migrate-stopped-{kind}", (create, stop), migrate)
        yield story(f"confirm-{kind}", (create, resize), confirm)
        yield story(f"revert-{kind}", (create, resize), revert)
        if layout is LAYOUT:
            # Without a move it is the same in one cell.
            yield story(f"delete-{kind}", (create,), delete)
        yield story(f"delete-resized-{kind}", (create, resize), delete)


def _story(layout: Layout, name: str, setup: tuple[Op, ...], op: Op, *faults: Fault) -> Story:
    cells, hosts = len(layout.cells), len(layout.hosts)
    case = Case(seed=1, cells=cells, hosts=hosts, minutes=1.0, setup=setup, ops=(op,), faults=faults)
    return Story(name=name, case=case)


STORIES: Final = {story.name: story for story in _stories()}


def points_of(case: Case) -> tuple[Point, ...]:
    """Run a case with the real actors, and name the points that it passes, each once, in the order it passes them."""
    found: dict[Point, None] = {}
    for line in _of_the_faults(Level().run(case).history.lines):
        if (passed := point_of(line.what)) is not None:
            found[passed] = None
    known = frozenset(crash_points())
    return tuple(name for name in found if name in known)


def _of_the_faults(lines: Iterable[Line]) -> Iterator[Line]:
    """Give what happens while faults are loose."""
    is_loose = False
    for line in lines:
        if isinstance(line.what, Phase):
            is_loose = line.what.name == "faults"
        if is_loose:
            yield line


def singles_of(story: Story, points: Iterable[Point]) -> Iterator[Trial]:
    """Kill every process at every point, one at a time."""
    for point in points:
        for process in process_names(story.case.layout()):
            yield _trial(story, (point, process))


def pairs_of(story: Story, points: Iterable[Point]) -> Iterator[Trial]:
    """Kill the conductor twice: at every point at which it does something, and again at that or at any later one."""
    conductor = conductor_of(story.case.layout())
    own = [point for point in points if point.rpartition("/")[2] in OWN_POSITIONS]
    for place, first in enumerate(own):
        for second in own[place:]:
            yield _trial(story, (first, conductor), (second, conductor))


def _trial(story: Story, *deaths: tuple[Point, str]) -> Trial:
    crashes = tuple(
        # At the same point a second time: the first death has used up the first passing.
        Fault(kind=FaultKind.CRASH_AT, name=f"death-{number}", where=process, point=point, for_s=DOWN_S)
        for number, (point, process) in enumerate(deaths, start=1)
    )
    name = " ".join((story.name, *(f"{point}@{process}" for point, process in deaths)))
    return Trial(name=name, case=attrs.evolve(story.case, faults=(*story.case.faults, *crashes)))
