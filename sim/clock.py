"""Virtual time: an asyncio event loop that never waits, and that nothing outside the program can wake."""

from __future__ import annotations

import asyncio
import gc
import heapq
import sys
from asyncio import CancelledError, _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import closing, contextmanager
from contextvars import Context, copy_context
from functools import partial
from threading import get_ident
from typing import Any, Final, NoReturn, TypeVar, cast
from weakref import WeakValueDictionary

import anyio

from sim.loop import steps
from sim.loop.loop_settings import LoopSettings
from sim.loop.ordered import ordered_sets
from sim.loop.sealing import Seal, collected_by_hand
from sim.loop.steps import NS_PER_S, Call, Callback, Coro, SimTask, Step, due_ns, wait_of
from sim.loop.strategies import Fifo, Strategy

T = TypeVar("T")

OWNER: Final = steps.OWNER
SWEEP_MIN: Final = 100  # So many timers are cancelled before the heap is worth sweeping.
STILL_STEPS_MAX: Final = 1_000_000  # So many steps in one instant are not work any more.
LOOK_AROUND_STEPS: Final = 10_000  # After so many steps the loop collects garbage and asks itself whether it is stuck.
YOUNG, OLDEST = 1, 2  # The generations of garbage.
LOOKS_A_FULL_ONE: Final = 16
LIVELOCK_TURNS: Final = 100  # For so many turns it then looks at who is ready, to name them.
REAL_LOOP: Final = 'use a real loop (in a test, let the fixture `anyio_backend` return "asyncio")'


def _listed(lines: list[str], frozen: list[str]) -> str:
    listed = "".join(f"\n- {line}" for line in lines) or "\n- no task"
    return listed + (f"\nFrozen, until they are thawed: {', '.join(frozen)}." if frozen else "")


class NotSimulated(RuntimeError):
    """The program asked for something of the outside world that virtual time does not have."""

    def __init__(self, what: str, *, instead: str) -> None:
        super().__init__(f"virtual time has no {what}: {instead}, or {REAL_LOOP}")


class Deadlock(RuntimeError):
    """Nothing is ready, no timer is set, and the main future is not done: nobody can ever wake anybody."""

    def __init__(self, waiting: list[str], frozen: list[str], *, at_s: float) -> None:
        hint = f"No thread, socket or process can wake this loop; if one should have, {REAL_LOOP}."
        report = f"nothing is ready and no timer is set at {at_s:.9f} s; these wait for ever:{_listed(waiting, frozen)}"
        super().__init__(f"{report}\n{hint}")


class Livelock(RuntimeError):
    """Time stands still, for what runs makes itself ready again and again."""

    def __init__(self, running: list[str], frozen: list[str], *, at_s: float, steps: int) -> None:
        report = f"{steps} steps at {at_s:.9f} s, and time stands still; these run:{_listed(running, frozen)}"
        super().__init__(report)


def _refused(what: str, *, instead: str) -> Callable[..., None]:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise NotSimulated(what, instead=instead)

    return refuse


_SEAL: Final = Seal(lambda what, instead: NotSimulated(what, instead=instead))
_NO_EXECUTORS: Any = _refused("executors", instead="call it inline, behind a port")  # Any: no signature fits all.
_NO_PROCESSES: Any = _refused("processes", instead="use the memory driver")
_NO_SIGNALS: Any = _refused("signals", instead="cancel a scope or set an event")
_NO_SOCKETS: Any = _refused("sockets", instead="use the memory wire")


