"""Something is left over of a server, and nobody knows how: a repair removes it, and nothing that is still needed."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from protocol.journal import Journal, Kind
from protocol.messages.orders import RepairServer
from protocol.messages.servers import Origin
from protocol.moves import repair
from protocol.records import Claim, Permit, Port, RequestSpec
from protocol.saga import Story
from protocol.states import Goal
from sim import Scenario
from sim.cases.workload import PROJECT, TINY
from sim.scenario import Move
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from sim.stages.outcomes import entries_of
from tests.faults.ends import shape
from tests.sagas.doings import ELSEWHERE, HOSTS, SERVER, STRANGER, leave
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
CLOUD: Final = {**HOSTS, STRANGER: ELSEWHERE}
GONE_S: Final = 1e6
PLACE: Final = Claim(server=SERVER, host=STRANGER, migration="old")


async def done(s: Scenario, *acts: str) -> None:
    await s.create(SERVER, host="h1", volume="data")
    for act in acts:
        await (await getattr(s, act)(SERVER)).done()
    await s.quiet()


def removed(move: Move) -> list[str]:
    """Name the steps that removed something."""
    return [each.step for each in move.journal if each.step.startswith("clear_") and each.outcome == Kind.DONE.value]


@STAGES
@pytest.mark.parametrize("acts", [(), ("stop",), ("resize",), ("resize", "revert"), ("resize", "confirm")], ids=str)
def test_what_is_left_of_a_server_anywhere_goes_and_the_rest_stays_as_it_is(on: Any, acts: tuple[str, ...]) -> None:
    """A record, places, news, an attachment, a binding, a snapshot, a guest with its disk: all goes, and only that."""

    async def story(s: Scenario) -> None:
        await done(s, *acts)
        before = shape(s.truth)
        await leave(s)
        await (await s.repair(SERVER)).done()
        await s.quiet()
        assert shape(s.truth) == before
        s.check()
        again = await (await s.repair(SERVER)).done()
        assert removed(again) == []

    Scenario.run(story, hosts=CLOUD, on=on)


@STAGES
def test_a_server_that_was_repaired_in_verify_resize_can_still_go_back(on: Any) -> None:
    """What was kept for the revert is no leftover."""

    async def story(s: Scenario) -> None:
        await done(s, "resize")
        await leave(s)
        await (await s.repair(SERVER)).done()
        await (await s.revert(SERVER)).done()
        assert s.truth.running(SERVER) == ("h1",)
        await at_rest(s)

    Scenario.run(story, hosts=CLOUD, on=on)


@STAGES
def test_what_is_left_of_a_server_that_is_gone_goes(on: Any) -> None:
    """Its permit, its specification, its port and a guest: nobody has its id any more."""

    async def story(s: Scenario) -> None:
        await done(s, "delete")
        s.plant("api", Permit(server=SERVER, number=7, holder=None), RequestSpec(server=SERVER, flavor=TINY))
        s.plant("network", Port(id="old", server=SERVER, address="x"))
        s.plant(ELSEWHERE, PLACE)
        await s.leave(STRANGER, SERVER)
        await (await s.repair(SERVER)).done()
        await at_rest(s)
        assert s.truth.mapping(SERVER) is None
        assert s.truth.permit(SERVER) is None

    Scenario.run(story, hosts=CLOUD, on=on)


@STAGES
def test_what_a_host_may_still_use_that_does_not_answer_stays_until_it_does(on: Any) -> None:
    """Its place is not given to others while nobody knows what runs there; the next repair frees it."""

    async def story(s: Scenario) -> None:
        await done(s)
        s.plant(ELSEWHERE, PLACE)
        await s.leave(STRANGER, SERVER)
        s.kill(STRANGER, down_s=60.0)
        assert removed(await (await s.repair(SERVER)).done()) == []
        assert PLACE in s.truth.claims(SERVER)
        await s.wait(90.0)
        assert removed(await (await s.repair(SERVER)).done()) == ["clear_host", "clear_cell"]
        await at_rest(s)

    Scenario.run(story, hosts=CLOUD, on=on)


@STAGES
def test_a_server_is_not_repaired_while_another_conversation_has_it_or_owes_for_it(on: Any) -> None:
    """What is there then is somebody's who is still at work."""

    async def story(s: Scenario) -> None:
        await done(s)
        move = await s.resize(SERVER, host="h2")
        assert (await (await s.repair(SERVER)).over()).error == "conflict"
        await move.done()
        s.fail("h1", "destroy", times=0)
        await s.confirm(SERVER)
        await s.wait(20.0)
        assert s.truth.mapping(SERVER).debt  # type: ignore[union-attr]  # it would be no mapping's
        assert (await (await s.repair(SERVER)).over()).error == "conflict"
        s.heal()
        await at_rest(s)

    Scenario.run(story, hosts=CLOUD, on=on)


