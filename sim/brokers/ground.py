"""What the simulated brokers of a world stand on: time, chance and limits, and the faults that are not noted yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import Context
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.chance import Chance
    from sim.faults import Fault
    from sim.history import History
    from sim.injector import Injector

PUBLISH, CONFIRM, HAND, SETTLE = range(4)
"""The ways of a frame, each of which takes a latency."""

_WAY_BITS: Final = 13

SETTLED_LATE: Final = 0.25
"""The share of settlements that take a latency; the rest is there before anything else can happen."""


class Strike:
    """A fault that has struck: it is noted once, as soon as it has made a difference, or when it can make none."""

    def __init__(self, ground: Ground, fault: Fault, text: str, process: str) -> None:
        self._ground = ground
        self._fault = fault
        self._text = text
        self._process = process
        ground.strikes[self] = None

    def matter(self) -> None:
        """Note that it has made a difference."""
        self._note(mattered=True)

    def end(self) -> None:
        """Note that it has made none, if that is so: nothing more is known later."""
        self._note(mattered=False)

    def _note(self, *, mattered: bool) -> None:
        if self in self._ground.strikes:
            del self._ground.strikes[self]
            self._ground.injector.note(self._fault, mattered=mattered, text=self._text, process=self._process)


class Ground:
    """What all brokers of a world stand on: the history, the faults, chance, time, and their limits."""

    def __init__(
        self,
        *,
        history: History,
        injector: Injector,
        chance: Chance,
        latency_s: tuple[float, float],
        messages_max: int,
        frame_bytes_max: int,
        has_rights: bool = False,
    ) -> None:
        self.history = history
        self.injector = injector
        self.chance = chance
        self.messages_max = messages_max
        self.frame_bytes_max = frame_bytes_max
        self.has_rights = has_rights
        self.strikes: dict[Strike, None] = {}
        self.outside = Context()  # Timers of a broker are nobody's steps: a process that stands still holds none up.
        self._latency_s = latency_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._frames = 0
        self._counts: Counter[str] = Counter()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the world runs on; it stays known between its runs."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def number(self) -> int:
        """Number a frame."""
        self._frames += 1
        return self._frames

    def count(self, about: str) -> int:
        """Count the occasions of one kind, so that each has a chance of its own."""
        self._counts[about] += 1
        return self._counts[about]

    def latency_s(self, draw: float, way: int) -> float:
        """Tell how long one way takes; `draw` holds enough chance for all ways of a frame."""
        low_s, high_s = self._latency_s
        return low_s + (high_s - low_s) * (draw * (1 << way * _WAY_BITS) % 1.0)

    def settled_late_s(self, draw: float) -> float:
        """Tell how long a settlement is on its way: most are there at once, which saves a timer for each."""
        share = draw * (1 << SETTLE * _WAY_BITS) % 1.0 / SETTLED_LATE
        return self._latency_s[0] + (self._latency_s[1] - self._latency_s[0]) * share if share < 1.0 else 0.0

    def at(self, when_s: float, callback: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        """Do something at a time, as nobody's step."""
        return self.loop.call_at(when_s, callback, *args, context=self.outside)

    def later(self, delay_s: float, callback: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        """Do something after a while, as nobody's step."""
        return self.at(self.loop.time() + delay_s, callback, *args)
