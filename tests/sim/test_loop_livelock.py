"""What keeps time from moving for ever is ended with an error that names it."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from sim.clock import LOOK_AROUND_STEPS, Livelock, SimLoop, run
from sim.loop.strategies import Pct, Shuffled, Strategy
from tests.sim.loop_programs import loop_running

LIMIT = 2 * LOOK_AROUND_STEPS


@pytest.mark.parametrize("strategy", [None, Shuffled(1), Pct(1)])
def test_tasks_that_spin_are_named(strategy: Strategy | None) -> None:
    """The error says when, and who runs; who waits in peace is not blamed."""

    async def spin() -> None:
        while True:
            await checkpoint()

    async def main() -> None:
        loop_running().still_steps_max = LIMIT
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 5, name="waits in peace")
            await anyio.sleep(1)
            group.start_soon(spin, name="spinner")
            group.start_soon(spin, name="other spinner")

    with pytest.raises(Livelock) as caught:
        run(main, strategy=strategy)
    report = str(caught.value)
    assert f"{LIMIT} steps at 1.000000000 s" in report
    assert "- other spinner\n- spinner" in report
    assert "peace" not in report


def test_two_tasks_that_wake_each_other_are_both_named() -> None:
    """At any moment only one of them is ready."""

    async def hit(ball: list[asyncio.Event], side: int) -> None:
        while True:
            await ball[side].wait()
            ball[side] = asyncio.Event()
            ball[1 - side].set()

    async def main() -> None:
        loop_running().still_steps_max = LIMIT
        ball = [asyncio.Event(), asyncio.Event()]
        ball[0].set()
        async with anyio.create_task_group() as group:
            group.start_soon(hit, ball, 0, name="ping")
            group.start_soon(hit, ball, 1, name="pong")

    with pytest.raises(Livelock, match="- ping\n- pong"):
        run(main)


def test_a_callback_that_calls_itself_is_named() -> None:
    """Not only tasks can spin."""
    loop = SimLoop()
    loop.still_steps_max = LIMIT

    def again() -> None:
        loop.call_soon(again)

    again()
    with pytest.raises(Livelock, match="again"):
        loop.advance(1)
    assert LIMIT < loop.steps < LIMIT + 2 * LOOK_AROUND_STEPS
    loop.close()


def test_a_frozen_process_that_is_cancelled_from_outside_is_named() -> None:
    """Anyio would cancel it again and again, and it cannot obey: thaw it first."""
    loop, scopes = SimLoop(), list[anyio.CancelScope]()
    loop.still_steps_max = LIMIT

    async def live() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await anyio.sleep_forever()

    async def kill() -> None:
        scopes[0].cancel()

    loop.spawn(live(), owner="h1")
    loop.advance(1)
    loop.freeze("h1")
    loop.spawn(kill())
    with pytest.raises(Livelock, match=r"_deliver_cancellation\nFrozen, until they are thawed: h1"):
        loop.advance(1)
    loop.finish()


def test_much_work_is_no_livelock_as_long_as_time_moves() -> None:
    """The count begins anew with every instant, and whenever the loop is driven on."""

    async def work(turns: int) -> None:
        for _ in range(turns):
            await checkpoint()

    async def main() -> None:
        loop_running().still_steps_max = LIMIT
        for _ in range(5):
            await work(LIMIT - LOOK_AROUND_STEPS)
            await anyio.sleep(0.001)

    run(main)
    loop = SimLoop()
    loop.still_steps_max = LIMIT
    for _ in range(5):
        loop.settle(work(LIMIT - LOOK_AROUND_STEPS), within_s=0)
    loop.finish()
