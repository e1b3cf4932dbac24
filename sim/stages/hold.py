"""A process that stands still from when a conversation passes a point until it is let go."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import anyio

from sim.clock import SimLoop
from sim.history import Resumed
from sim.points import point_of

if TYPE_CHECKING:
    from sim.history import Line
    from sim.process import Process
    from sim.world import World

#: No conversation takes longer to get anywhere, retries included.
PATIENCE_S: Final = 3600.0


class Hold:
    """Holds one actor at one point: what it has checked by then may be untrue when it acts."""

    def __init__(self, world: World, process: str, at: str) -> None:
        """Wait for the point; at `at` empty stop the process now."""
        self._world = world
        self._name = process
        self._at = at
        self._held: Process | None = None
        self._reached = anyio.Event()
        self._is_over = False
        if at:
            world.history.listeners.append(self._listen)
        else:
            self._stop()

    async def reached(self) -> None:
        """Return when the actor stands still; raise `TimeoutError` when the point is never passed."""
        with anyio.move_on_after(PATIENCE_S):
            await self._reached.wait()
            return
        raise TimeoutError(f"no conversation has passed {self._at} within {PATIENCE_S:g} s")

    @property
    def is_holding(self) -> bool:
        """Tell whether the actor stands still now."""
        return self._held is not None and self._held.is_frozen

    def let_go(self) -> None:
        """Let the actor go on, or never stop it."""
        self._is_over = True
        held, loop = self._held, self._world.time.loop
        if held is None or not held.is_frozen or not isinstance(loop, SimLoop):
            return
        held.is_frozen = False
        loop.thaw(held.owner)
        self._world.history.record(Resumed(process=held.name))
        for wake in self._world.machines.when_thawed:
            wake()

    def _listen(self, line: Line) -> None:
        if not self._is_over and not self._reached.is_set() and point_of(line.what) == self._at:
            self._stop()

    def _stop(self) -> None:
        if self._world.machines.pause(self._name, for_s=math.inf):
            self._held = self._world.machines.live[self._name]
            self._reached.set()
