"""What a simulated loop runs, and when: callbacks, and the steps of tasks that are the same in every process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from types import CoroutineType
from typing import Any, Final, TypeVar

T = TypeVar("T")
Callback = Callable[..., object]
Coro = Generator[Any, None, T] | Coroutine[Any, Any, T]

#: Whose work this is: set in a simulated process's first task, and inherited by all that it starts or calls later.
OWNER: ContextVar[str] = ContextVar("OWNER", default="")

NS_PER_S: Final = 1_000_000_000
UNDRAWN: Final = -1


class SimTask(asyncio.Task[T]):
    """A task whose hash and text are those of every run, where asyncio's own hold its address."""

    __slots__ = ("draw", "kind", "owner", "priority", "serial")

    def __init__(
        self, coro: Coro[T], *, loop: asyncio.AbstractEventLoop, name: str | None, serial: int, **more: Any
    ) -> None:
        self.serial = serial  # First of all: asyncio files the task by its hash.
        self.draw = self.priority = UNDRAWN  # The strategy's: what it drew for this task's last step, and once for all.
        # What the strategy knows it by: a serial number would hang on how many tasks others start.
        self.kind = name or str(getattr(coro, "__qualname__", type(coro).__name__))
        context: Context | None = more.get("context")
        self.owner = OWNER.get() if context is None else context.get(OWNER, "")
        super().__init__(coro, loop=loop, name=name or f"Task-{serial}", **more)

    def __hash__(self) -> int:
        return self.serial

    def __repr__(self) -> str:
        return f"<SimTask {self.get_name()}>"


class Call(asyncio.TimerHandle):
    """A callback that the loop is to run at a time, or at once."""

    __slots__ = ()

    _callback: Callback
    _context: Context

    def __init__(
        self, when: float, callback: Callback, args: tuple[object, ...], loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> None:  # fmt: skip
        # All that asyncio's own two do, but to look whether debug mode wants a traceback: there are millions of these.
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._when = when
        self._scheduled = False

    def owner(self) -> str:
        """Name the simulated process whose work this is."""
        return self._context.get(OWNER, "")

    def what(self) -> str:
        """Name what is to run."""
        return str(getattr(self._callback, "__qualname__", self._callback))

    def run(self) -> None:
        """Run it, unless it was cancelled; what it raises goes to the loop's exception handler."""
        if self._cancelled:
            return
        try:
            self._context.run(self._callback, *self._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio's own loops do
            message = f"Exception in callback {self.what()}"
            self._loop.call_exception_handler({"message": message, "exception": error, "handle": self})


class Step(Call):
    """The next step of a task."""

    __slots__ = ("task",)

    task: SimTask[Any]

    def what(self) -> str:
        """Name the task."""
        return self.task.get_name()


def wait_of(task: asyncio.Task[Any]) -> str:
    """Say where a task waits: the innermost frame first, then its callers."""
    places: list[str] = []
    awaited: object = task.get_coro()
    while isinstance(awaited, CoroutineType) and (frame := awaited.cr_frame) is not None:
        places.insert(0, f"{awaited.__qualname__} ({frame.f_code.co_filename}:{frame.f_lineno})")
        awaited = awaited.cr_await
    return f"{task.get_name()} waits in " + ", called from ".join(places or [repr(awaited)])


def due_ns(when_s: float) -> int:
    """Return the first whole nanosecond at which `loop.time() >= when_s`."""
    # Exactly: anyio's scope timer, woken before its deadline, arms itself again for the same instant, and so for ever.
    numerator, denominator = when_s.as_integer_ratio()
    below_ns = numerator * NS_PER_S // denominator
    return below_ns if below_ns / NS_PER_S >= when_s else below_ns + 1
