"""Who may not cross stays: his move ends with a reason and nothing changed, wherever there would be room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.moves.crossing import Crossers, Crossing
from protocol.states import VmState
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!c1", "h2": "api!c1", "h3": "api!c2"}


@STAGES
@pytest.mark.parametrize("host", ["", "h2", "h3"])
@pytest.mark.parametrize("weight", [1, -1])
@pytest.mark.parametrize(("who", "is_admin"), [(Crossers.ADMINS, False), (Crossers.NOBODY, True)])
def test_a_move_that_may_not_leave_its_cell_is_refused_with_that_reason(
    who: Crossers, is_admin: bool, weight: int, host: str, on: Callable[..., Any]
) -> None:
    """Also with room in its own cell, and when it names a host there; it is created anywhere, and runs on untouched."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        for act in (Act.RESIZE, Act.MIGRATE):
            op = Op(name=f"stay-{act}", act=act, server="web", host=host, is_admin=is_admin)
            move = await (await s.order(op)).over()
            assert move.error == "no_valid_host"
            assert "may not leave its cell api!c1" in str(move.cause)
            assert [each.step for each in move.journal].count("choose_target") == 1
        home = s.truth.home("web")
        assert home is not None
        assert (home.host, home.vm_state, home.task_state) == ("h1", VmState.ACTIVE, None)
        assert s.truth.running("web") == ("h1",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, crossing=Crossing(who=who, own_cell_weight=weight), on=on)


@STAGES
@pytest.mark.parametrize(("who", "is_admin"), [(Crossers.ADMINS, True), (Crossers.EVERYONE, False)])
def test_a_move_that_may_leave_its_cell_does(who: Crossers, is_admin: bool, on: Callable[..., Any]) -> None:
    """Moves inside of a cell are not there yet, so that also one that prefers its own cell leaves it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await (await s.order(Op(name="go", act=Act.RESIZE, server="web", is_admin=is_admin))).done()
        assert s.truth.running("web") == ("h3",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, crossing=Crossing(who=who, own_cell_weight=1), on=on)
