"""What a simulated process gets for its ports: the same values in every run."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel.ports import Clock, Ids, Random
from sim.clock import NotSimulated, run
from sim.ports import EPOCH_US, SeededRandom, SerialIds, VirtualClock


def test_the_wall_clock_follows_virtual_time() -> None:
    """It starts at a fixed epoch in every run and moves with the loop."""

    async def main() -> tuple[int, int]:
        clock: Clock = VirtualClock()
        before_us = clock.now_us()
        await anyio.sleep(3600)
        return before_us, clock.now_us()

    assert run(main) == run(main) == (EPOCH_US, EPOCH_US + 3600 * 1_000_000)


def test_the_wall_clock_refuses_a_real_loop() -> None:
    """Real time must not leak into what is meant to be repeatable."""

    async def main() -> int:
        return VirtualClock().now_us()

    with pytest.raises(NotSimulated, match="real Clock"):
        anyio.run(main)


def test_ids_rise_and_repeat_in_every_run() -> None:
    """Ids are 16 bytes, strictly rising, and the same from each fresh instance."""
    ids: Ids = SerialIds()
    again = SerialIds()
    first = [ids.new() for _ in range(1000)]
    assert first == [again.new() for _ in range(1000)]
    assert first == sorted(set(first))
    assert {len(each) for each in first} == {16}


@given(seed=st.integers())
def test_random_numbers_are_decided_by_the_seed(seed: int) -> None:
    """Equal seeds give equal sequences within [0, 1)."""
    numbers: Random = SeededRandom(seed)
    again = SeededRandom(seed)
    drawn = [numbers.uniform() for _ in range(50)]
    assert drawn == [again.uniform() for _ in range(50)]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= number < 1 for number in drawn)


def test_random_numbers_are_even() -> None:
    """Each tenth of [0, 1) gets about its share, and another seed gives other numbers."""
    numbers = SeededRandom(1)
    drawn = [numbers.uniform() for _ in range(10_000)]
    shares = [sum(1 for number in drawn if int(number * 10) == tenth) for tenth in range(10)]
    assert shares == pytest.approx([len(drawn) / 10] * 10, rel=0.15)
    assert drawn[0] != SeededRandom(2).uniform()
