"""A guest that dies by itself is noticed, whatever else goes on, and disturbs nobody."""

from __future__ import annotations

import pytest

from actors.compute.lookout import LOOK_S
from protocol.messages.power import NoteGuestOff
from protocol.states import PowerState, VmState
from sim import Scenario
from sim.faults import Fault, FaultKind
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage

#: A look, the questions that follow from it, and the news of it to the root.
NOTICED_S = LOOK_S + 5.0


def die(s: Scenario, host: str) -> None:
    cell = {"h1": "api!c1", "h2": "api!c2"}[host]
    s.inject(Fault(kind=FaultKind.GUEST_DIES, name=f"dies-on-{host}-{len(s.moves)}", where=f"{cell}/host:{host}"))


def state(s: Scenario, server: str = "web") -> tuple[VmState, PowerState]:
    home = s.truth.home(server)
    assert home is not None
    return home.vm_state, home.power_state


def test_a_guest_that_dies_leaves_a_stopped_server_which_can_be_started() -> None:
    """As Nova's power sync has it; the root's listing says the same, and the start boots the same disk."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        die(s, "h1")
        await s.wait(NOTICED_S)
        assert state(s) == (VmState.STOPPED, PowerState.SHUTDOWN)
        await s.quiet()
        assert [row.vm_state for row in s.truth.listing("web")] == [VmState.STOPPED]
        s.check()
        await (await s.start("web")).done()
        assert s.truth.running("web") == ("h1",)
        die(s, "h1")
        await s.wait(NOTICED_S)
        assert state(s) == (VmState.STOPPED, PowerState.SHUTDOWN)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_guest_that_dies_while_its_cell_is_away_is_noticed_when_that_is_back() -> None:
    """What a host did not get across it tells at its next look."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("api!c1", down_s=100)
        die(s, "h1")
        await s.wait(90)
        assert state(s) == (VmState.ACTIVE, PowerState.RUNNING)
        await s.wait(30)
        assert state(s) == (VmState.STOPPED, PowerState.SHUTDOWN)
        await s.quiet()
        s.check()

    Scenario.run(story)


@pytest.mark.parametrize("ends", ["confirm", "revert"])
def test_a_guest_that_dies_in_verify_resize_stays_there_until_it_is_settled(ends: str) -> None:
    """A confirm finds it off and makes it stopped; a revert starts the source's guest, as it was before the move."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        die(s, "h2")
        await s.wait(NOTICED_S)
        assert state(s) == (VmState.RESIZED, PowerState.SHUTDOWN)
        await s.quiet()
        s.check()
        await (await (s.confirm if ends == "confirm" else s.revert)("web")).done()
        confirmed, reverted = (VmState.STOPPED, PowerState.SHUTDOWN), (VmState.ACTIVE, PowerState.RUNNING)
        assert state(s) == (confirmed if ends == "confirm" else reverted)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_running_move_finds_the_guest_off_and_copes() -> None:
    """The stop of a guest that is off is done at once; the server runs at the target, for that is what it was."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        held = s.hold("h1", at="stop_guest/do/after_send")
        move = await s.resize("web", host="h2")
        await held.reached()
        die(s, "h1")
        await s.wait(NOTICED_S)
        held.let_go()
        await move.done()
        assert s.truth.running("web") == ("h2",)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_move_that_is_undone_leaves_a_guest_that_had_died_before_it_off_and_that_is_noticed() -> None:
    """The move has found it off, so it leaves it off; then nobody works on the server, and the host's look is heard."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        die(s, "h1")
        s.fail("h2", "spawn")
        move = await s.resize("web", host="h2")
        await move.over()
        assert move.error == "hypervisor_failed"
        await s.wait(NOTICED_S)
        assert state(s) == (VmState.STOPPED, PowerState.SHUTDOWN)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_report_that_comes_late_changes_nothing() -> None:
    """The guest was started since: the record has another version than the one that the report is about."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        home = s.truth.home("web")
        assert home is not None
        die(s, "h1")
        await s.wait(NOTICED_S)
        await (await s.start("web")).done()
        await s.call("api!c1/cell", NoteGuestOff(server="web", host="h1", version=home.version), at="api!c1")
        assert state(s) == (VmState.ACTIVE, PowerState.RUNNING)
        await s.quiet()
        s.check()

    Scenario.run(story)


@pytest.mark.parametrize("on", [LoopStage, InnerStage])
def test_a_stopped_server_is_asked_about_once(on: type[LoopStage | InnerStage]) -> None:
    """A host does not bother its cell for ever with a guest that is off by its user's will."""

    async def story(s: Scenario) -> int:
        await s.create("web", host="h1")
        await (await s.stop("web")).done()
        await s.wait(4 * LOOK_S)
        before = len(s.truth.servers("web"))
        version = s.truth.servers("web")["api!c1"].version
        await s.wait(4 * LOOK_S)
        assert s.truth.servers("web")["api!c1"].version == version
        s.check()
        return before

    assert Scenario.run(story, on=on) == 1
