"""The wall clocks of a world's processes: virtual time after a fixed epoch, with what is wrong with each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import attrs

from sim.clock import SimLoop
from sim.faults import Fault, FaultKind
from sim.ports import EPOCH_US

if TYPE_CHECKING:
    from sim.injector import Injector

NS_PER_US: Final = 1_000
NS_PER_S: Final = 1_000_000_000
US_PER_S: Final = 1_000_000


class LoopTime:
    """The time of the loop that a world runs on, also between its turns, when no loop is running."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self) -> None:
        """Take the running loop's time from now on."""
        self._loop = asyncio.get_running_loop()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that was bound."""
        assert self._loop is not None, "the world is not running"
        return self._loop

    def now_ns(self) -> int:
        """Tell the time in nanoseconds since the loop was made; zero before the world runs."""
        if isinstance(self._loop, SimLoop):
            return self._loop.now_ns
        return 0 if self._loop is None else round(self._loop.time() * NS_PER_S)

    def steps(self) -> int:
        """Count the steps of the loop so far; only a simulated one counts."""
        return self._loop.steps if isinstance(self._loop, SimLoop) else 0


@attrs.define
class Skew:
    """How far a process's wall clock is off: a jump, and a drift since some moment."""

    jumped_us: int = 0
    drifts: list[Drift] = attrs.field(factory=list)
    unread: list[Fault] = attrs.field(factory=list)  # Faults that no reading has shown yet.


@attrs.frozen
class Drift:
    """A clock that gains so much in every second, from a moment to another (virtual ns)."""

    rate: float
    from_ns: int
    until_ns: float

    def gained_us(self, now_ns: int) -> int:
        """Tell what it has gained."""
        return round(max(0.0, min(now_ns, self.until_ns) - self.from_ns) * self.rate / NS_PER_US)


class Clocks:
    """The wall clocks of all processes, each with its own skew, which outlives the process: it is the machine's."""

    def __init__(self, time: LoopTime, injector: Injector) -> None:
        self._time = time
        self._injector = injector
        self._skews: dict[str, Skew] = {}

    def of(self, process: str) -> SkewedClock:
        """Give a process its clock."""
        return SkewedClock(self, process)

    def apply(self, fault: Fault) -> None:
        """Let a clock jump, or drift from now on."""
        skew = self._skews.setdefault(fault.where, Skew())
        now_ns = self._time.now_ns()
        if fault.kind is FaultKind.CLOCK_JUMP:
            skew.jumped_us += round(fault.amount_s * US_PER_S)
        else:
            skew.drifts.append(Drift(fault.amount_s, now_ns, now_ns + fault.for_s * NS_PER_S))
        skew.unread.append(fault)

    def now_us(self, process: str) -> int:
        """Read a process's clock."""
        now_ns = self._time.now_ns()
        now_us = EPOCH_US + now_ns // NS_PER_US
        skew = self._skews.get(process)
        if skew is None:
            return now_us
        while skew.unread:
            fault = skew.unread.pop()
            self._injector.note(fault, mattered=True, text=f"the clock of {process} was read", process=process)
        return now_us + skew.jumped_us + sum(drift.gained_us(now_ns) for drift in skew.drifts)


@attrs.frozen
class SkewedClock:
    """The wall clock of one simulated process: virtual time after a fixed epoch, and what is wrong with it."""

    _clocks: Clocks
    _process: str

    def now_us(self) -> int:
        """Tell microseconds since 1970."""
        return self._clocks.now_us(self._process)