class SimLoop(LoopSettings):
    """An event loop in which time moves only when nothing is ready, and then straight to the next timer."""

    def __init__(self, strategy: Strategy | None = None) -> None:
        super().__init__()
        self._strategy: Strategy = Fifo() if strategy is None else strategy
        self._ready: deque[Call | None] = deque()  # None is the turn of a task: the strategy says of which.
        self._timers: list[tuple[int, int, Call]] = []
        self._frozen: dict[str, list[Call]] = {}  # By owner: what would have run.
        self._serial = self._cancelled = 0
        self.now_ns = 0  # Virtual nanoseconds since the loop was made.
        self.steps = 0  # Task steps and callbacks that have run.
        self.still_steps_max = STILL_STEPS_MAX
        self._still_from = 0  # The step at which time moved last.
        self._look_around_at = LOOK_AROUND_STEPS
        self._looks = 0
        self._thread = get_ident()
        self._intrusion: NotSimulated | None = None
        self._is_closed = self._is_driven = False
        self._roots: dict[asyncio.Future[Any], None] = {}  # Whoever drives the loop need not hold them.
        self._failures: list[BaseException] = []
        # By serial: out of a set they would be closed in the order of their addresses.
        self._generators: WeakValueDictionary[int, AsyncGenerator[Any, Any]] = WeakValueDictionary()

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self.now_ns / NS_PER_S

    def call_soon(self, callback: Callback, *args: object, context: Context | None = None) -> Call:
        """Run a callback in this instant, after what is ready already."""
        if self._is_closed or get_ident() != self._thread:
            self._check_usable()
        task: Any = getattr(callback, "__self__", None)
        is_step = isinstance(task, asyncio.Task)
        # Plain callbacks keep their places: anyio's cancellation livelocks when they overtake tasks, or are starved.
        if is_step:
            step = Step(0, callback, args, self, context)
            step.task = task
            self._strategy.add(step)
            self._ready.append(None)
            return step
        call = Call(0, callback, args, self, context)
        self._ready.append(call)
        return call

    def call_later(self, delay: float, callback: Callback, *args: object, context: Context | None = None) -> Call:
        """Run a callback after a delay in virtual seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callback, *args: object, context: Context | None = None) -> Call:
        """Run a callback once virtual time has reached `when`; equal times run first in, first out."""
        if self._is_closed or get_ident() != self._thread:
            self._check_usable()
        call = Call(when, callback, args, self, context)
        if when <= self.now_ns / NS_PER_S:
            self._ready.append(call)
        elif when != float("inf"):  # anyio's `sleep_forever` is a timer at infinity, which must not hide a deadlock.
            self._serial += 1
            heapq.heappush(self._timers, (due_ns(when), self._serial, call))
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

    def _check_idle(self) -> None:
        self._check_usable()
        if _get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until a coroutine or future is done, and return its result; nobody stays frozen then."""
        self._check_idle()
        main = future if isinstance(future, asyncio.Future) else self.create_task(cast("Coro[T]", future))
        with self._entered(is_driven=False):
            while not main.done():
                if not (self._ready or self._make_ready()):
                    raise self._deadlock()
                self._turn()
            if self._ready:  # Who waited for the main future sees it done.
                self._turn()
        return main.result()

    def advance(self, for_s: float) -> None:
        """Run all that comes due within so many seconds, and let time stand at their end; raise what a task raised."""
        self._check_idle()
        until_ns = self.now_ns + due_ns(for_s)
        with self._entered(is_driven=True):
            self._surface()
            while self._make_ready(until_ns):
                self._turn()
                self._surface()
            self.now_ns = until_ns

    def settle(self, future: Coro[T] | asyncio.Future[T], within_s: float) -> T:
        """Run until a coroutine or future is done, for so many seconds at most, and return its result."""
        self._check_idle()
        main = future if isinstance(future, asyncio.Future) else self.create_task(future)
        until_ns = self.now_ns + due_ns(within_s)
        with self._entered(is_driven=True):
            self._surface()
            while not main.done():
                if not self._make_ready(until_ns):
                    self._give_up(main, until_ns, within_s=within_s)
                self._turn()
                if main.done() and main in self._roots:
                    del self._roots[main]  # Its failure is the caller's.
                self._surface()
        return main.result()

    def finish(self) -> None:
        """End a loop that was driven: cancel what still runs, let it come to its end, and close."""
        self._thaw_all()
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: int(getattr(task, "serial", 0)))
        for task in tasks:
            task.cancel()
        with closing(self):
            ends = self.run_until_complete(_ends_of(tasks))
            self.run_until_complete(self.shutdown_asyncgens())
        failed = [end for end in ends if isinstance(end, BaseException) and not isinstance(end, CancelledError)]
        if failures := [*self._failures, *failed]:
            raise BaseExceptionGroup("tasks failed, or did when they were cancelled", failures)

    def spawn(self, coro: Coro[object], *, name: str | None = None, owner: str = "") -> None:
        """Start a coroutine for which nobody waits: what it raises comes out where the loop is driven."""
        context = copy_context()
        context.run(OWNER.set, owner)
        _ = self.create_task(coro, name=name, context=context)

    def _thaw_all(self) -> None:
        for owner in list(self._frozen):
            self.thaw(owner)

    def freeze(self, owner: str) -> None:
        """Hold back all that this simulated process has to run, as if it were stopped; what comes due for it too."""
        assert owner, "what has no owner cannot be frozen"
        self._frozen.setdefault(owner, [])

    def thaw(self, owner: str) -> int:
        """Let a simulated process go on: what was held back is ready, in its old order; tell how much it was."""
        held = self._frozen.pop(owner, [])
        self._ready.extend(held)
        return len(held)

    @contextmanager
    def _entered(self, *, is_driven: bool) -> Iterator[None]:
        """Be the running loop, with the world outside shut out."""
        hooks = sys.get_asyncgen_hooks()
        with ordered_sets(), _SEAL.shut(self), collected_by_hand():
            sys.set_asyncgen_hooks(firstiter=self._note_generator, finalizer=self._finish_generator)
            _set_running_loop(self)
            self._is_driven, self._still_from = is_driven, self.steps
            try:
                yield
            finally:
                if not is_driven:
                    self._thaw_all()  # Or whoever cleans up after the run would wait for the frozen.
                self._is_driven = False
                _set_running_loop(None)
                sys.set_asyncgen_hooks(*hooks)

    def _turn(self) -> None:
        """Run what is ready now; what becomes ready meanwhile waits for the next turn."""
        ready, take, frozen = self._ready, self._strategy.take, self._frozen
        for _ in range(len(ready)):
            call = ready.popleft() or take()
            if frozen and (owner := call.owner()) in frozen:
                frozen[owner].append(call)
            elif not call.cancelled():
                self.steps += 1
                call.run()
        if self.steps >= self._look_around_at:
            self._look_around()
        if (intrusion := self._intrusion) is not None:
            self._intrusion = None
            raise intrusion

    def _look_around(self) -> None:
        self._look_around_at = self.steps + LOOK_AROUND_STEPS
        self._looks += 1
        # What was there at the last look is looked at now and then only: a history keeps all that ever happened.
        gc.collect(OLDEST if self._looks % LOOKS_A_FULL_ONE == 0 else YOUNG)
        if self.steps - self._still_from > self.still_steps_max:
            names: list[str] = []
            for _ in range(LIVELOCK_TURNS):  # Two that wake each other are hardly ever ready at once.
                names += self._what_is_ready()
                self._turn()
            self._still_from = self.steps  # Whoever cleans up may try as long.
            raise Livelock(sorted({*names}), list(self._frozen), at_s=self.time(), steps=self.still_steps_max)

    def _what_is_ready(self) -> list[str]:
        steps = [self._strategy.take() for call in self._ready if call is None]
        for step in steps:
            self._strategy.add(step)
        return [call.what() for call in (*steps, *self._ready) if call is not None]

    def _make_ready(self, until_ns: int | None = None) -> bool:
        """Move time to the next timer if nothing is ready, but not beyond a limit, and tell whether anything is."""
        if self._ready or self._intrusion is not None:
            return True
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers or (until_ns is not None and self._timers[0][0] > until_ns):
            return False
        self.now_ns, self._still_from = self._timers[0][0], self.steps
        while self._timers and self._timers[0][0] == self.now_ns:
            self._ready.append(heapq.heappop(self._timers)[2])
        return True

    def _deadlock(self) -> Deadlock:
        waits = sorted(wait_of(task) for task in asyncio.all_tasks(self))
        return Deadlock(waits, list(self._frozen), at_s=self.time())

    def _give_up(self, main: asyncio.Future[Any], until_ns: int, *, within_s: float) -> NoReturn:
        if not self._timers:
            raise self._deadlock()
        self.now_ns = until_ns
        where = wait_of(main) if isinstance(main, asyncio.Task) else repr(main)
        raise TimeoutError(f"not done within {within_s} s: {where}")

    def _surface(self) -> None:
        """Raise what a task or a callback raised for which nobody else waits."""
        if self._failures:
            raise self._failures.pop(0)

    def _root_done(self, task: asyncio.Task[Any]) -> None:
        if task in self._roots:
            del self._roots[task]
            if self._is_driven and not task.cancelled() and (error := task.exception()) is not None:
                self._failures.append(error)

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
        more = {} if context is None else {"context": context}
        if self._task_factory is not None:
            task: asyncio.Task[T] = self._task_factory(self, coro, **more)
            task.set_name(name or task.get_name())
        else:
            self._serial += 1
            task = SimTask(coro, loop=self, name=name, serial=self._serial, **more)
        if _get_running_loop() is None:
            self._roots[task] = None
            task.add_done_callback(self._root_done)
        return task

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

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Hand on an unhandled exception; without a handler it surfaces when the loop is driven, or is logged."""
        error = context.get("exception")
        if self._is_driven and self._exception_handler is None and isinstance(error, BaseException):
            self._failures.append(error)
        else:
            super().call_exception_handler(context)

    call_soon_threadsafe = call_soon  # Every thread but the loop's own is refused.
    run_forever = stop = _refused("running without a goal", instead="use run_until_complete")
    run_in_executor = set_default_executor = _NO_EXECUTORS
    add_signal_handler = remove_signal_handler = _NO_SIGNALS
    subprocess_exec = subprocess_shell = connect_read_pipe = connect_write_pipe = _NO_PROCESSES
    create_connection = create_server = create_unix_connection = create_unix_server = _NO_SOCKETS
    create_datagram_endpoint = connect_accepted_socket = start_tls = sendfile = getaddrinfo = getnameinfo = _NO_SOCKETS
    sock_accept = sock_connect = sock_recv = sock_recv_into = sock_recvfrom = sock_recvfrom_into = _NO_SOCKETS
    sock_sendall = sock_sendto = sock_sendfile = add_reader = add_writer = remove_reader = remove_writer = _NO_SOCKETS


async def _ends_of(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


def run(main: Callable[..., Awaitable[T]], *args: object, strategy: Strategy | None = None) -> T:
    """Run a coroutine function to its end under a fresh loop of virtual time, and return what it returns."""
    options = {"loop_factory": partial(SimLoop, strategy)}
    return anyio.run(main, *args, backend="asyncio", backend_options=options)