def order(*, is_applied: bool = True, has_disks: bool = False) -> RepairServer:
    origin = Origin(request_id="req-repair", user="operator", project=PROJECT, is_admin=True)
    return RepairServer(server=SERVER, is_applied=is_applied, has_disks=has_disks, origin=origin)


async def place(s: Scenario, wanted: RepairServer) -> str:
    """Have the conductor take an order of one's own; give its conversation when that is over."""
    accepted = await s.call("conductor", wanted, key="operator:1")
    await s.stage.over(accepted.conversation)
    return accepted.conversation


def test_a_repair_that_is_not_applied_shows_what_it_finds_and_changes_nothing() -> None:
    """Whoever reads its journal finds what it has found, and that it removed nothing."""

    async def story(s: Scenario) -> None:
        await done(s)
        await leave(s)
        before = shape(s.truth)
        conversation = await place(s, order(is_applied=False))
        await s.quiet()
        assert shape(s.truth) == before
        entries = entries_of(s.stage.history, conversation)
        journal = Journal(conversation=conversation, server=SERVER, goal=Goal.REPAIR, entries=entries)
        found = repair.findings(Story(journal, 1))
        assert {"guest", "disk", "hidden record", "claim", "image"} < {trace[0] for trace in found.left}
        assert {entry.step for entry in entries if entry.step.startswith("clear_")} == set()
        await (await s.repair(SERVER)).done()
        await at_rest(s)

    Scenario.run(story, hosts=CLOUD)


def test_of_a_server_that_is_gone_a_guest_stays_until_its_removal_is_asked_for() -> None:
    """Nobody can tell whether its mapping was lost."""

    async def story(s: Scenario) -> None:
        await done(s, "delete")
        await s.leave(STRANGER, SERVER)
        await place(s, order())
        assert [guest.host for guest in s.truth.guests(SERVER)] == [STRANGER]
        await (await s.repair(SERVER)).done()
        await at_rest(s)

    Scenario.run(story, hosts=CLOUD)


def test_a_fenced_host_is_not_asked_and_holds_up_nothing() -> None:
    """Its machine is off: what names it goes, and nobody waits for its answer."""

    async def story(s: Scenario) -> None:
        await done(s)
        s.plant(ELSEWHERE, PLACE)
        s.kill(STRANGER, down_s=GONE_S)
        await s.fence(STRANGER)
        move = await (await s.repair(SERVER)).done()
        assert removed(move) == ["clear_cell"]
        assert sum(each.step == "look_at_host" for each in move.journal) == len(HOSTS)

    Scenario.run(story, hosts=CLOUD)


def home_elsewhere(s: Scenario) -> None:
    """Have its mapping name a cell that has no record of it."""
    mapping = s.truth.mapping(SERVER)
    assert mapping is not None
    s.plant("api", attrs.evolve(mapping, cell=ELSEWHERE))


def shown_twice(s: Scenario) -> None:
    """Have a second cell show it."""
    home = s.truth.home(SERVER)
    assert home is not None
    s.plant(ELSEWHERE, home)


@STAGES
@pytest.mark.parametrize("restore", [home_elsewhere, shown_twice])
def test_a_server_of_which_it_is_not_clear_where_its_home_is_is_left_alone(on: Any, restore: Any) -> None:
    """Somebody has restored a database: nobody can say what belongs to the server, so all of it may."""

    async def story(s: Scenario) -> None:
        await done(s)
        restore(s)
        before = shape(s.truth)
        refused = await (await s.repair(SERVER)).over()
        assert refused.error == "conflict"
        await s.quiet()
        assert shape(s.truth) == before

    Scenario.run(story, hosts=CLOUD, on=on)


@STAGES
@pytest.mark.parametrize("silent", ["api!c1", "api!c2"])
def test_a_server_is_left_alone_while_a_cell_is_silent_that_says_what_belongs_to_it(on: Any, silent: str) -> None:
    """In VERIFY_RESIZE its home, and where it came from: what is kept there for the revert, only that cell says."""

    async def story(s: Scenario) -> None:
        await done(s, "resize")
        before = shape(s.truth)
        s.kill(silent, down_s=60.0)
        assert (await (await s.repair(SERVER)).over()).error == "unavailable"
        assert shape(s.truth) == before
        await at_rest(s)

    Scenario.run(story, hosts=CLOUD, on=on)


@STAGES
@pytest.mark.parametrize("position", ["before_send", "after_send", "after_effect", "after_reply", "after_record"])
@pytest.mark.parametrize("step", ["clear_host", "clear_cell", "clear_volumes"])
def test_a_repair_that_is_interrupted_goes_on(on: Any, step: str, position: str) -> None:
    """The conductor dies at each of its steps: the one that starts again removes what is left."""

    async def story(s: Scenario) -> None:
        await done(s)
        before = shape(s.truth)
        await leave(s)
        s.kill("conductor", at=f"{step}/do/{position}", down_s=5.0)
        await (await s.repair(SERVER)).done()
        await s.quiet()
        assert shape(s.truth) == before
        s.check()

    Scenario.run(story, hosts=CLOUD, on=on)
