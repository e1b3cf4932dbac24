"""How a process stands: whether it lives, and whether it does its work.  Nothing here waits for anything."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from actors.kernel.metrics import ACTORS, LOOP_LAG

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from anyio.abc import TaskStatus

    from actors.kernel.metrics import Meters, Readings

#: How often the loop is asked to turn, and after how long without a turn it hangs.
BEAT_S: Final = 1.0
HANGS_S: Final = 10.0


class State(StrEnum):
    """How an actor stands."""

    DOWN = "down"  # It was not started yet, or died and is to be started again.
    UP = "up"  # It has reconciled what a crash left, and takes messages.
    GONE = "gone"  # It ended, and nobody starts it again.
    LEFT = "left"  # It was asked to leave, and has.


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_good: bool
    says: str


class Health:
    """What is known of a process.  `ready` names whatever else must be so before it does its work."""

    def __init__(self, process: str, meters: Meters) -> None:
        self.process = process
        self._meters = meters
        self._actors: dict[str, State] = {}
        self._is_leaving = False
        self._beat_s: float | None = None
        self._lag_s = 0.0
        #: Each gives what is missing in words, or nothing.
        self.ready: list[Callable[[], Iterable[Finding]]] = []
        meters.watch(ACTORS, self._counts)
        meters.watch(LOOP_LAG, lambda: {(): self._lag_s})

    async def beat(self) -> None:
        """See the loop turn, for ever."""
        while True:
            before_s = anyio.current_time()
            await anyio.sleep(BEAT_S)
            self._beat_s = anyio.current_time()
            self._lag_s = max(0.0, self._beat_s - before_s - BEAT_S)

    def watched(
        self, name: str, run: Callable[..., Coroutine[Any, Any, None]]
    ) -> Callable[..., Coroutine[Any, Any, None]]:
        """Give an actor's `run` that says how it stands while it runs."""
        self._actors[name] = State.DOWN

        async def seen(*, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
            state = State.DOWN
            try:
                await run(task_status=_Started(self._actors, name, task_status))
                state = State.LEFT if self._is_leaving else State.GONE
            finally:
                self._actors[name] = state

        return seen

    def leaving(self) -> None:
        """Say that the process was asked to stop: it is not to be sent anything more."""
        self._is_leaving = True

    def live(self) -> tuple[Finding, ...]:
        """Tell whether the process is worth keeping: never because of a broker or a database."""
        since_s = 0.0 if self._beat_s is None else anyio.current_time() - self._beat_s
        gone = sorted(name for name, state in self._actors.items() if state is State.GONE)
        return (
            Finding(what="loop", is_good=since_s < HANGS_S, says=f"turned {since_s:.1f} s ago"),
            Finding(what="actors", is_good=not gone, says=f"gone: {', '.join(gone)}" if gone else "none is gone"),
        )

    def findings(self) -> tuple[Finding, ...]:
        """Tell whether the process does its work, and what is missing."""
        down = sorted(name for name, state in self._actors.items() if state is not State.UP)
        starting = not self._actors
        says = "starting" if starting else f"not taking messages: {', '.join(down)}" if down else "all take messages"
        others = tuple(finding for look in self.ready for finding in look())
        return (
            Finding(what="stopping", is_good=not self._is_leaving, says="asked to stop" if self._is_leaving else "no"),
            Finding(what="consuming", is_good=not down and not starting, says=says),
            *others,
        )

    def _counts(self) -> Readings:
        states = list(self._actors.values())
        return {(state.value,): float(states.count(state)) for state in (State.UP, State.DOWN, State.GONE)}


class _Started:
    """Passes on that an actor takes messages, and notes it."""

    def __init__(self, actors: dict[str, State], name: str, told: TaskStatus[None]) -> None:
        self._actors, self._name, self._told = actors, name, told

    def started(self, value: None = None) -> None:
        self._actors[self._name] = State.UP
        self._told.started(value)


def document(findings: Iterable[Finding], process: str) -> dict[str, Any]:
    """Write what was found, in the form of oslo's health check: reasons, each with its class and its words."""
    found = tuple(findings)
    return {
        "detailed": True,
        "process": process,
        "python_version": sys.version.partition(" ")[0],
        "status": "OK" if all(each.is_good for each in found) else "UNAVAILABLE",
        "reasons": [
            {"class": each.what, "reason": "OK" if each.is_good else "UNAVAILABLE", "details": each.says}
            for each in found
        ],
    }
