"""Virtual time: an asyncio event loop that never waits, and that nothing outside the program can wake."""

from __future__ import annotations

import asyncio
import heapq
import logging
import sys
from asyncio import _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from threading import get_ident
from types import CoroutineType
from typing import Any, Final, Protocol, TypeVar, cast
from weakref import WeakValueDictionary

import anyio

T = TypeVar("T")
Callback = Callable[..., object]
Coro = Generator[Any, None, T] | Coroutine[Any, Any, T]
ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]
TaskFactory = Callable[..., Any]

NS_PER_S: Final = 1_000_000_000
SWEEP_MIN: Final = 100  # So many timers are cancelled before the heap is worth sweeping.
REAL_LOOP: Final = 'use a real loop (in a test, let the fixture `anyio_backend` return "asyncio")'


class NotSimulated(RuntimeError):
    """The program asked for something of the outside world that virtual time does not have."""

    def __init__(self, what: str, *, instead: str) -> None:
        super().__init__(f"virtual time has no {what}: {instead}, or {REAL_LOOP}")


class Deadlock(RuntimeError):
    """Nothing is ready, no timer is set, and the main future is not done: nobody can ever wake anybody."""

    def __init__(self, waiting: list[str], *, at_s: float) -> None:
        lines = "".join(f"\n- {wait}" for wait in waiting) or "\n- no task"
        hint = f"No thread, socket or process can wake this loop; if one should have, {REAL_LOOP}."
        super().__init__(f"nothing is ready and no timer is set at {at_s:.9f} s; these wait for ever:{lines}\n{hint}")


class Call(asyncio.TimerHandle):
    """A callback that the loop is to run at a time, or at once."""

    def run(self) -> None:
        """Run it; what it raises goes to the loop's exception handler."""
        self._run()


class Strategy(Protocol):
    """Which of the ready tasks takes the next step."""

    def add(self, step: Call, /) -> None:
        """Take in a step that has become ready."""

    def take(self) -> Call:
        """Give up one of the steps taken in; called once for each."""


class Fifo:
    """The strategy of asyncio's own loops: the task that became ready first goes first."""

    def __init__(self) -> None:
        steps: deque[Call] = deque()
        self.add, self.take = steps.append, steps.popleft


def _due_ns(when_s: float) -> int:
    """Return the first whole nanosecond at which `loop.time() >= when_s`."""
    # Exactly: anyio's scope timer, woken before its deadline, arms itself again for the same instant, and so for ever.
    numerator, denominator = when_s.as_integer_ratio()
    below_ns = numerator * NS_PER_S // denominator
    return below_ns if below_ns / NS_PER_S >= when_s else below_ns + 1


def _wait_of(task: asyncio.Task[Any]) -> str:
    """Say where a task waits: the innermost frame first, then its callers."""
    places: list[str] = []
    awaited: object = task.get_coro()
    while isinstance(awaited, CoroutineType) and (frame := awaited.cr_frame) is not None:
        places.insert(0, f"{awaited.__qualname__} ({frame.f_code.co_filename}:{frame.f_lineno})")
        awaited = awaited.cr_await
    return f"{task.get_name()} waits in " + ", called from ".join(places or [repr(awaited)])


def _refused(what: str, *, instead: str) -> Callable[..., None]:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise NotSimulated(what, instead=instead)

    return refuse


_NO_EXECUTORS: Any = _refused("executors", instead="call it inline, behind a port")  # Any: no signature fits all.
_NO_PROCESSES: Any = _refused("processes", instead="use the memory driver")
_NO_SIGNALS: Any = _refused("signals", instead="cancel a scope or set an event")
_NO_SOCKETS: Any = _refused("sockets", instead="use the memory wire")


