"""Which task goes next: at random or by priority, as the seed says, each task for itself, and none starves."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from sim.clock import SimLoop, run
from sim.loop.strategies import PATIENCE, Fifo, Pct, Shuffled, Strategy, strategy_of
from tests.sim.loop_programs import loop_running

SEEDS: Final = 200
NAMES: Final = ("a", "b", "c")
RANDOM: Final = (Shuffled, Pct)

names = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=6)


def steps_of(strategy: Strategy, names: list[str], *, steps: int = 5) -> list[tuple[int, str]]:
    """Give the order in which tasks of these names take their steps; the number tells namesakes apart."""
    order: list[tuple[int, str]] = []

    async def work(number: int, name: str) -> None:
        for _ in range(steps):
            order.append((number, name))
            await checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number, name in enumerate(names):
                group.start_soon(work, number, name, name=name)

    run(main, strategy=strategy)
    return order


@pytest.mark.parametrize("make", RANDOM)
def test_a_seed_gives_one_order_and_another_seed_another(make: Callable[[int], Strategy]) -> None:
    """The order is decided by the seed, and not by the strategy object or the loop."""
    orders = [steps_of(make(seed), list(NAMES)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("make", RANDOM)
def test_every_order_of_three_tasks_comes_up(make: Callable[[int], Strategy]) -> None:
    """Over many seeds each of the six orders is taken about equally often."""
    firsts = ["".join(name for _, name in steps_of(make(seed), list(NAMES), steps=1)) for seed in range(SEEDS * 3)]
    counts = {order: firsts.count(order) for order in firsts}
    assert len(counts) == 6
    assert min(counts.values()) > SEEDS * 3 / 6 / 2


@given(seed=st.integers(0, 1000), some=names, more=names)
def test_a_tasks_draws_do_not_depend_on_what_others_do(seed: int, some: list[str], more: list[str]) -> None:
    """Take the others away, and those that are left take their steps in the same order."""
    alone = steps_of(Shuffled(seed), some)
    together = steps_of(Shuffled(seed), [*some, *more])
    assert [step for step in together if step[0] < len(some)] == alone


def test_namesakes_and_tasks_without_a_name_draw_for_themselves() -> None:
    """Tasks of one name do not go in lockstep, whether it was given or comes from what they run."""
    orders: list[list[int]] = []

    async def work(number: int) -> None:
        for _ in range(5):
            orders[-1].append(number)
            await checkpoint()

    async def main() -> None:
        tasks = [loop_running().create_task(work(number)) for number in range(3)]
        for task in tasks:
            await task

    for seed in range(20):
        orders.append([])
        run(main, strategy=Shuffled(seed))
    assert len({tuple(order) for order in orders}) > 10
    namesakes = {tuple(steps_of(Shuffled(seed), ["a", "a"])) for seed in range(20)}
    assert len(namesakes) > 10


def lost_update(strategy: Strategy) -> bool:
    """Have two tasks add to one number, each reading and writing in two steps, at other times as the code stands."""
    number = 0

    async def add(after_steps: int) -> None:
        nonlocal number
        for _ in range(after_steps):
            await checkpoint()
        read = number
        await checkpoint()
        number = read + 1

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(add, 0, name="early")
            group.start_soon(add, 5, name="late")

    run(main, strategy=strategy)
    return number == 1


def test_a_race_that_first_in_first_out_hides_is_found() -> None:
    """The early task is held up over the late one's reading, by either random strategy in some of the seeds."""
    assert not lost_update(Fifo())
    assert any(lost_update(Shuffled(seed)) for seed in range(SEEDS))
    assert any(lost_update(Pct(seed)) for seed in range(SEEDS))


def switches(strategy: Strategy) -> int:
    """Count how often another task than before goes, of two that take a thousand steps each."""
    order = steps_of(strategy, ["a", "b"], steps=1000)
    return sum(one != other for one, other in pairwise(order))


