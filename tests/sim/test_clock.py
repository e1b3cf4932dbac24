"""Virtual time: it never waits, keeps deadlines, and runs tasks and callbacks as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import math
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import Context, ContextVar
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from sim.clock import SWEEP_MIN, SimLoop, run
from sim.loop.steps import Call, Step

HOUR_S = 3600.0
NS_PER_S = 1_000_000_000
PLACE: ContextVar[str] = ContextVar("PLACE", default="here")
ROUNDING_S = 1e-8
"""More than the nanosecond's rounding and that of a float of some hours together."""

delays_s = st.floats(min_value=0, max_value=HOUR_S, allow_nan=False, allow_subnormal=True)


@pytest.fixture
async def event_set_after_an_hour() -> AsyncIterator[anyio.Event]:
    """An asynchronous fixture with a task of its own, as anyio's plugin runs them on the test's loop."""
    event = anyio.Event()

    async def set_later() -> None:
        await anyio.sleep(HOUR_S)
        event.set()

    async with anyio.create_task_group() as group:
        group.start_soon(set_later)
        yield event
        group.cancel_scope.cancel()


class Newest:
    """A strategy for these tests: the task that became ready last goes first."""

    def __init__(self) -> None:
        steps: list[Step] = []
        self.add, self.take = steps.append, steps.pop


def loop_running() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


# Time.


@pytest.mark.anyio
async def test_an_hours_sleep_takes_an_hour_of_virtual_time_only() -> None:
    """The clock stands at exactly one hour afterwards; the test's time limit proves that nobody waited."""
    await anyio.sleep(HOUR_S)
    assert anyio.current_time() == HOUR_S


@pytest.mark.anyio
async def test_fixtures_run_on_the_loop_of_their_test(event_set_after_an_hour: anyio.Event) -> None:
    """One virtual clock drives asynchronous fixtures and the test under the pytest plugin of anyio."""
    await event_set_after_an_hour.wait()
    assert anyio.current_time() == HOUR_S


@given(start_s=delays_s, delay_s=delays_s)
def test_a_timer_fires_in_the_first_nanosecond_that_is_not_too_early(start_s: float, delay_s: float) -> None:
    """Deadlines are rounded up, never down, and by less than a nanosecond."""

    async def main() -> None:
        await anyio.sleep(start_s)
        loop, fired_ns = loop_running(), list[int]()
        before_ns, due_s = loop.now_ns, loop.time() + delay_s
        loop.call_at(due_s, lambda: fired_ns.append(loop.now_ns))
        await anyio.sleep(delay_s + 1)
        assert fired_ns[0] / NS_PER_S >= due_s
        assert fired_ns[0] == before_ns or (fired_ns[0] - 1) / NS_PER_S < due_s

    run(main)


@given(
    start_s=delays_s,
    tries=st.lists(st.tuples(delays_s, delays_s | st.just(math.inf)), min_size=1, max_size=8),
)
def test_move_on_after_keeps_every_deadline(start_s: float, tries: list[tuple[float, float]]) -> None:
    """Whatever the deadlines, each scope ends when its own is reached or its work is done, and no timer spins."""

    async def attempt(deadline_s: float, work_s: float) -> None:
        began_s = anyio.current_time()
        with anyio.move_on_after(deadline_s) as scope:
            await anyio.sleep(work_s)
        took_s = anyio.current_time() - began_s
        assert took_s == pytest.approx(min(deadline_s, work_s), abs=ROUNDING_S)
        assert anyio.current_time() >= began_s + min(deadline_s, work_s)
        if abs(deadline_s - work_s) > ROUNDING_S:
            assert scope.cancelled_caught == (deadline_s < work_s)

    async def main() -> None:
        await anyio.sleep(start_s)
        async with anyio.create_task_group() as group:
            for deadline_s, work_s in tries:
                group.start_soon(attempt, deadline_s, work_s)

    class Counting(SimLoop):
        """Fails when timers are armed again and again instead of firing."""

        armed = 0

        def call_at(
            self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
        ) -> Call:
            self.armed += 1
            if self.armed > 10 * (len(tries) + 1):
                raise AssertionError("a timer spins")
            return super().call_at(when, callback, *args, context=context)

    anyio.run(main, backend_options={"loop_factory": Counting})


