"""Servers that are paused, suspended or softly deleted: what becomes of them, and what may be done with them."""

from __future__ import annotations

from typing import Final

import pytest

from protocol.states import PowerState, VmState
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.faults import Fault, FaultKind
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
#: How each is held, and what lets it go on.
HELD: Final = {
    "pause": ("unpause", VmState.PAUSED, PowerState.PAUSED),
    "suspend": ("resume", VmState.SUSPENDED, PowerState.SUSPENDED),
    "soft_delete": ("restore", VmState.SOFT_DELETED, PowerState.SHUTDOWN),
}
#: What a user may want of it meanwhile, and is refused by the state's name.
REFUSED: Final = ("resize", "migrate", "start", "stop", "reboot")
each = pytest.mark.parametrize("act", HELD)
on_both = pytest.mark.parametrize("on", [LoopStage, InnerStage])


async def do(s: Scenario, act: str) -> None:
    """Have something done."""
    await (await getattr(s, act)("web")).done()


@each
@on_both
def test_what_is_held_goes_on_and_is_not_moved_meanwhile(act: str, on: type[LoopStage | InnerStage]) -> None:
    """Every order that its state does not allow is refused by the state's name, and nothing is changed by it."""
    back, vm_state, power = HELD[act]

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await do(s, act)
        for wish in REFUSED:
            refused = await getattr(s, wish)("web")
            await refused.over()
            assert refused.error == "invalid_state", wish
        record = s.truth.home("web")
        assert record is not None
        assert (record.vm_state, s.truth.guests("web")[0].power) == (vm_state, power)
        boots = len(s.truth.guests("web")[0].boots)
        await do(s, back)
        guest = s.truth.guests("web")[0]
        assert guest.power is PowerState.RUNNING
        assert len(guest.boots) - boots == (1 if act == "soft_delete" else 0)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@each
@on_both
def test_what_is_held_can_be_deleted(act: str, on: type[LoopStage | InnerStage]) -> None:
    """At once, and nothing of it is left."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await do(s, act)
        await do(s, "delete")
        await at_rest(s)
        assert (s.truth.guests("web"), s.truth.mapping("web")) == ((), None)

    Scenario.run(story, hosts=HOSTS, on=on)


@each
def test_the_actor_of_its_host_may_die(act: str) -> None:
    """Whoever holds it is the host, not the actor: it is held on, and goes on when that is asked."""
    back, _, power = HELD[act]

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await do(s, act)
        s.kill("h1")
        await s.wait(30.0)
        assert s.truth.guests("web")[0].power is power
        await do(s, back)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.parametrize(("act", "end"), [("pause", VmState.STOPPED), ("suspend", VmState.SUSPENDED)])
def test_a_machine_that_loses_its_power_takes_with_it_what_is_paused_and_not_what_is_suspended(
    act: str, end: VmState
) -> None:
    """The one is found off, and its server is stopped; the other goes on where it was."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await do(s, act)
        s.lose_machine("h1")
        await s.wait(60.0)
        record = s.truth.home("web")
        assert record is not None
        assert record.vm_state is end
        await do(s, "start" if end is VmState.STOPPED else "resume")
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_a_paused_guest_that_dies_is_noticed() -> None:
    """Its server is stopped in the records, ready to be started."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await do(s, "pause")
        s.inject(Fault(kind=FaultKind.GUEST_DIES, name="dies", where="api!eu/host:h1"))
        await s.wait(30.0)
        record = s.truth.home("web")
        assert record is not None
        assert (record.vm_state, record.power_state) == (VmState.STOPPED, PowerState.SHUTDOWN)
        await do(s, "start")
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.proves("R60")
def test_what_was_suspended_is_still_so_when_it_is_deleted_softly_and_restored() -> None:
    """Nothing that was saved of it is lost by a change of mind."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await do(s, "suspend")
        await do(s, "soft_delete")
        assert s.truth.guests("web")[0].power is PowerState.SUSPENDED
        boots = len(s.truth.guests("web")[0].boots)
        await do(s, "restore")
        assert len(s.truth.guests("web")[0].boots) == boots
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.parametrize("act", ["pause", "suspend", "soft_delete"])
def test_one_that_cannot_be_held_runs_on(act: str) -> None:
    """The hypervisor fails with half of it done: the guest is as it was, and the server with it."""
    call = {"pause": "pause", "suspend": "suspend", "soft_delete": "power_off"}[act]

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h1", call, how="dirty")
        failed = await getattr(s, act)("web")
        await failed.over()
        assert failed.error == "hypervisor_failed"
        record = s.truth.home("web")
        assert record is not None
        assert (record.vm_state, record.task_state) == (VmState.ACTIVE, None)
        assert s.truth.guests("web")[0].power is PowerState.RUNNING
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@on_both
def test_volumes_come_and_go_while_a_server_is_paused_and_images_are_made_of_it(
    on: type[LoopStage | InnerStage],
) -> None:
    """It stays as it is all the while, and goes on where it was, with the volumes that it has then."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await do(s, "pause")
        boots = len(s.truth.guests("web")[0].boots)
        for op in (
            Op(name="in", act=Act.ATTACH, server="web", volume="extra", device="/dev/vdc"),
            Op(name="swapped", act=Act.SWAP, server="web", volume="data", replacement="spare"),
            Op(name="out", act=Act.DETACH, server="web", volume="extra"),
            Op(name="imaged", act=Act.SNAPSHOT, server="web"),
        ):
            await (await s.order(op)).done()
            assert s.truth.guests("web")[0].power is PowerState.PAUSED, op.name
        await do(s, "unpause")
        guest = s.truth.guests("web")[0]
        assert (guest.power, guest.volumes, len(guest.boots)) == (PowerState.RUNNING, ("spare",), boots)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)
