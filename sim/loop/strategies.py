"""Which of the ready tasks takes the next step: in turn, at random, or by priorities that rarely change.

First in, first out hides races.  The draws of the others are keyed: a task's follow from the seed, its owner and name,
how many of that name there were before, and how many steps it took, so that they do not depend on what others do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any, Final, Protocol

from sim.loop.steps import UNDRAWN, SimTask, Step

DRAW_MAX: Final = (1 << 64) - 1

# Knuth's generator for MMIX: one multiplication a draw; only the high bits are good, and those decide.
MULTIPLIER: Final = 6364136223846793005
INCREMENT: Final = 1442695040888963407

WAIT_SCALE: Final = 1 << 80
WAIT_FLOOR: Final = 1 << 54  # No step waits more than a thousand times as long as the shortest: none starves.

PATIENCE: Final = 64  # Every so many turns the step that waits longest is served.
CHANGES_OF: Final = 100  # Of so many steps, `depth` change their task's priority.


class Strategy(Protocol):
    """Which of the ready tasks takes the next step."""

    def add(self, step: Step, /) -> None:
        """Take in a step that has become ready."""

    def take(self) -> Step:
        """Give up one of the steps taken in; called once for each."""


class Fifo:
    """The strategy of asyncio's own loops: the task that became ready first goes first."""

    def __init__(self) -> None:
        steps: deque[Step] = deque()
        self.add, self.take = steps.append, steps.popleft


class _Draws:
    """Each task's own stream of draws."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._alike: dict[tuple[str, str], int] = {}

    def next(self, task: SimTask[Any]) -> int:
        """Draw for the task's next step."""
        try:
            draw = task.draw
        except AttributeError:  # A task factory's own kind of task.
            task.owner, task.kind, task.priority, draw = "", str(task.get_name()), UNDRAWN, UNDRAWN
        if draw == UNDRAWN:
            draw = self._first(task.owner, task.kind)
        task.draw = draw = (draw * MULTIPLIER + INCREMENT) & DRAW_MAX
        return draw

    def _first(self, owner: str, kind: str) -> int:
        nth = self._alike[owner, kind] = self._alike.get((owner, kind), 0) + 1
        about = repr((self._seed, owner, kind, nth)).encode()
        return int.from_bytes(blake2b(about, digest_size=8).digest(), "big")


class Shuffled:
    """At random: each ready step waits its draw, mostly about as long as others, at times so long that they run ahead.

    Without the waits, if the lowest of all draws just went first, a step that drew high would wait ever longer.
    """

    def __init__(self, seed: int) -> None:
        self._draw = _Draws(seed).next
        self._steps: list[tuple[int, int, Step]] = []
        self._added = 0
        self._now = 0  # Until when the last step waited that went.

    def add(self, step: Step) -> None:
        """Take in a step that has become ready."""
        self._added += 1
        task = step.task
        if getattr(task, "draw", UNDRAWN) == UNDRAWN:
            draw = self._draw(task)
        else:  # As `_Draws` does it: this is what every step of every task passes.
            draw = task.draw = (task.draw * MULTIPLIER + INCREMENT) & DRAW_MAX
        # One in n steps waits n times as long as the median or longer: races need that more than an even shuffle.
        heappush(self._steps, (self._now + WAIT_SCALE // (draw | WAIT_FLOOR), self._added, step))

    def take(self) -> Step:
        """Give up the step whose wait is over first."""
        self._now, _, step = heappop(self._steps)
        return step


class Pct:
    """Probabilistic concurrency testing: tasks have priorities, which few of their steps change.

    So one task may be held up for long while others run far ahead, which `Shuffled` hardly ever does.
    """

    def __init__(self, seed: int, depth: int = 3) -> None:
        self._draw = _Draws(seed).next
        self._change_below = depth * (DRAW_MAX // CHANGES_OF)
        self._steps: list[tuple[int, int, Step]] = []
        self._waiting: dict[int, Step] = {}
        self._added = self._taken = 0

    def add(self, step: Step) -> None:
        """Take in a step that has become ready."""
        self._added += 1
        self._waiting[self._added] = step
        heappush(self._steps, (self._priority(step.task), self._added, step))

    def take(self) -> Step:
        """Give up the step of the first task by priority; now and then the one that waits longest."""
        # Strict priority would let a task that polls starve the one that it waits for, and the instant never end.
        self._taken += 1
        if self._taken % PATIENCE == 0:
            number = next(iter(self._waiting))
        else:
            while (number := heappop(self._steps)[1]) not in self._waiting:
                pass
        step = self._waiting.pop(number)
        if not self._waiting:
            self._steps.clear()  # What was served out of turn is still among them.
        return step

    def _priority(self, task: SimTask[Any]) -> int:
        draw = self._draw(task)
        if task.priority == UNDRAWN:
            task.priority = draw
        elif draw < self._change_below:
            task.priority = self._draw(task)
        return task.priority


STRATEGIES: Final[Mapping[str, Callable[[int], Strategy]]] = {
    "fifo": lambda _seed: Fifo(),
    "shuffled": Shuffled,
    "pct": Pct,
}


def strategy_of(name: str, seed: int) -> Strategy:
    """Make a strategy by its name."""
    if name not in STRATEGIES:
        raise ValueError(f"no strategy is called {name}")
    return STRATEGIES[name](seed)
