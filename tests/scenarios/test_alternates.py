"""A target that refuses, or is not there at all, costs one attempt: the next one is tried, and nothing waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
#: h2 has most room, so that it is chosen first; h3 is in its cell, h4 in another.
HOSTS: Final = {"h1": "api!c1", "h2": "api!c2", "h3": "api!c2", "h4": "api!c3"}
ROOM_MB: Final = {"h3": 16_000, "h4": 8_000}
SOON_NS: Final = 180 * 1_000_000_000
LONG_S: Final = 3 * 3600.0


@STAGES
@pytest.mark.parametrize("room_mb", [ROOM_MB, {"h3": 8_000, "h4": 16_000}])
@pytest.mark.parametrize(("down", "taken"), [(("h2",), "h3"), (("h2", "h3"), "h4")])
def test_a_target_host_that_is_down_costs_an_attempt_and_the_next_one_is_taken(
    down: tuple[str, ...], taken: str, room_mb: dict[str, int], on: Callable[..., Any]
) -> None:
    """First another host of its cell, though one of another cell has more room; it moves while they are still down."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await s.quiet()
        s.kill(*down, down_s=LONG_S)
        asked_ns = s.stage.history.now_ns()
        move = await (await s.resize("web")).done()
        assert s.stage.history.now_ns() - asked_ns < SOON_NS
        assert s.truth.running("web") == (taken,)
        proofs = [(each.attempt, each.outcome) for each in move.journal if each.step == "prove_target"]
        assert proofs == [
            *((number, "call_timeout") for number, _ in enumerate(down, start=1)),
            (len(down) + 1, "done"),
        ]
        assert {each.host for each in s.truth.allocations("web")} == {"h1", taken}
        s.heal()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, memory_mb=room_mb, on=on)


@STAGES
def test_a_named_host_that_is_down_is_given_up_soon(on: Callable[..., Any]) -> None:
    """The user hears within minutes, the server runs where it was, and can move elsewhere while that host is down."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await s.quiet()
        s.kill("h2", down_s=LONG_S)
        asked_ns = s.stage.history.now_ns()
        move = await (await s.resize("web", host="h2")).over()
        assert move.error == "call_timeout"
        assert s.stage.history.now_ns() - asked_ns < SOON_NS
        assert s.truth.running("web") == ("h1",)
        await (await s.resize("web", host="h3")).done()
        s.heal()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, memory_mb=ROOM_MB, on=on)
