"""The loop is driven from outside, step by step, as the rules of a state machine do."""

from __future__ import annotations

import asyncio
import gc
from asyncio import CancelledError
from collections.abc import Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sim.clock import Deadlock, SimLoop
from sim.loop.strategies import Shuffled

NS_PER_S = 1_000_000_000


@pytest.fixture
def anyio_backend() -> str:
    """Name a backend that nothing here uses: these tests are no coroutines."""
    return "asyncio"


async def note_after(marks: list[str], delay_s: float, mark: str) -> str:
    await anyio.sleep(delay_s)
    marks.append(mark)
    return mark


async def fail_after(delay_s: float, error: BaseException) -> None:
    await anyio.sleep(delay_s)
    raise error


# Advancing.


def test_time_ends_exactly_where_it_was_advanced_to() -> None:
    """With nothing due, or with timers before and after the end, the clock stands at the sum of all advances."""
    loop = SimLoop()
    loop.advance(2.5)
    assert loop.now_ns == 2.5 * NS_PER_S
    loop.call_later(1, int)
    loop.call_later(100, int)
    loop.advance(3)
    loop.advance(0)
    assert loop.now_ns == 5.5 * NS_PER_S
    assert not loop.is_running()
    loop.finish()


def test_what_is_due_at_the_end_runs_and_what_is_due_a_nanosecond_later_does_not() -> None:
    """The end belongs to the advance."""
    loop, marks = SimLoop(), list[str]()
    loop.call_at(1.0, marks.append, "at")
    loop.call_at(1.000000002, marks.append, "after")
    loop.advance(1)
    assert marks == ["at"]
    loop.advance(0.000000002)
    assert marks == ["at", "after"]
    loop.finish()


def test_what_becomes_ready_at_the_end_still_runs() -> None:
    """All consequences within the last instant are part of the advance."""
    loop, marks = SimLoop(), list[str]()

    async def go_on() -> None:
        await anyio.sleep(1)
        for _ in range(10):
            await checkpoint()
        marks.append("through")

    loop.spawn(go_on())
    loop.advance(1)
    assert marks == ["through"]
    loop.finish()


@pytest.mark.parametrize("strategy", [None, Shuffled(1)])
def test_task_groups_events_scopes_and_streams_work_over_many_advances(strategy: Shuffled | None) -> None:
    """Anyio's primitives do in a task of the driven loop what they do elsewhere."""
    loop, marks, event = SimLoop(strategy), list[str](), list[anyio.Event]()

    async def serve() -> None:
        event.append(anyio.Event())
        sender, receiver = anyio.create_memory_object_stream[str](1)
        async with anyio.create_task_group() as group, sender, receiver:
            group.start_soon(note_after, marks, 10, "ten")
            with anyio.move_on_after(5):
                await anyio.sleep_forever()
            marks.append(f"gave up at {anyio.current_time()}")
            await event[0].wait()
            await sender.send("sent")
            marks.append(await receiver.receive())
            with pytest.raises(TimeoutError), anyio.fail_after(1):
                await receiver.receive()
            marks.append(f"failed at {anyio.current_time()}")

    task = loop.create_task(serve())
    loop.advance(7)
    assert marks == ["gave up at 5.0"]
    loop.advance(7)
    assert marks[1:] == ["ten"]
    event[0].set()
    loop.advance(1)
    assert marks[2:] == ["sent", "failed at 15.0"]
    assert task.done()
    loop.finish()


def test_steps_are_counted() -> None:
    """Task steps and callbacks count, cancelled ones do not, and standing still costs nothing."""
    loop = SimLoop()
    loop.call_soon(int)
    loop.call_soon(int).cancel()
    loop.advance(1)
    assert loop.steps == 1

    async def three_steps() -> None:
        await checkpoint()
        await checkpoint()

    loop.settle(three_steps(), within_s=1)
    loop.advance(0)
    assert loop.steps == 1 + 3 + 1  # The last is the loop's own, which hears of the end.
    loop.advance(5)
    assert loop.steps == 5
    loop.finish()


def test_a_task_that_nobody_else_holds_goes_on() -> None:
    """Asyncio holds tasks weakly; the driven loop keeps those that it was given until they end."""
    loop, marks = SimLoop(), list[str]()

    async def wait_for_oneself() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            marks.append("ended")

    loop.spawn(wait_for_oneself())
    loop.advance(1)
    gc.collect()
    assert marks == []
    loop.finish()
    assert marks == ["ended"]


