"""What a scenario's author can say and see: messages, the truth, clouds; and what a slip of the pen comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from protocol.errors import CallTimeout, InvalidValue, NotFound
from protocol.messages.capacity import AllocateHost, FreeHost
from protocol.messages.root import ListServers
from protocol.messages.servers import ReadServer
from sim import Scenario
from sim.cases.workload import SMALL
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from sim.stages.stage import NotOffered
from tests.scenarios.endings import at_rest

CLOUD: Final = Path(__file__).parents[2] / "deploy" / "demo.toml"


# --- messages ----------------------------------------------------------------------------------------------


def test_a_call_gives_the_reply_or_raises_the_error() -> None:
    """From another cell, too; an actor that is silent is a timeout."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        [listed] = (await s.call("api", ListServers())).servers
        assert (listed.server, listed.cell) == ("web", "api!c1")
        with pytest.raises(NotFound):
            await s.call("api!c2", ReadServer(server="web"))
        s.mute("api!c1")
        with pytest.raises(CallTimeout):
            await s.call("api!c1", ReadServer(server="web"), budget_s=5)
        s.heal()
        await at_rest(s)

    Scenario.run(story)


def test_a_cast_is_carried_out_and_nothing_comes_back() -> None:
    """It allocates, which only the truth tells."""

    async def story(s: Scenario) -> None:
        await s.cast("api!c2", AllocateHost(server="x", consumer="x", host="h2", flavor=SMALL, is_volume_backed=False))
        await s.quiet()
        assert [each.host for each in s.truth.allocations("x")] == ["h2"]

    Scenario.run(story)


def test_what_a_child_may_not_send_is_among_the_dead_letters() -> None:
    """Only a parent may ask for room to be freed."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.cast("api", FreeHost(server="web", consumer="web", host="h1"), at="api!c2")
        await s.quiet()
        assert s.dead_letters("api") == ("forbidden",)
        assert s.dead_letters("api!c2") == ()

    Scenario.run(story)


# --- the truth ---------------------------------------------------------------------------------------------


def test_the_truth_of_a_server_that_waits_for_a_confirm_is_all_there() -> None:
    """Both records, one mapping and listing, two allocations, bindings and attachments, one guest that runs."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await (await s.resize("web", host="h2")).done()
        await s.quiet()
        t = s.truth
        assert {cell: row.is_hidden for cell, row in t.servers("web").items()} == {"api!c1": True, "api!c2": False}
        home, mapping, permit, spec = t.home("web"), t.mapping("web"), t.permit("web"), t.spec("web")
        assert home is not None
        assert mapping is not None
        assert permit is not None
        assert spec is not None
        assert (home.host, mapping.cell, mapping.generation, permit.holder) == ("h2", "api!c2", 2, "api!c2/host:h2")
        assert [(each.cell, each.host) for each in t.listing("web")] == [("api!c2", "h2")]
        assert spec.flavor.name == "m1.small"
        assert {each.host for each in t.allocations("web")} == {each.host for each in t.claims("web")} == {"h1", "h2"}
        assert {(each.host, each.is_active) for each in t.bindings("web")} == {("h1", False), ("h2", True)}
        assert sorted(each.host or "" for each in t.attachments("web")) == ["", "api!c2/host:h2"]
        assert [(each.host, each.is_running) for each in t.guests("web")] == [("h1", False), ("h2", True)]
        disks = t.disks("web")
        assert disks["h1"].image == "cirros"
        assert disks["h2"].image.startswith("cirros") is False, "it was made from the snapshot"
        assert disks["h2"].writer == "web"
        assert disks["h2"].counter > disks["h1"].counter > 0
        assert [disk.boots_total for disk in disks.values()] == [1, 2]
        assert len(t.ports("web")) == len(t.volumes()) == len(t.images()) == 1
        assert sorted(each.status.value for each in t.migrations("web")) == ["finished", "post-migrating"]
        assert t.pending() == ()
        assert t.waiting() == {}
        assert t.faults("web") == ()
        assert t.notifications("web")
        assert t.events("web")
        assert t.actions("web")
        s.check()

    Scenario.run(story)


def test_what_breaks_a_promise_is_named_by_the_check() -> None:
    """A guest that somebody starts behind cellferry's back is found, and the assertion says what it is."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.quiet()
        await s.stage.world.drivers["h1"].destroy("web")  # type: ignore[attr-defined]  # no scenario may do this
        s.check()

    with pytest.raises(AssertionError, match="no_loss of web"):
        Scenario.run(story)


# --- clouds, and what goes wrong in the story itself -------------------------------------------------------


def test_a_scenario_plays_in_a_cloud_of_a_file() -> None:
    """The cells and hosts are those of the file."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="eu-1-a")
        await (await s.resize("web", host="us-1-a")).done()
        assert s.truth.running("web") == ("us-1-a",)

    Scenario.run(story, cloud_file=CLOUD)


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    """The history's hash says so."""

    async def story(s: Scenario) -> str:
        await s.create("web", host="h1")
        await s.at_once(s.resize("web"), s.stop("web"))
        await s.quiet()
        return s.stage.history.sha256

    assert Scenario.run(story, seed=3) == Scenario.run(story, seed=3) != Scenario.run(story, seed=4)


@pytest.mark.parametrize(
    ("say", "hint"),
    [
        (lambda s: s.fail("h9", "spawn"), "h2"),
        (lambda s: s.fail("h2", "spawns"), "spawn"),
        (lambda s: s.fail("h2", "claim", how="answer_lost"), "method"),
        (lambda s: s.kill("conductr"), "conductor"),
        (lambda s: s.kill("h1", at="spawn_target/do/after"), "spawn_target/do/after_"),
        (lambda s: s.cut("h1", "h2"), "directly"),
        (lambda s: s.cut("api!c1", "api!c2"), "neighbouring"),
        (lambda s: s.hold("api!c7"), "api!c1"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(say: Callable[[Scenario], object], hint: str) -> None:
    """A slip of the pen is no fault that never strikes."""

    async def story(s: Scenario) -> None:
        say(s)

    with pytest.raises(InvalidValue, match=hint):
        Scenario.run(story)


def test_what_the_story_raises_comes_out_as_it_is() -> None:
    """No group of exceptions is around it, on any stage."""

    async def story(s: Scenario) -> None:
        move = await (await s.create("web", host="nowhere", wait=False)).over()
        await move.done()

    async def expects_in_vain(_s: Scenario) -> None:
        with pytest.raises(InvalidValue):
            pass

    for stage in (InnerStage, LoopStage):
        with pytest.raises(AssertionError, match="create-web failed: compute_host_not_found"):
            Scenario.run(story, on=stage)
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            Scenario.run(expects_in_vain, on=stage)


def test_a_stage_says_what_it_does_not_offer() -> None:
    """The pure cores have no links to cut and no posts."""

    async def cuts(s: Scenario) -> None:
        s.cut("api", "api!c1")

    async def calls(s: Scenario) -> None:
        await s.call("api", ListServers())

    for story in (cuts, calls):
        with pytest.raises(NotOffered, match="InnerStage"):
            Scenario.run(story, on=InnerStage)
