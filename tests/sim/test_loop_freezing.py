"""A simulated process stands still while all others go on, and takes up its work where it left it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from sim.clock import OWNER, Deadlock, SimLoop, run
from sim.loop.strategies import Fifo, Pct, Shuffled, Strategy
from tests.sim.loop_programs import loop_running

STRATEGIES = [
    pytest.param(Fifo, id="fifo"),
    *(pytest.param(lambda make=make: make(1), id=make.__name__) for make in (Shuffled, Pct)),
]


def start(loop: SimLoop, owner: str, function: Callable[..., Any], *args: object) -> None:
    """Start a process's first task."""
    loop.spawn(function(*args), name=owner, owner=owner)


async def tick(marks: list[str], name: str) -> None:
    """Leave a mark every second."""
    while True:
        await anyio.sleep(1)
        marks.append(f"{name} {anyio.current_time():.0f}")


async def work(marks: list[str], name: str, steps: int) -> None:
    """Leave marks without waiting."""
    for step in range(steps):
        marks.append(f"{name} {step}")
        await checkpoint()


@pytest.mark.parametrize("make", STRATEGIES)
def test_a_frozen_process_stands_still_while_time_goes_on_for_others(make: Callable[[], Strategy]) -> None:
    """Its timer comes due meanwhile and fires once it is thawed; it is told how much had been held."""
    loop, marks = SimLoop(make()), list[str]()
    for owner in ("h1", "h2"):
        start(loop, owner, tick, marks, owner)
    loop.advance(1)
    loop.freeze("h1")
    loop.advance(3)
    assert sorted(marks[:2]) == ["h1 1", "h2 1"]
    assert marks[2:] == ["h2 2", "h2 3", "h2 4"]
    assert loop.thaw("h1") == 1
    loop.advance(0)
    assert marks[5:] == ["h1 4"]
    loop.advance(1)
    assert sorted(marks[6:]) == ["h1 5", "h2 5"]
    assert loop.thaw("h1") == 0
    loop.finish()


@pytest.mark.parametrize("make", STRATEGIES)
def test_steps_that_were_ready_already_are_held_too(make: Callable[[], Strategy]) -> None:
    """Freezing takes effect at once, also from within a step, on what the strategy has taken in before."""
    loop, marks = SimLoop(make()), list[str]()

    async def freeze_all() -> None:
        loop.freeze("h1")

    loop.settle(freeze_all(), within_s=0)
    loop.thaw("h1")
    for _ in range(3):
        start(loop, "h1", work, marks, "h1", 3)
    loop.spawn(work(marks, "free", 3))
    loop.freeze("h1")
    loop.advance(1)
    assert marks == ["free 0", "free 1", "free 2"]
    assert loop.thaw("h1") == 3
    loop.advance(0)
    assert sorted(marks[3:]) == sorted(f"h1 {step}" for step in range(3) for _ in range(3))
    loop.finish()


def test_freezing_from_a_step_holds_what_would_have_come_next_in_this_instant() -> None:
    """Another process's step may stop a process between two of its steps of one moment."""
    loop, marks = SimLoop(), list[str]()

    async def stop_in_between() -> None:
        await checkpoint()
        loop.freeze("h1")
        marks.append("stopped")

    start(loop, "h2", stop_in_between)
    start(loop, "h1", work, marks, "h1", 5)
    loop.advance(1)
    assert marks == ["h1 0", "stopped"]
    loop.thaw("h1")
    loop.advance(0)
    assert marks[2:] == ["h1 1", "h1 2", "h1 3", "h1 4"]
    loop.finish()


def test_what_was_held_is_thawed_in_its_old_order() -> None:
    """Steps, callbacks and timers come in the order in which they would have come."""
    loop, marks = SimLoop(Shuffled(3)), list[str]()

    def prepare() -> None:
        for number in range(4):
            loop.call_later(number + 1, marks.append, f"timer {number}")
        loop.call_soon(marks.append, "callback")

    context = Context()
    context.run(OWNER.set, "h1")
    context.run(prepare)
    start(loop, "h1", work, marks, "step", 1)
    loop.freeze("h1")
    loop.advance(10)
    assert marks == []
    loop.thaw("h1")
    loop.advance(0)
    assert marks == ["callback", "step 0", *(f"timer {number}" for number in range(4))]
    loop.finish()