# Errors.


def test_an_error_of_a_task_comes_out_where_time_was_advanced() -> None:
    """It stops time at the moment of the failure; the next advance goes on from there."""
    loop, marks = SimLoop(), list[str]()
    loop.spawn(fail_after(2, ValueError("the reason")))
    loop.spawn(note_after(marks, 3, "later"))
    with pytest.raises(ValueError, match="the reason"):
        loop.advance(5)
    assert loop.now_ns == 2 * NS_PER_S
    loop.advance(1)
    assert marks == ["later"]
    loop.finish()


def test_an_error_of_a_callback_comes_out_too_unless_somebody_handles_it() -> None:
    """A handler that was set gets it, as on any loop."""
    loop, seen = SimLoop(), list[object]()
    loop.call_later(1, int, "no number")
    with pytest.raises(ValueError, match="invalid literal"):
        loop.advance(2)
    loop.set_exception_handler(lambda _loop, context: seen.append(context.get("exception")))
    loop.call_later(1, int, "no number")
    loop.advance(2)
    assert [type(error) for error in seen] == [ValueError]
    loop.finish()


def test_two_errors_of_one_instant_come_out_one_after_the_other() -> None:
    """None is lost."""
    loop = SimLoop()
    for number in (1, 2):
        loop.spawn(fail_after(1, ValueError(f"number {number}")))
    with pytest.raises(ValueError, match="number 1"):
        loop.advance(5)
    with pytest.raises(ValueError, match="number 2"):
        loop.advance(5)
    loop.advance(5)
    loop.finish()


def test_a_cancelled_task_is_no_error() -> None:
    """Whoever cancels a task need not catch anything."""
    loop = SimLoop()
    task = loop.create_task(anyio.sleep_forever())
    loop.advance(1)
    task.cancel()
    loop.advance(1)
    assert task.cancelled()
    loop.finish()


# Settling.


def test_settling_gives_the_result_and_stops_time_there() -> None:
    """Others go on meanwhile, but not beyond the moment at which it is done."""
    loop, marks = SimLoop(), list[str]()
    loop.spawn(note_after(marks, 1, "meanwhile"))
    loop.spawn(note_after(marks, 3, "afterwards"))
    assert loop.settle(note_after(marks, 2, "settled"), within_s=10) == "settled"
    assert loop.now_ns == 2 * NS_PER_S
    assert marks == ["meanwhile", "settled"]
    loop.finish()


def test_settling_a_future_or_a_task_that_runs_already_works_alike() -> None:
    """What is done already costs no step."""
    loop, marks = SimLoop(), list[str]()
    future: asyncio.Future[str] = loop.create_future()
    loop.call_later(1, future.set_result, "set")
    task = loop.create_task(note_after(marks, 5, "ran"))
    assert loop.settle(future, within_s=1) == "set"
    assert loop.settle(task, within_s=4) == "ran"
    steps = loop.steps
    assert loop.settle(future, within_s=0) == "set"
    assert loop.steps == steps
    loop.finish()


def test_the_error_of_what_is_settled_comes_out_once() -> None:
    """The caller has it then, and no later advance raises it again."""
    loop = SimLoop()
    with pytest.raises(ValueError, match="once"):
        loop.settle(fail_after(1, ValueError("once")), within_s=2)
    task = loop.create_task(fail_after(1, ValueError("twice")))
    with pytest.raises(ValueError, match="twice"):
        loop.settle(task, within_s=2)
    loop.advance(10)
    loop.finish()


def test_an_error_of_another_task_comes_out_of_settling() -> None:
    """It does not wait for the next advance."""
    loop = SimLoop()
    loop.spawn(fail_after(1, ValueError("another")))
    with pytest.raises(ValueError, match="another"):
        loop.settle(anyio.sleep(5), within_s=10)
    loop.finish()


def test_settling_gives_up_at_its_limit_and_says_where_it_waits() -> None:
    """Time stands exactly at the limit, and the task goes on afterwards; its error is not lost."""
    loop = SimLoop()
    with pytest.raises(TimeoutError, match=r"not done within 2\.5 s: .*fail_after"):
        loop.settle(fail_after(4, ValueError("late")), within_s=2.5)
    assert loop.now_ns == 2.5 * NS_PER_S
    with pytest.raises(ValueError, match="late"):
        loop.advance(2)
    loop.finish()


