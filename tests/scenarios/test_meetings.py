"""Orders that meet at one server: one of them has it, the other is told so, and nothing of either is lost."""

from __future__ import annotations

from typing import Any, Final

import pytest

from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}


def connected(s: Scenario) -> dict[str, str | None]:
    """Tell at which host each volume of the server is connected."""
    return {each.volume: each.host for each in s.truth.attachments("web")}


@STAGES
def test_an_attach_in_flight_bars_a_move_and_goes_with_the_next_one(on: Any) -> None:
    """The move is refused while the volume is being connected; asked again, it takes the volume along."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.fail("h1", "connect_volume", how="late", late_s=20.0)
        attach = await s.attach("web", "extra")
        early = await s.resize("web", host="h2")
        assert (attach.ended, early.error) == (False, "conflict")
        await attach.done()
        await (await s.resize("web", host="h2")).done()
        await (await s.confirm("web")).done()
        assert set(connected(s)) == {"data", "extra"}
        assert all("h2" in str(host) for host in connected(s).values())
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
def test_an_attach_that_fails_in_flight_leaves_the_server_ready_to_move(on: Any) -> None:
    """Its volume is free again, and does not go along."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.fail("h1", "connect_volume")
        attach = await (await s.attach("web", "extra")).over()
        assert attach.error == "hypervisor_failed"
        await (await s.resize("web", host="h2")).done()
        assert set(connected(s)) == {"data"}
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
def test_an_order_that_its_cell_does_not_let_in_is_refused_at_once_and_leaves_the_server_free(on: Any) -> None:
    """A confirm of what is not resized is no conversation that fails later; the next order finds the server free."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        for refused in (await s.confirm("web"), await s.revert("web"), await s.start("web")):
            assert (refused.conversation, refused.error) == ("", "invalid_state")
        await (await s.stop("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)
