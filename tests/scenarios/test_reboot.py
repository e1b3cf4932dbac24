"""A reboot is off and on again under one permit, and whatever befalls it the server runs afterwards, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.messages.orders import PowerServer
from protocol.messages.servers import Origin
from protocol.records import Permit
from protocol.states import Goal, PowerState, VmState
from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
ORIGIN: Final = Origin(request_id="r", user="u", project="project")
HARD: Final = PowerServer(server="web", goal=Goal.REBOOT, origin=ORIGIN, is_hard=True)


def runs(s: Scenario) -> bool:
    """Tell whether the server runs on its host, under its first permit, and its record says so."""
    home = s.truth.home("web")
    assert home is not None
    permits = [(row.server, row.number) for row in s.truth.rows(Permit)]
    told = (home.vm_state, home.task_state, home.power_state) == (VmState.ACTIVE, None, PowerState.RUNNING)
    return told and s.truth.running("web") == ("h1",) and permits == [("web", 1)]


def boots(s: Scenario) -> int:
    """Count the starts that the guest's disk tells of."""
    [guest] = s.truth.guests("web")
    return len(guest.boots)


@STAGES
def test_a_server_that_is_rebooted_has_started_twice_under_one_permit(on: Callable[..., Any]) -> None:
    """And its history says that it was rebooted."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.reboot("web")).done()
        assert runs(s)
        assert boots(s) == 2
        assert {row.action for row in s.truth.actions("web")} == {"create", "reboot"}
        await at_rest(s)

    Scenario.run(story, on=on)


@STAGES
def test_a_server_that_is_stopped_or_whose_move_waits_is_not_rebooted(on: Callable[..., Any]) -> None:
    """It is refused at the door."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.stop("web")).done()
        assert (await s.reboot("web")).error == "invalid_state"
        await (await s.resize("web", host="h2")).done()
        assert (await s.reboot("web")).error == "invalid_state"
        await at_rest(s)

    Scenario.run(story, on=on)


def test_a_hard_reboot_starts_what_is_stopped() -> None:
    """As after a guest that has died by itself."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.stop("web")).done()
        assert isinstance(s.stage, LoopStage)
        await s.stage.world.client.finish(HARD)
        await s.quiet()
        assert runs(s)
        assert boots(s) == 2
        await at_rest(s)

    Scenario.run(story)


@STAGES
@pytest.mark.parametrize("call", ["power_off", "power_on"])
@pytest.mark.parametrize("how", ["refuses", "dirty"])
def test_a_reboot_that_the_host_refuses_leaves_the_server_running(call: str, how: str, on: Callable[..., Any]) -> None:
    """Whether it was off by then or not."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h1", call, how=how)
        move = await (await s.reboot("web")).over()
        assert move.error == "hypervisor_failed"
        assert runs(s)
        await at_rest(s)

    Scenario.run(story, on=on)


@STAGES
@pytest.mark.parametrize("point", ["switch_off/do/after_effect", "switch_off/do/after_record", "power/do/after_effect"])
def test_a_host_that_dies_in_the_midst_of_a_reboot_brings_it_to_its_end(point: str, on: Callable[..., Any]) -> None:
    """The guest is off then, and nobody but the reboot starts it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h1", at=point)
        await (await s.reboot("web")).done()
        assert runs(s)
        await at_rest(s)

    Scenario.run(story, on=on)


def test_a_reboot_on_a_host_that_is_fenced_waits_for_nothing() -> None:
    """It is refused by name; the server is its host's, and off, until the fence is lifted."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h1", at="switch_off/do/before_send", down_s=1e6)
        move = await s.reboot("web")
        s.lose_machine("h1", down_s=1e6)
        await s.fence("h1")
        await move.over()
        assert move.error == "host_fenced"
        await (await s.delete("web")).done()
        s.heal()
        await s.unfence("h1")
        await s.quiet()
        assert s.truth.guests("web") == ()
        s.check()

    Scenario.run(story)