def test_settling_what_nobody_can_end_is_a_deadlock() -> None:
    """Nothing is ready and no timer is set: waiting for the limit would tell less."""
    loop = SimLoop()
    with pytest.raises(Deadlock, match="sleep_forever"):
        loop.settle(anyio.sleep_forever(), within_s=10)
    loop.finish()


@pytest.mark.parametrize(
    "drive",
    [
        pytest.param(lambda loop: loop.advance(1), id="advance"),
        pytest.param(lambda loop: loop.settle(loop.create_future(), within_s=1), id="settle"),
    ],
)
def test_a_loop_is_driven_from_outside_only(drive: Callable[[SimLoop], object]) -> None:
    """A task that drives its own loop is refused."""
    loop = SimLoop()

    async def drive_oneself() -> None:
        drive(loop)

    with pytest.raises(RuntimeError, match="another loop is running"):
        loop.settle(drive_oneself(), within_s=1)
    loop.finish()


# The end.


def test_finishing_cancels_what_runs_in_the_order_of_its_start_and_lets_it_end() -> None:
    """Whatever `finally` does still takes its time, and the loop is closed then."""
    loop, marks = SimLoop(), list[str]()

    async def clean_up(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            marks.append(f"cancelled {number}")
            with anyio.CancelScope(shield=True):
                await anyio.sleep(10)
            marks.append(f"clean {number}")

    for number in range(100):
        loop.spawn(clean_up(number))
    loop.advance(1)
    loop.finish()
    assert marks == [*(f"cancelled {number}" for number in range(100)), *(f"clean {number}" for number in range(100))]
    assert loop.now_ns == 11 * NS_PER_S
    assert loop.is_closed()


def test_an_error_while_finishing_comes_out() -> None:
    """All of them, in one group; the loop is closed nevertheless."""
    loop = SimLoop()

    async def break_when_cancelled(error: Exception) -> None:
        try:
            await anyio.sleep_forever()
        except CancelledError:
            raise error from None

    loop.spawn(break_when_cancelled(ValueError("one")))
    loop.spawn(break_when_cancelled(OSError("two")))
    loop.advance(1)
    with pytest.raises(ExceptionGroup) as caught:
        loop.finish()
    assert [str(error) for error in caught.value.exceptions] == ["one", "two"]
    assert loop.is_closed()


class Sleepers(RuleBasedStateMachine):
    """Sleepers of a task group are awake exactly when their time has come."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = SimLoop(Shuffled(1))
        self.now_s = 0
        self.due_s: list[int] = []
        self.awake: list[int] = []
        self.loop.spawn(self.serve())
        self.loop.advance(0)

    async def serve(self) -> None:
        async with anyio.create_task_group() as group:
            self.group = group
            await anyio.sleep_forever()

    async def sleep(self, number: int, delay_s: int) -> None:
        await anyio.sleep(delay_s)
        self.awake.append(number)

    @rule(delay_s=st.integers(0, 20))
    def put_to_sleep(self, delay_s: int) -> None:
        """Start a sleeper through a task that runs already."""

        async def start() -> None:
            self.group.start_soon(self.sleep, len(self.due_s), delay_s)

        self.loop.settle(start(), within_s=0)
        self.due_s.append(self.now_s + delay_s)
        self.loop.advance(0)

    @rule(for_s=st.integers(0, 30))
    def let_time_pass(self, for_s: int) -> None:
        """Advance the loop."""
        self.loop.advance(for_s)
        self.now_s += for_s

    @invariant()
    def only_the_due_are_awake(self) -> None:
        """Nobody oversleeps, and nobody is woken early."""
        assert sorted(self.awake) == [number for number, due_s in enumerate(self.due_s) if due_s <= self.now_s]
        assert self.loop.now_ns == self.now_s * NS_PER_S

    def teardown(self) -> None:
        """End the loop."""
        self.loop.finish()


def test_a_state_machine_drives_the_loop() -> None:
    """Synchronous rules start tasks and advance time; after each the world is where it should be."""
    run_state_machine_as_test(Sleepers)
