"""A history, an injector and chance for tests of one simulated thing, without a world around it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import anyio
import attrs

from sim.chance import Chance
from sim.clock import SimLoop
from sim.faults import Fault, FaultKind
from sim.history import Fired, Happening, History
from sim.injector import Injector

H = TypeVar("H", bound=Happening)


def now_ns() -> int:
    """Tell the running loop's virtual time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop.now_ns


@attrs.frozen(kw_only=True)
class Weather:
    """What simulated things have in common."""

    history: History
    injector: Injector
    chance: Chance

    def of(self, kind: type[H]) -> list[H]:
        """List what has happened of a kind."""
        return [line.what for line in self.history.lines if isinstance(line.what, kind)]

    def struck(self, kind: FaultKind, *, mattered: bool = True) -> bool:
        """Tell whether one fault of the kind struck, and mattered or not."""
        found = [fired for fired in self.of(Fired) if fired.fault.kind is kind]
        assert self.history.probes[f"fault:{kind}"] == sum(fired.mattered for fired in found)
        return [fired.mattered for fired in found] == [mattered]


def weather(*faults: Fault, seed: int = 0) -> Weather:
    """Make it, with these faults let loose."""
    history, chance = History(now_ns), Chance(seed)
    injector = Injector(faults, chance=chance, history=history)
    if faults:
        injector.begin()
    return Weather(history=history, injector=injector, chance=chance)


async def elapse(for_s: float) -> None:
    """Let virtual time pass."""
    await anyio.sleep(for_s)
