"""A run of chaos: several deployments side by side live one life after the other, until every trial was made.

They are side by side because most of a trial is waiting: for a lease to end, for a caller to ask again.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from tests.actors.cli.clouds import MARK, processes
from tests.chaos.fleet import afloat, deployment_of
from tests.chaos.lives import CONDUCTOR, LIVES, Life, Reference, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.chaos.fleet import Fleet
    from tests.chaos.lives import Result

#: So many broken promises are enough to know that something is wrong.
PROBLEMS_MAX: Final = 5
#: What an order that is undone does before the refusal is what a resize does: that is tried there.
WAY_BACK: Final = ("/undo/", "end/", "closed/", "released/")


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a run."""

    results: tuple[Result, ...]
    planned: int
    left: tuple[str, ...]  # Processes and files that should not be there any more.

    @property
    def problems(self) -> tuple[str, ...]:
        """Name everything that is wrong."""
        of_trials = (f"{each.trial}: {problem}" for each in self.results for problem in each.problems)
        return (*of_trials, *(f"left behind: {each}" for each in self.left))


class Run:
    """The trials that are still to be made, and what came of those that were."""

    def __init__(
        self, url: str, directory: Path, *, tell: Callable[[str], None], conductors: int = 2,
        kinds: tuple[str, ...] = tuple(LIVES),
    ) -> None:  # fmt: skip
        self._url = url
        self._kinds = kinds
        self._directory = directory
        self._conductors = conductors
        self._tell = tell
        self._queues: dict[str, deque[Trial]] = {}
        self._reference = Reference()
        self._results: list[Result] = []
        self._planned = 0
        self._lived: Counter[str] = Counter()
        self._is_known = anyio.Event()

    async def complete(
        self, choose: Callable[[Reference], Iterable[Trial]], *, lanes: int = 1, within_s: float | None = None
    ) -> Outcome:
        """Make the chosen trials, as many of them as there is time for."""
        os.environ[MARK] = str(self._directory)
        deadline_s = None if within_s is None else anyio.current_time() + within_s
        async with anyio.create_task_group() as tasks:
            for lane in range(lanes):
                tasks.start_soon(self._lane, lane, choose, deadline_s)
        left = (*(f"process {pid}" for pid in processes(self._directory)), *map(str, self._directory.iterdir()))
        return Outcome(results=tuple(self._results), planned=self._planned, left=left)

    async def _lane(self, lane: int, choose: Callable[[Reference], Iterable[Trial]], deadline_s: float | None) -> None:
        number = 0
        while number == 0 or (self._queues and not self._is_over(deadline_s)):
            directory = self._directory / f"{lane}-{number}"
            made = deployment_of(self._url, directory, conductors=self._conductors)
            async with afloat(made, warn=self._tell) as fleet:
                if lane == 0 and number == 0:
                    await self._learn(fleet, choose)
                await self._is_known.wait()
                await self._serve(fleet, deadline_s)
            number += 1

    async def _learn(self, fleet: Fleet, choose: Callable[[Reference], Iterable[Trial]]) -> None:
        for kind in self._kinds:
            await Life(fleet, kind).undisturbed(self._reference)
        for trial in choose(self._reference):
            self._planned += 1
            self._queues.setdefault(trial.order, deque()).append(trial)
        self._tell(f"{self._planned} deaths are planned")
        self._is_known.set()

    async def _serve(self, fleet: Fleet, deadline_s: float | None) -> None:
        """Live lives until there are no trials left, or something is wrong: then the deployment is good for no more."""
        while not self._is_over(deadline_s):
            kind = self._next_kind()
            trials = {name: self._queues[name].popleft() for name in LIVES[kind] if self._queues.get(name)}
            results = await Life(fleet, kind).live(trials, self._reference)
            made = [result for result in results if result.trial.point]
            wrong = [result for result in results if result.problems and not result.trial.point]
            self._results.extend([*made, *wrong])
            for trial in list(trials.values())[len(made) :]:
                self._queues[trial.order].appendleft(trial)
            for result in [*made, *wrong]:
                self._tell(_line(result, count=len(self._results), planned=self._planned))
            if any(result.problems for result in results):
                return

    def _next_kind(self) -> str:
        """Choose a kind of life with something left to try, in its last order before all; each in its turn."""

        def is_left(kind: str) -> list[bool]:
            return [bool(self._queues.get(name)) for name in reversed(LIVES[kind])]

        kind = max(self._kinds, key=lambda kind: (is_left(kind)[0], any(is_left(kind)), -self._lived[kind]))
        self._lived[kind] += 1
        return kind

    def _is_over(self, deadline_s: float | None) -> bool:
        is_late = deadline_s is not None and anyio.current_time() > deadline_s
        is_bad = sum(bool(result.problems) for result in self._results) >= PROBLEMS_MAX
        return is_late or is_bad or not any(self._queues.values())


def every_trial(reference: Reference) -> list[Trial]:
    """List a death of every role at every point that it passes."""
    return [
        Trial(order=order, who=who, point=point)
        for order, roles in reference.points.items()
        for who, points in roles.items()
        for point in points
        if order != "undone" or any(part in point for part in WAY_BACK)
    ]


def _line(result: Result, *, count: int, planned: int) -> str:
    taken_s = result.takeover.taken_s
    takeover = f", taken over after {taken_s:.2f} s" if taken_s is not None else ""
    verdict = "; ".join(result.problems) or "ok"
    return f"{count:4} of {planned}  {result.trial}: {result.took_s:.1f} s{takeover}: {verdict}"


def victim(who: str) -> str:
    """Say what a role is to a move."""
    if who == CONDUCTOR:
        return "conductor"
    names = {
        "api/cell": "root cell", "api!eu/cell": "source cell", "api!us/cell": "target cell",
        "api!eu/host:h1": "source host", "api!us/host:h2": "target host",
    }  # fmt: skip
    return names.get(who, who.partition("/")[2])
