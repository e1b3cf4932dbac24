"""Tasks that are used again: making a new one costs more than most of the work that is given to them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup

Work: TypeAlias = "Callable[..., Coroutine[Any, Any, object]]"

#: How many tasks wait for work at most; more than these end with their work.
IDLE_MAX: Final = 64


class Starter(Protocol):
    """What work can be given to: workers, or a task group, which makes a task of its own for each."""

    def start_soon(self, func: Work, /, *args: Any, name: object = None) -> object:
        """Have `func(*args)` run, at once but not yet."""
        ...


@attrs.define(eq=False)
class _Idle:
    """A task without work, and the event that gives it some."""

    work: Work | None = None
    args: tuple[Any, ...] = ()
    called: asyncio.Event = attrs.field(factory=asyncio.Event)  # Unlike anyio's it can be used again.


class Workers:
    """Does what a task group's `start_soon` does, with tasks of that group that it keeps for the next work.

    Their group never ends by itself: whoever made it cancels it.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._idle: list[_Idle] = []

    def start_soon(self, func: Work, /, *args: Any, name: object = None) -> None:
        """Have `func(*args)` run, at once but not yet; what it raises ends the group."""
        if self._idle:
            idle = self._idle.pop()
            idle.work, idle.args = func, args
            idle.called.set()
        else:
            self._tasks.start_soon(self._serve, func, args, name=name)

    async def _serve(self, work: Work, args: tuple[Any, ...]) -> None:
        await work(*args)
        idle = _Idle()
        while len(self._idle) < IDLE_MAX:
            self._idle.append(idle)
            await idle.called.wait()
            idle.called.clear()
            assert idle.work is not None, "a worker was called for nothing"
            await idle.work(*idle.args)
