"""Whether a move leaves its cell: who may not gets another host there; who may goes by the weight, or by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.moves.crossing import FREELY, Crossers, Crossing
from protocol.states import VmState
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
CONFINED: Final = pytest.mark.parametrize(("who", "is_admin"), [(Crossers.ADMINS, False), (Crossers.NOBODY, True)])
FREE: Final = pytest.mark.parametrize(("who", "is_admin"), [(Crossers.ADMINS, True), (Crossers.EVERYONE, False)])
HOSTS: Final = {"h1": "api!c1", "h2": "api!c1", "h3": "api!c2"}
ACTS: Final = (Act.RESIZE, Act.MIGRATE)
SMALL_MB: Final = 256


async def _is_refused(s: Scenario, act: Act, reason: str, *, host: str = "", is_admin: bool = False) -> None:
    """Order a move that finds no host, and see that nothing comes of it."""
    op = Op(name=f"{act} {host} {is_admin}", act=act, server="web", host=host, is_admin=is_admin)
    move = await (await s.order(op)).over()
    assert move.error == "no_valid_host"
    assert reason in str(move.cause)
    assert [each.step for each in move.journal].count("choose_target") == 1
    home = s.truth.home("web")
    assert home is not None
    assert (home.host, home.vm_state, home.task_state) == ("h1", VmState.ACTIVE, None)
    assert s.truth.running("web") == ("h1",)


@STAGES
@CONFINED
def test_a_move_that_may_not_leave_its_cell_is_refused_with_that_reason(
    who: Crossers, on: Callable[..., Any], *, is_admin: bool
) -> None:
    """When it names a host elsewhere, or no other of its cell has room: wherever else there would be some."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        for act in ACTS:
            there = "it may not leave its cell api!c1 (the deployment's setting cross_cell), and host h3 is not there"
            await _is_refused(s, act, there, host="h3", is_admin=is_admin)
            await _is_refused(s, act, "and no other host there has room for it", is_admin=is_admin)
        await at_rest(s)

    crossing = Crossing(who=who, own_cell_weight=-1)
    Scenario.run(story, hosts=HOSTS, memory_mb={"h2": SMALL_MB}, crossing=crossing, on=on)


@STAGES
@CONFINED
@pytest.mark.parametrize("weight", [1, -1])
@pytest.mark.parametrize("host", ["", "h2"])
def test_a_move_that_may_not_leave_its_cell_goes_to_another_host_there(
    who: Crossers, weight: int, host: str, on: Callable[..., Any], *, is_admin: bool
) -> None:
    """Whatever the deployment prefers, and by name too; its home is the same, and the record says that it stayed."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        op = Op(name="stay", act=Act.RESIZE, server="web", host=host, is_admin=is_admin)
        move = await (await s.order(op)).done()
        _has_stayed(s)
        assert not {"copy_records", "seal_source", "commit"}.intersection(each.step for each in move.journal)
        await at_rest(s)
        await (await s.confirm("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, crossing=Crossing(who=who, own_cell_weight=weight), on=on)


def _has_stayed(s: Scenario) -> None:
    home = s.truth.home("web")
    assert home is not None
    assert (home.host, home.vm_state, home.generation) == ("h2", VmState.RESIZED, 1)
    assert s.truth.running("web") == ("h2",)
    assert list(s.truth.servers("web")) == ["api!c1"], "there is one record"
    [migration] = s.truth.migrations("web")
    assert (migration.source_cell, migration.target_cell, migration.is_cross_cell) == ("api!c1", "api!c1", False)


@STAGES
@FREE
@pytest.mark.parametrize(
    ("weight", "host", "found"), [(1, "", "h2"), (-1, "", "h3"), (1, "h3", "h3"), (-1, "h2", "h2"), (0, "", "h2")]
)
def test_a_move_that_may_leave_its_cell_goes_by_the_weight_unless_it_names_a_host(
    who: Crossers, weight: int, host: str, found: str, on: Callable[..., Any], *, is_admin: bool
) -> None:
    """A positive weight keeps it, a negative one sends it away, none leaves it to the room that there is."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await (await s.order(Op(name="go", act=Act.RESIZE, server="web", host=host, is_admin=is_admin))).done()
        assert s.truth.running("web") == (found,)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, crossing=Crossing(who=who, own_cell_weight=weight), on=on)


@STAGES
def test_the_host_that_a_server_is_on_is_never_chosen(on: Callable[..., Any]) -> None:
    """It has most room by far, and its own place there is as good as free; and by name it is refused at the door."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await _is_refused(s, Act.RESIZE, "no other host has room for it")
        same = await (await s.resize("web", host="h1")).over()
        assert same.error == "cannot_migrate_to_same_host"
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, memory_mb={"h2": SMALL_MB, "h3": SMALL_MB}, crossing=FREELY, on=on)


@STAGES
@pytest.mark.parametrize(("weight", "found"), [(1, "h3"), (-1, "h2")])
def test_an_alternate_may_be_on_the_other_side_of_the_cells_border(
    weight: int, found: str, on: Callable[..., Any]
) -> None:
    """The first choice refuses, and the next one stays, or leaves: the record says only what it came to."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.fail(*(("api!c1/cell", "claim_inside") if found == "h3" else ("api!c2/cell", "claim_target")))
        await (await s.resize("web")).done()
        assert s.truth.running("web") == (found,)
        await at_rest(s)
        marks = {row.is_cross_cell for row in s.truth.migrations("web")}
        assert marks == {found == "h3"}
        await (await s.revert("web")).done()
        await at_rest(s)
        assert s.truth.running("web") == ("h1",)

    Scenario.run(story, hosts=HOSTS, crossing=Crossing(own_cell_weight=weight), on=on)
