"""Servers go where cells choose: each filters and weighs itself and its children, down the tree and back up again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest

from protocol.cell_path import CellPath
from protocol.errors import NoCellsAvailable
from protocol.messages.creates import Created, FindCreate
from protocol.messages.orders import CreateServer
from protocol.messages.tree import SetNeighbour
from protocol.moves.crossing import Crossing
from protocol.records import CellProfile, Neighbour
from protocol.saga import Retries
from protocol.scheduling import Wish
from protocol.states import Goal
from sim import Scenario
from sim.cases.layout import Layout
from sim.cases.workload import TINY, Act, Op
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage, WorldStage
from tests.scenarios.endings import at_rest
from tests.scenarios.every_method import CELLS

HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!eu!eu-2", "h3": "api!us", "h4": "api!us"}
EU, EU1, US = (CellPath.parse(path) for path in ("api!eu", "api!eu!eu-1", "api!us"))
STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
SCHEDULED: Final = Crossing(is_scheduled=True)
PERSISTENT: Final = Crossing(is_scheduled=True, retries=Retries(times=3, pause_s=5.0))


def choosing(layout: Layout) -> Layout:
    """Have cells tell each other what they have, and choose by that."""
    return layout.advertising(announce_s=10.0, mute_child_s=30)


def falling_silent(layout: Layout) -> Layout:
    """Have one cell tell what it has as it starts, and never again."""
    arranged = choosing(layout)
    silent = attrs.evolve(arranged.rules[US], announce_s=0.0)
    return attrs.evolve(arranged, rules={**arranged.rules, US: silent})


def with_versions(layout: Layout) -> Layout:
    """Have each cell with hosts tell of a version of its hypervisor."""
    arranged = choosing(layout)
    told = {"api!eu!eu-1": "6.0", "api!eu!eu-2": "6.2", "api!us": "5.5"}

    def profile(cell: CellPath) -> CellProfile:
        known = arranged.rules[cell].profile
        version = told.get(str(cell))
        return attrs.evolve(known, capabilities={"prominent_hypervisor_version": (version,)} if version else {})

    rules = {cell: attrs.evolve(each, profile=profile(cell)) for cell, each in arranged.rules.items()}
    return attrs.evolve(arranged, rules=rules)


async def wished(s: Scenario, server: str, *, is_admin: bool = True, **wish: Any) -> None:
    """Create a server with a wish."""
    assert isinstance(s.stage, WorldStage)
    order = Op(name=server, act=Act.CREATE, server=server, is_admin=is_admin).order()
    assert isinstance(order, CreateServer)
    await s.stage.world.client.finish(attrs.evolve(order, wish=Wish(**wish)))


def run(story: Callable[[Scenario], Any], arrange: Callable[[Layout], Layout] = choosing, **more: Any) -> None:
    """Play a story where cells choose."""
    Scenario.run(story, **{"cells": CELLS, "hosts": HOSTS, "crossing": SCHEDULED, "arrange": arrange, **more})


@pytest.mark.proves("R120", "R121", "R129", "R139")
def test_a_server_goes_down_the_tree_as_cells_choose() -> None:
    """The root takes the child in which most fit, that one its own; each by what it has been told."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        await s.call("api/cell", SetNeighbour(cell=EU, weight_offset=50.0))
        await s.call("api!eu/cell", SetNeighbour(cell=EU1, weight_offset=50.0))
        await s.create("one")
        assert s.truth.running("one") == ("h1",)
        await s.call("api/cell", SetNeighbour(cell=EU, weight_offset=-50.0))
        await s.create("two")
        assert s.truth.running("two")[0] in {"h3", "h4"}
        await at_rest(s)

    run(story)