def test_priorities_hold_a_task_up_for_long_and_change_seldom() -> None:
    """Under Pct one runs far ahead of the other, where Shuffled lets them take turns; its depth says how often."""
    served_out_of_turn = 2 * 1000 // PATIENCE
    for seed in range(10):
        assert switches(Shuffled(seed)) > 300
        assert switches(Pct(seed, depth=0)) <= served_out_of_turn + 1
    never, seldom, often = (sum(switches(Pct(seed, depth=depth)) for seed in range(20)) for depth in (0, 3, 50))
    assert never < seldom < often < 20 * 300


@pytest.mark.parametrize("make", [*RANDOM, partial(Pct, depth=0)])
@pytest.mark.parametrize("seed", range(10))
def test_a_task_that_polls_does_not_starve_the_one_it_waits_for(make: Callable[[int], Strategy], seed: int) -> None:
    """Whatever their priorities, the flag is set in the end, and no step waits for ever behind the polling."""

    async def main() -> None:
        loop_running().still_steps_max = 50_000
        flags = dict.fromkeys(range(5), False)

        async def poll(number: int) -> None:
            while not all(flags.values()):
                await checkpoint()
            assert number < len(flags)

        async def set_flag(number: int) -> None:
            for _ in range(5):
                await checkpoint()
            flags[number] = True

        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(poll, number, name=f"poll {number}")
                group.start_soon(set_flag, number, name=f"set {number}")

    run(main, strategy=make(seed))


@pytest.mark.parametrize("strategy", ["fifo", "shuffled", "pct"])
@pytest.mark.parametrize("seed", range(10))
def test_cancellation_comes_through_beside_tasks_that_keep_polling(strategy: str, seed: int) -> None:
    """Anyio's callback that cancels again and again is neither starved nor starves what must run first."""

    async def main() -> None:
        loop_running().still_steps_max = 50_000
        is_over = False

        async def clean_up_slowly() -> None:
            nonlocal is_over
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    for _ in range(50):
                        await checkpoint()
                is_over = True

        async def poll() -> None:
            while not is_over:
                await checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(poll, name="poll")
            async with anyio.create_task_group() as cancelled:
                for number in range(3):
                    cancelled.start_soon(clean_up_slowly, name=f"clean {number}")
                for _ in range(50):
                    await checkpoint()
                cancelled.cancel_scope.cancel()

    run(main, strategy=strategy_of(strategy, seed))


def test_tasks_that_a_factory_makes_are_permuted_like_the_others() -> None:
    """Their draws are kept on asyncio's own kind of task too."""

    async def main() -> list[int]:
        loop, order = loop_running(), list[int]()
        loop.set_task_factory(lambda loop, coro, **more: asyncio.Task(coro, loop=loop, **more))

        async def work(number: int) -> None:
            order.append(number)
            await checkpoint()

        for task in [loop.create_task(work(number), name=f"task {number}") for number in range(5)]:
            await task
        return order

    orders = [run(main, strategy=make(seed)) for make in RANDOM for seed in range(5)]
    assert len({tuple(order) for order in orders}) > 5


@pytest.mark.parametrize("make", RANDOM)
def test_a_strategy_holds_no_step_that_it_gave_up(make: Callable[[int], Strategy]) -> None:
    """Long runs do not pile up the tasks that have ended, also not those that were served out of turn."""
    ended: list[weakref.ref[asyncio.Task[None]]] = []
    strategies = [make(seed) for seed in range(10)]

    async def work() -> None:
        for _ in range(PATIENCE):
            await checkpoint()

    async def main() -> None:
        for _ in range(10):
            tasks = [loop_running().create_task(work()) for _ in range(10)]
            ended.extend(map(weakref.ref, tasks))
            for task in tasks:
                await task

    for strategy in strategies:
        run(main, strategy=strategy)
    gc.collect()
    assert {task() for task in ended} == {None}
    assert len(strategies) == 10


def test_first_in_first_out_is_what_runs_unless_another_is_asked_for() -> None:
    """Tests of the product are not permuted by surprise; a loop is made with its strategy."""
    order: list[int] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(checkpoint)
                loop_running().call_soon(order.append, number)

    run(main)
    assert order == list(range(50))
    assert isinstance(strategy_of("fifo", 1), Fifo)
    with pytest.raises(ValueError, match="no strategy is called best"):
        strategy_of("best", 1)
    SimLoop(Shuffled(1)).close()