def test_all_that_a_process_starts_belongs_to_it() -> None:
    """Tasks of its groups inherit the owner, at every depth, and so do tasks that others wake."""
    loop, marks, events = SimLoop(), list[str](), list[anyio.Event]()

    async def wait() -> None:
        events.append(anyio.Event())
        await events[0].wait()
        marks.append("woken")

    async def serve() -> None:
        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            outer.start_soon(tick, marks, "outer")
            inner.start_soon(tick, marks, "inner")
            inner.start_soon(wait)

    start(loop, "h1", serve)
    loop.advance(0.5)
    loop.freeze("h1")
    events[0].set()
    loop.advance(3)
    assert marks == []
    loop.thaw("h1")
    loop.advance(0)
    assert marks[0] == "woken"
    assert sorted(marks[1:]) == ["inner 4", "outer 4"] or sorted(marks[1:]) == ["inner 3", "outer 3"]
    loop.finish()


def test_a_deadline_that_passes_in_a_frozen_process_is_met_when_it_is_thawed() -> None:
    """Anyio cancels again and again until a task obeys: a frozen one's scope must not keep the instant from ending."""
    loop, marks = SimLoop(), list[str]()

    async def give_up() -> None:
        with anyio.move_on_after(1):
            await anyio.sleep_forever()
        marks.append(f"gave up at {anyio.current_time()}")

    start(loop, "h1", give_up)
    loop.advance(0)
    loop.freeze("h1")
    loop.advance(5)
    assert marks == []
    loop.thaw("h1")
    loop.advance(0)
    assert marks == ["gave up at 5.0"]
    loop.finish()


def test_a_deadlock_names_who_is_frozen() -> None:
    """Who forgot to thaw a process reads it in the report."""

    async def main() -> None:
        async with anyio.create_task_group() as group:
            context = Context()
            context.run(OWNER.set, "h1")
            _ = context.run(group.start_soon, tick, [], "h1")
            await anyio.sleep(2)
            loop_running().freeze("h1")

    with pytest.raises(Deadlock, match="Frozen, until they are thawed: h1"):
        run(main)


def test_finishing_thaws() -> None:
    """A loop that was driven ends whoever is frozen."""
    loop, marks = SimLoop(), list[str]()

    async def clean_up() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            marks.append("clean")

    start(loop, "h1", clean_up)
    loop.advance(1)
    loop.freeze("h1")
    loop.finish()
    assert marks == ["clean"]


def test_what_has_no_owner_cannot_be_frozen() -> None:
    """The simulator itself must go on."""
    loop = SimLoop()
    with pytest.raises(AssertionError, match="no owner"):
        loop.freeze("")
    loop.finish()


@given(seed=st.integers(0, 100), from_s=st.integers(0, 5), for_s=st.integers(1, 5))
def test_freezing_one_process_changes_nothing_for_the_others(seed: int, from_s: int, for_s: int) -> None:
    """Processes that do not talk to it take the same steps at the same times as if it had never stood still."""

    def others(*, is_frozen: bool) -> list[str]:
        loop, marks = SimLoop(Shuffled(seed)), list[str]()

        async def live(owner: str) -> None:
            while True:
                async with anyio.create_task_group() as group:
                    for number in range(3):
                        group.start_soon(work, marks, f"{owner} {number}", 2, name=f"{number}")
                await anyio.sleep(1)
                marks.append(f"{owner} {anyio.current_time()}")

        for owner in ("h1", "h2", "h3"):
            start(loop, owner, live, owner)
        loop.advance(from_s)
        if is_frozen:
            loop.freeze("h1")
        loop.advance(for_s)
        loop.thaw("h1")
        loop.advance(5)
        loop.finish()
        return [mark for mark in marks if not mark.startswith("h1")]

    assert others(is_frozen=True) == others(is_frozen=False)