class SimLoop(asyncio.AbstractEventLoop):
    """An event loop in which time moves only when nothing is ready, and then straight to the next timer."""

    def __init__(self, strategy: Strategy | None = None) -> None:
        self._strategy: Strategy = Fifo() if strategy is None else strategy
        self._ready: deque[Call | None] = deque()  # None is the turn of a task: the strategy says of which.
        self._timers: list[tuple[int, int, Call]] = []
        self._serial = self._cancelled = 0
        self.slow_callback_duration = 0.1  # asyncio's debug mode looks for it; no callback takes virtual time.
        self.now_ns = 0  # Virtual nanoseconds since the loop was made.
        self._thread = get_ident()
        self._intrusion: NotSimulated | None = None
        self._is_closed = self._is_debug = False
        self._exception_handler: ExceptionHandler | None = None
        self._task_factory: TaskFactory | None = None
        # By serial: out of a set they would be closed in the order of their addresses.
        self._generators: WeakValueDictionary[int, AsyncGenerator[Any, Any]] = WeakValueDictionary()

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self.now_ns / NS_PER_S

    def call_soon(self, callback: Callback, *args: object, context: Context | None = None) -> Call:
        """Run a callback in this instant, after what is ready already."""
        self._check_usable()
        call = Call(self.time(), callback, args, self, context)
        # Plain callbacks keep their places: anyio's cancellation livelocks when they overtake tasks, or are starved.
        is_step = isinstance(getattr(callback, "__self__", None), asyncio.Task)
        if is_step:
            self._strategy.add(call)
        self._ready.append(None if is_step else call)
        return call

    def call_later(self, delay: float, callback: Callback, *args: object, context: Context | None = None) -> Call:
        """Run a callback after a delay in virtual seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callback, *args: object, context: Context | None = None) -> Call:
        """Run a callback once virtual time has reached `when`; equal times run first in, first out."""
        self._check_usable()
        call = Call(when, callback, args, self, context)
        if when <= self.time():
            self._ready.append(call)
        elif when != float("inf"):  # anyio's `sleep_forever` is a timer at infinity, which must not hide a deadlock.
            self._serial += 1
            heapq.heappush(self._timers, (_due_ns(when), self._serial, call))
        return call

    def _timer_handle_cancelled(self, _call: asyncio.TimerHandle) -> None:
        """Sweep the heap now and then, or the timeouts that were never reached would pile up in it."""
        self._cancelled += 1
        if self._cancelled > max(SWEEP_MIN, len(self._timers) // 2):
            self._cancelled = 0
            self._timers = sorted(entry for entry in self._timers if not entry[2].cancelled())

    def _check_usable(self) -> None:
        if get_ident() != self._thread:
            self._intrusion = NotSimulated("other threads", instead="call the function in the loop's own thread")
            raise self._intrusion  # The loop will stop too: nobody may be listening to this thread.
        if self._is_closed:
            raise RuntimeError("Event loop is closed")

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until a coroutine or future is done, and return its result."""
        self._check_usable()
        if _get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")
        main = future if isinstance(future, asyncio.Future) else self.create_task(cast("Coro[T]", future))
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._note_generator, finalizer=self._finish_generator)
        _set_running_loop(self)
        try:
            while not main.done():
                self._turn()
            if self._ready:  # Who waited for the main future sees it done.
                self._turn()
        finally:
            _set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
        return main.result()

    def _turn(self) -> None:
        """Run what is ready now; what becomes ready meanwhile waits for the next turn."""
        if not self._ready and self._intrusion is None:
            self._jump()
        for _ in range(len(self._ready)):
            call = self._ready.popleft() or self._strategy.take()
            if not call.cancelled():
                call.run()
        if (intrusion := self._intrusion) is not None:
            self._intrusion = None
            raise intrusion

    def _jump(self) -> None:
        """Move time to the next timer and make ready all that are due then."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise Deadlock(sorted(_wait_of(task) for task in asyncio.all_tasks(self)), at_s=self.time())
        self.now_ns = self._timers[0][0]
        while self._timers and self._timers[0][0] == self.now_ns:
            self._ready.append(heapq.heappop(self._timers)[2])

    def is_running(self) -> bool:
        """Tell whether the loop is inside `run_until_complete`."""
        return _get_running_loop() is self

    def is_closed(self) -> bool:
        """Tell whether the loop was closed."""
        return self._is_closed

    def close(self) -> None:
        """Forget what was still to run; doing it twice changes nothing."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        self._is_closed = True
        self._ready, self._timers = deque(), []

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coro[T], *, name: str | None = None, context: Context | None = None) -> asyncio.Task[T]:
        """Start a coroutine as a task of this loop."""
        self._check_usable()
        if self._task_factory is None:
            return asyncio.Task(coro, loop=self, name=name, context=context)
        task: asyncio.Task[T] = self._task_factory(self, coro, **({} if context is None else {"context": context}))
        task.set_name(name or task.get_name())
        return task

    def set_task_factory(self, factory: TaskFactory | None) -> None:
        """Have tasks made by a factory, or by asyncio again."""
        self._task_factory = factory

    def get_task_factory(self) -> TaskFactory | None:
        """Return the factory that makes tasks, if one was set."""
        return self._task_factory

    def _note_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._serial += 1
        self._generators[self._serial] = generator

    def _finish_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._is_closed:
            self.call_soon(self.create_task, generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """Close the asynchronous generators that nobody finished, oldest first; an error of one of them is raised."""
        for generator in list(self._generators.values()):
            await generator.aclose()

    async def shutdown_default_executor(self, _timeout_s: float | None = None) -> None:
        """Do nothing: there is no executor."""

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        """Have unhandled exceptions handled by a function, or logged again."""
        self._exception_handler = handler

    def get_exception_handler(self) -> ExceptionHandler | None:
        """Return the function that handles unhandled exceptions, if one was set."""
        return self._exception_handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log an unhandled exception."""
        logging.getLogger(__name__).error("%s: %r", context.get("message"), context, exc_info=context.get("exception"))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Hand on an unhandled exception; what the handler itself raises stops the loop."""
        if self._exception_handler is None:
            self.default_exception_handler(context)
        else:
            self._exception_handler(self, context)

    def get_debug(self) -> bool:
        """Tell whether asyncio's debug mode is on."""
        return self._is_debug

    def set_debug(self, enabled: bool) -> None:
        """Switch asyncio's debug mode."""
        self._is_debug = enabled

    call_soon_threadsafe = call_soon  # Every thread but the loop's own is refused.
    run_forever = stop = _refused("running without a goal", instead="use run_until_complete")
    run_in_executor = set_default_executor = _NO_EXECUTORS
    add_signal_handler = remove_signal_handler = _NO_SIGNALS
    subprocess_exec = subprocess_shell = connect_read_pipe = connect_write_pipe = _NO_PROCESSES
    create_connection = create_server = create_unix_connection = create_unix_server = _NO_SOCKETS
    create_datagram_endpoint = connect_accepted_socket = start_tls = sendfile = getaddrinfo = getnameinfo = _NO_SOCKETS
    sock_accept = sock_connect = sock_recv = sock_recv_into = sock_recvfrom = sock_recvfrom_into = _NO_SOCKETS
    sock_sendall = sock_sendto = sock_sendfile = add_reader = add_writer = remove_reader = remove_writer = _NO_SOCKETS


def run(main: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run a coroutine function to its end under a fresh loop of virtual time, and return what it returns."""
    return anyio.run(main, *args, backend="asyncio", backend_options={"loop_factory": SimLoop})