@STAGES
@pytest.mark.proves("R120", "R122")
def test_a_cell_without_room_is_left_for_the_next_choice(on: Callable[..., Any]) -> None:
    """First within the part of the tree that was chosen, then beside it: by the way that the choice came."""

    async def story(s: Scenario) -> None:
        rows = (Neighbour(cell=str(EU), place=0), Neighbour(cell=str(US), place=1))
        s.plant("api/cell", *rows)
        s.plant("api!eu/cell", Neighbour(cell=str(EU1), place=0), Neighbour(cell="api!eu!eu-2", place=1))
        for server, host in (("one", "h1"), ("two", "h2"), ("three", "h3")):
            await s.create(server)
            assert s.truth.running(server) == (host,)
        await at_rest(s)

    small = {"h1": TINY.memory_mb, "h2": TINY.memory_mb, "h4": TINY.memory_mb}
    run(story, lambda layout: layout, memory_mb=small, on=on)


@pytest.mark.proves("R126")
def test_a_named_cell_has_the_server_or_nobody_has() -> None:
    """An administrator's word counts, and no other's; a named middle cell chooses among its own."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        await wished(s, "one", target_cell=EU1)
        assert s.truth.running("one") == ("h1",)
        await wished(s, "two", target_cell=EU)
        assert s.truth.running("two")[0] in {"h1", "h2"}
        with pytest.raises(NoCellsAvailable, match="that the cells' filters leave out"):
            await wished(s, "three", target_cell=CellPath.parse("api"))
        await wished(s, "four", target_cell=CellPath.parse("api"), is_admin=False)
        await at_rest(s)

    run(story)


@pytest.mark.proves("R127", "R128", "Q19")
def test_cells_that_are_not_wanted_and_such_that_an_image_cannot_do_with_are_left_out() -> None:
    """Again and again: nothing is used up by asking."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        for server in ("one", "two"):
            await wished(s, server, hypervisor_version=">6.0, <=6.3")
            assert s.truth.running(server) == ("h2",)
        await wished(s, "three", different_cell=(EU,))
        assert s.truth.running("three")[0] in {"h3", "h4"}
        with pytest.raises(NoCellsAvailable):
            await wished(s, "four", different_cell=(EU, US))
        await at_rest(s)

    run(story, with_versions)


@pytest.mark.proves("R129")
def test_a_mute_cell_is_chosen_last() -> None:
    """However much it weighed before it fell silent."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        await s.call("api/cell", SetNeighbour(cell=US, weight_offset=500.0))
        await s.create("one")
        assert s.truth.running("one")[0] in {"h3", "h4"}
        await s.wait(60.0)
        await s.create("two")
        assert s.truth.running("two")[0] in {"h1", "h2"}
        await at_rest(s)

    run(story, falling_silent)


@pytest.mark.proves("R120")
def test_the_target_of_a_move_is_chosen_by_the_same_means() -> None:
    """Among the cells that may be chosen the best one; a named host stays the user's word."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        await s.create("web", host="h3")
        await s.call("api/cell", SetNeighbour(cell=EU, weight_offset=100.0))
        await s.call("api!eu/cell", SetNeighbour(cell=EU1, weight_offset=100.0))
        await (await s.resize("web")).done()
        assert s.truth.running("web") == ("h1",)
        await (await s.confirm("web")).done()
        await (await s.migrate("web", host="h4")).done()
        assert s.truth.running("web") == ("h4",)
        await at_rest(s)

    run(story)


# --- tried again -------------------------------------------------------------------------------------------


def choices(move: Any) -> int:
    """Count how often a host was chosen, or was not to be found."""
    return [each.step for each in move.journal].count("choose_target")


@STAGES
@pytest.mark.proves("R123")
def test_a_server_that_no_cell_takes_is_tried_again_and_again_and_then_refused(on: Callable[..., Any]) -> None:
    """So often, with a pause between.  Otherwise than Nova, no record in error is left: nothing has begun of it."""

    async def story(s: Scenario) -> None:
        await s.create("first")
        began = s.stage.history.now_ns()
        refused = await (await s.create("second", wait=False)).over()
        assert (refused.error, choices(refused)) == ("no_cells_available", 4)
        assert "after 4 tries: no host has room for it" in str(refused.cause)
        assert (s.stage.history.now_ns() - began) / 1e9 >= 15.0
        assert s.truth.home("second") is None
        await at_rest(s)

    run(
        story, lambda layout: layout, cells=("api", "api!us"), hosts={"h3": "api"}, memory_mb={"h3": TINY.memory_mb},
        crossing=PERSISTENT, on=on,
    )  # fmt: skip


