"""What every clock, every source of ids and every source of chance promises, run over each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from actors.kernel.ports import Clock, Ids, Random
from actors.ops.system import SystemClock, SystemIds, SystemRandom
from sim.clock import SimLoop
from sim.ports import SeededRandom, SerialIds, VirtualClock

pytestmark = pytest.mark.anyio

YEAR_2020_US: Final = 1_577_836_800_000_000
MANY: Final = 10_000
CLOCKS: Final[dict[str, Callable[[], Clock]]] = {"virtual": VirtualClock, "system": SystemClock}
IDS: Final[dict[str, Callable[[], Ids]]] = {"serial": SerialIds, "system": SystemIds}
CHANCE: Final[dict[str, Callable[[], Random]]] = {"seeded": lambda: SeededRandom(7), "system": SystemRandom}


@pytest.fixture(params=sorted(CLOCKS))
def kind(request: pytest.FixtureRequest) -> str:
    """Which clock the test reads."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> tuple[str, dict[str, Any]]:
    """Read the virtual clock where its time passes."""
    return "asyncio", {"loop_factory": SimLoop} if kind == "virtual" else {}


async def test_a_clock_tells_whole_microseconds_since_1970(kind: str) -> None:
    """An integer of the right unit: seconds or nanoseconds would be far off."""
    now_us = CLOCKS[kind]().now_us()
    assert type(now_us) is int
    assert YEAR_2020_US < now_us < 3 * YEAR_2020_US


@pytest.mark.parametrize("made", IDS.values(), ids=IDS.keys())
def test_ids_are_sixteen_bytes_rise_and_never_repeat(made: Callable[[], Ids]) -> None:
    """What is made later sorts later, so that ids tell their order."""
    ids = made()
    given = [ids.new() for _ in range(MANY)]
    assert {len(each) for each in given} == {16}
    assert len(set(given)) == MANY
    assert given == sorted(given)


@pytest.mark.parametrize("made", CHANCE.values(), ids=CHANCE.keys())
def test_chance_is_even_from_zero_to_below_one(made: Callable[[], Random]) -> None:
    """Every draw is in the range, and no tenth of it is left out or favoured."""
    chance = made()
    drawn = [chance.uniform() for _ in range(MANY)]
    assert all(0.0 <= each < 1.0 for each in drawn)
    tenths = [sum(int(each * 10) == tenth for each in drawn) for tenth in range(10)]
    assert all(MANY / 10 * 0.8 < count < MANY / 10 * 1.2 for count in tenths), tenths
