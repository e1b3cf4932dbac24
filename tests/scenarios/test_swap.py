"""A volume is swapped for another one while things go wrong: whichever the server has in the end holds all."""

from __future__ import annotations

from typing import Any, Final

import pytest

from protocol.records import OwedAct
from protocol.states import Owed
from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
GONE_S: Final = 1e6


def holds(s: Scenario) -> dict[str, str]:
    """Tell of the server's volumes what was on them first, and insist that its guest has just these."""
    [guest] = [guest for guest in s.truth.guests("web") if guest.is_defined]
    connected = [each.volume for each in s.truth.attachments("web") if each.host]
    assert list(guest.volumes) == sorted(connected) == sorted(each.volume for each in s.truth.block_devices("web"))
    return {each.volume: each.origin for each in s.truth.volumes() if each.volume in connected}


@STAGES
def test_what_cannot_be_swapped_is_refused_by_name(on: Any) -> None:
    """A volume that it has not, its root disk, one that it has already, a server that is stopped: nothing changes."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data", is_volume_backed=True)
        await (await s.attach("web", "extra")).done()
        refused = {
            ("nothing", "spare"): "not_found",
            ("root-web", "spare"): "conflict",
            ("data", "extra"): "volume_in_use",
        }
        for (volume, replacement), code in refused.items():
            assert (await (await s.swap("web", volume, replacement)).over()).error == code
        await (await s.stop("web")).done()
        assert (await (await s.swap("web", "data", "spare")).over()).error == "invalid_state"
        assert holds(s) == {"data": "data", "extra": "extra", "root-web": "root-web"}
        await (await s.start("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
@pytest.mark.parametrize("position", ["before_send", "after_send", "after_effect", "after_reply", "after_record"])
@pytest.mark.parametrize("step", ["copy_volume", "disconnect_volume"])
def test_a_host_that_dies_in_the_middle_copies_once_and_loses_nothing(on: Any, step: str, position: str) -> None:
    """It goes on when it is back: the guest has the copy alone, and that holds what the old volume held."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.kill("h1", at=f"{step}/do/{position}", down_s=5.0)
        await (await s.swap("web", "data", "spare")).done()
        assert holds(s) == {"spare": "data"}
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


def test_a_host_that_is_fenced_before_the_copy_is_known_leaves_the_server_its_old_volume() -> None:
    """The swap is refused, the other volume is free, and the host forgets it before it takes commands again."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.kill("h1", at="copy_volume/do/after_effect", down_s=GONE_S)
        swap = await s.swap("web", "data", "spare")
        await s.wait(30)
        await s.fence("h1")
        await swap.over()
        assert swap.error == "host_fenced"
        assert [(row.act, row.volume) for row in s.truth.rows(OwedAct)] == [(Owed.DISCONNECT, "spare")]
        assert [row.volume for row in s.truth.attachments()] == ["data"]
        s.heal()
        await s.unfence("h1")
        await s.wait(60)
        assert holds(s) == {"data": "data"}
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_a_host_that_is_fenced_after_the_copy_ends_the_swap() -> None:
    """That the guest lets the old volume go counts as done, and is owed."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.kill("h1", at="disconnect_volume/do/before_send", down_s=GONE_S)
        swap = await s.swap("web", "data", "spare")
        await s.wait(30)
        await s.fence("h1")
        await swap.done()
        assert [(row.act, row.volume) for row in s.truth.rows(OwedAct)] == [(Owed.DISCONNECT, "data")]
        s.heal()
        await s.unfence("h1")
        await s.wait(60)
        assert holds(s) == {"spare": "data"}
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)