@pytest.mark.proves("R123")
def test_a_user_who_did_not_wait_finds_why_his_server_is_not_there() -> None:
    """By its name, its id or the start of that: while it is tried again, and when that is over; the newest counts."""

    async def found(s: Scenario, which: str) -> Created | None:
        return (await s.call("api/conductor", FindCreate(which=which))).created

    async def story(s: Scenario) -> None:
        await s.create("first")
        trying = await s.create("second", wait=False)
        await s.wait(7.0)
        underway = await found(s, "second")
        assert underway is not None
        assert (underway.line.conversation, underway.line.ending) == (trying.conversation, None)
        await trying.over()
        for which in ("second", "seco"):
            refused = await found(s, which)
            assert refused is not None
            assert (refused.order.name, refused.line.server, refused.line.goal) == ("second", "second", Goal.CREATE)
            ending = refused.line.ending
            assert ending is not None
            assert ending.cause is not None
            assert (ending.is_success, ending.cause.code) == (False, "no_cells_available")
            assert "after 4 tries: no host has room for it" in ending.cause.message
        assert [await found(s, which) for which in ("nobody", "sec")] == [None, None]
        await (await s.delete("first")).done()
        await s.create("second")
        newest = await found(s, "second")
        assert newest is not None
        assert newest.line.ending is not None
        assert newest.line.ending.is_success
        await at_rest(s)

    run(
        story, lambda layout: layout, cells=("api", "api!us"), hosts={"h3": "api"}, memory_mb={"h3": TINY.memory_mb},
        crossing=PERSISTENT,
    )  # fmt: skip


@STAGES
@pytest.mark.proves("R123")
def test_room_that_comes_meanwhile_is_taken(on: Callable[..., Any]) -> None:
    """Each try asks anew; a conductor that dies in the pause goes on with the next."""

    async def story(s: Scenario) -> None:
        await s.create("first")
        second = await s.create("second", wait=False)
        await s.wait(3.0)
        s.kill("api/conductor", down_s=1.0)
        await s.wait(4.0)
        await (await s.delete("first")).done()
        await second.done()
        assert s.truth.running("second") == ("h3",)
        assert 2 <= choices(second) <= 4
        await s.quiet()

    run(
        story, lambda layout: layout, cells=("api", "api!us"), hosts={"h3": "api"}, memory_mb={"h3": TINY.memory_mb},
        crossing=PERSISTENT, on=on,
    )  # fmt: skip


@STAGES
def test_a_delete_ends_what_is_tried_again(on: Callable[..., Any]) -> None:
    """Within a pause: nobody has to wait for the last try."""

    async def story(s: Scenario) -> None:
        await s.create("first")
        second = await s.create("second", wait=False)
        await s.wait(7.0)
        await (await s.delete("second")).over()
        await second.over()
        assert choices(second) < 4
        await at_rest(s)

    run(
        story, lambda layout: layout, cells=("api", "api!us"), hosts={"h3": "api"}, memory_mb={"h3": TINY.memory_mb},
        crossing=PERSISTENT, on=on,
    )  # fmt: skip


@pytest.mark.proves("R123")
def test_what_would_not_change_is_not_tried_again() -> None:
    """A host that was named, and a move: their users hear of it at once."""

    async def story(s: Scenario) -> None:
        await s.create("first")
        named = await (await s.create("second", host="h3", wait=False)).over()
        move = await (await s.migrate("first")).over()
        assert (named.error, choices(named), move.error, choices(move)) == ("no_valid_host", 1, "no_valid_host", 1)
        await at_rest(s)

    run(
        story, lambda layout: layout, cells=("api", "api!us"), hosts={"h3": "api"}, memory_mb={"h3": TINY.memory_mb},
        crossing=PERSISTENT,
    )  # fmt: skip