@given(delays=st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0, HOUR_S]), max_size=20))
def test_timers_fire_by_deadline_and_equal_ones_first_in_first_out(delays: list[float]) -> None:
    """The order of timers is that of a stable sort by deadline."""

    async def main() -> None:
        loop, fired = loop_running(), list[int]()
        for number, delay_s in enumerate(delays):
            loop.call_later(delay_s, fired.append, number)
        await anyio.sleep(2 * HOUR_S)
        assert fired == sorted(range(len(delays)), key=delays.__getitem__)

    run(main)


@given(fates=st.binary(min_size=120, max_size=240).map(lambda drawn: [byte % 4 > 0 for byte in drawn]))
def test_cancelled_timers_never_fire_and_the_others_all_do_in_order(fates: list[bool]) -> None:
    """Sweeping cancelled timers out of the heap neither loses nor reorders the others."""

    async def main() -> None:
        loop, fired = loop_running(), list[int]()
        due_s = [number * 7 % len(fates) + 1 for number in range(len(fates))]
        timers = [loop.call_later(due_s[number], fired.append, number) for number in range(len(fates))]
        for timer, is_cancelled in zip(timers, fates, strict=True):
            if is_cancelled:
                timer.cancel()
        await anyio.sleep(HOUR_S)
        assert fired == sorted((n for n, is_cancelled in enumerate(fates) if not is_cancelled), key=due_s.__getitem__)

    run(main)


@pytest.mark.anyio
async def test_what_is_cancelled_while_it_is_ready_does_not_run() -> None:
    """A callback may cancel another that is ready at the same instant, be it a timer or not."""
    loop, marks, doomed = loop_running(), list[str](), list[Call]()

    def cancel() -> None:
        doomed.pop().cancel()

    loop.call_later(1, cancel)
    doomed.append(loop.call_later(1, marks.append, "timer"))
    await anyio.sleep(2)
    loop.call_soon(cancel)
    doomed.append(loop.call_soon(marks.append, "call"))
    await anyio.sleep(2)
    assert marks == doomed == []


@pytest.mark.anyio
async def test_timers_of_one_instant_run_before_what_they_make_ready() -> None:
    """All timers of an instant become ready together."""
    loop, marks = loop_running(), list[str]()
    loop.call_later(1, loop.call_soon, marks.append, "consequence")
    loop.call_later(1, marks.append, "timer")
    await anyio.sleep(2)
    assert marks == ["timer", "consequence"]


@pytest.mark.anyio
async def test_timeouts_that_were_not_reached_do_not_pile_up() -> None:
    """Thousands of calls, each within a long timeout, leave a bounded number of timers behind."""
    loop = loop_running()
    timers: weakref.WeakSet[Call] = weakref.WeakSet()
    for number in range(5000):
        timer = loop.call_later(HOUR_S + number, print)
        timers.add(timer)
        timer.cancel()
    assert len(timers) < 5 * SWEEP_MIN


# Tasks.


@pytest.mark.anyio
async def test_a_failing_task_cancels_its_group_and_its_error_comes_out() -> None:
    """Structured concurrency works as on any loop, in the instant of the failure."""

    async def fail() -> None:
        await anyio.sleep(2)
        raise ValueError("the reason")

    cancelled_at_s = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled_at_s.append(anyio.current_time())

    async def work_together() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
            group.start_soon(fail)

    with pytest.raises(ExceptionGroup) as caught:
        await work_together()
    assert [str(error) for error in caught.value.exceptions] == ["the reason"]
    assert cancelled_at_s == [2, 2]


@pytest.mark.anyio
async def test_a_shielded_scope_finishes_its_work_after_its_parent_was_cancelled() -> None:
    """Time goes on while anyio keeps trying to cancel a task that is not to be cancelled yet."""
    with anyio.move_on_after(1):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(HOUR_S)
    assert anyio.current_time() == 1 + HOUR_S


