"""What a port is guaranteed is counted on its server's host, and never leaves its server's cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!c1", "h2": "api!c1", "h3": "api!c2"}
#: A host has a gigabit: enough for one of these.
MOST_KBPS: Final = 600_000


@STAGES
@pytest.mark.parametrize("end", ["confirm", "revert"])
def test_a_server_with_a_guarantee_moves_inside_its_cell_alone(end: str, on: Callable[..., Any]) -> None:
    """However much the deployment prefers other cells; and one that names a host elsewhere hears why not."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", bandwidth_kbps=MOST_KBPS)
        refused = await (await s.migrate("web", host="h3")).over()
        assert refused.error == "no_valid_host"
        assert "what its port is guaranteed does not leave its cell api!c1, and host h3 is not there" in str(
            refused.cause
        )
        await (await s.resize("web")).done()
        assert s.truth.running("web") == ("h2",)
        await (await getattr(s, end)("web")).done()
        assert s.truth.running("web") == ("h2" if end == "confirm" else "h1",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
def test_what_is_guaranteed_already_is_not_guaranteed_again(on: Callable[..., Any]) -> None:
    """A host that has given most of its bandwidth away takes no second server of that kind, and any without."""

    async def story(s: Scenario) -> None:
        for server, host in (("web", "h1"), ("db", "h2")):
            await s.create(server, host=host, bandwidth_kbps=MOST_KBPS)
        full = await (await s.create("late", host="h1", bandwidth_kbps=MOST_KBPS, wait=False)).over()
        assert full.error == "no_valid_host"
        move = await (await s.migrate("web")).over()
        assert move.error == "no_valid_host"
        assert "and no other host there has room for it" in str(move.cause)
        await s.create("plain", host="h1")
        await (await s.delete("db")).done()
        await (await s.migrate("web")).done()
        # Its place is kept for a revert.
        full = await (await s.create("later", host="h1", bandwidth_kbps=MOST_KBPS, wait=False)).over()
        assert full.error == "no_valid_host"
        await (await s.confirm("web")).done()
        await s.create("last", host="h1", bandwidth_kbps=MOST_KBPS)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)