def order_of_work(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> list[str]:
    """Let tasks, callbacks and timers leave their marks."""
    marks: list[str] = []

    async def work(name: str) -> None:
        for step in range(3):
            marks.append(f"{name}{step}")
            await checkpoint()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(work, f"task{number}:")
                loop.call_soon(marks.append, f"call{number}")

    anyio.run(main, backend_options={"loop_factory": loop_factory})
    return marks


def test_ready_tasks_and_callbacks_take_turns_as_on_asyncios_own_loop() -> None:
    """By default the order is first in first out over tasks and callbacks together."""
    assert order_of_work(SimLoop) == order_of_work(asyncio.new_event_loop)


def test_a_strategy_moves_task_steps_and_leaves_callbacks_in_their_places() -> None:
    """Another strategy permutes the tasks' steps among the tasks' turns, and nothing else."""
    fifo, newest = order_of_work(SimLoop), order_of_work(partial(SimLoop, Newest()))
    assert newest != fifo
    assert sorted(newest) == sorted(fifo)
    assert [mark for mark in newest if mark.startswith("call")] == ["call0", "call1", "call2"]


@pytest.mark.anyio
async def test_a_task_factory_makes_the_tasks() -> None:
    """A factory, once set, is handed the coroutine and the context, and the task still gets its name."""
    loop, made, contexts = loop_running(), list[str](), list[Context | None]()

    def factory(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, None], *, context: Context | None = None
    ) -> asyncio.Task[None]:
        made.append(repr(coro))
        contexts.append(context)
        return asyncio.Task(coro, loop=loop, context=context)

    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    elsewhere = Context()
    task = loop.create_task(anyio.sleep(1), name="sleeper", context=elsewhere)
    await task
    assert task.get_name() == "sleeper"
    assert [coro.split()[2] for coro in made] == ["sleep"]
    assert contexts[0] is elsewhere


@pytest.mark.anyio
async def test_callbacks_timers_and_tasks_run_in_the_context_they_were_given() -> None:
    """Context variables follow the work, as on any loop."""
    loop, seen = loop_running(), list[str]()

    def look() -> None:
        seen.append(PLACE.get())

    async def look_later() -> None:
        look()

    elsewhere = Context()
    elsewhere.run(PLACE.set, "elsewhere")
    loop.call_soon(look)
    loop.call_soon(look, context=elsewhere)
    loop.call_later(1, look, context=elsewhere)
    await anyio.sleep(2)
    await loop.create_task(look_later(), context=elsewhere)
    assert seen == ["here", "elsewhere", "elsewhere", "elsewhere"]


def test_running_until_a_future_is_done_lets_its_callbacks_see_it_and_leaves_no_trace() -> None:
    """The future's callbacks have run and the interpreter's hooks are as before when the result comes back."""
    loop, seen, hooks = SimLoop(), list[str](), sys.get_asyncgen_hooks()
    future: asyncio.Future[str] = loop.create_future()
    loop.call_later(1, future.set_result, "done")
    future.add_done_callback(lambda future: seen.append(future.result()))
    assert loop.run_until_complete(future) == "done"
    assert seen == ["done"]
    assert sys.get_asyncgen_hooks() == hooks
    loop.close()


@pytest.mark.parametrize("is_debug", [False, True])
def test_unfinished_generators_are_closed_when_the_loop_ends(*, is_debug: bool) -> None:
    """What a generator does in its `finally` is not lost, whether it was dropped at once or kept until the end."""
    closed: list[str] = []
    kept: list[AsyncIterator[int]] = []

    async def count(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await checkpoint()
            closed.append(name)

    async def main() -> None:
        for name in ("first kept", "second kept"):
            kept.append(count(name))
            await anext(kept[-1])
        await anext(count("dropped"))
        await anyio.sleep(1)

    anyio.run(main, backend_options={"loop_factory": SimLoop, "debug": is_debug})
    assert closed == ["dropped", "first kept", "second kept"]
