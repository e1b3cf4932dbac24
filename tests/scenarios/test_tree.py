"""The state of the tree, live: what cells tell upward, who is mute, and neighbours that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import pytest

from actors.cell.router import inbound
from protocol.cell_path import CellPath
from protocol.errors import CallTimeout, CellferryError, CellInUse, InvalidValue, UnknownCell
from protocol.messages.tree import (
    AddNeighbour,
    CellState,
    ListNeighbours,
    RemoveCell,
    RemoveNeighbour,
    ShowCell,
)
from protocol.records import Amounts
from sim import Scenario
from sim.history import Handed, Noted
from tests.scenarios.endings import at_rest
from tests.scenarios.every_method import CELLS

if TYPE_CHECKING:
    from sim.cases.layout import Layout

HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!eu!eu-2", "h3": "api!us"}
ROOT, EU, EU1, US = (CellPath.parse(path) for path in ("api", "api!eu", "api!eu!eu-1", "api!us"))
OF_A_HOST_MB: Final = 16_384
ANNOUNCE_S: Final = 10.0
MUTE_S: Final = 30


def advertising(layout: Layout) -> Layout:
    """Have cells tell each other of themselves now and then, and find the silent mute after three times that."""
    return layout.advertising(announce_s=ANNOUNCE_S, mute_child_s=MUTE_S, look_s=1.0)


def telling(layout: Layout) -> Layout:
    """Have them do so, with the neighbours that they have."""
    return layout.advertising(announce_s=ANNOUNCE_S, mute_child_s=MUTE_S)


def without(cell: CellPath, layout: Layout) -> Layout:
    """Have the settings of its parent know nothing of a cell, though all of it runs."""
    arranged = advertising(layout)
    assert cell.parent is not None
    rules = arranged.rules[cell.parent]
    fewer = attrs.evolve(rules, children=tuple(edge for edge in rules.children if edge.cell != cell))
    return attrs.evolve(arranged, rules={**arranged.rules, cell.parent: fewer})


async def shown(s: Scenario, cell: CellPath = ROOT) -> CellState:
    return await s.call(f"{cell}/cell", ShowCell())


def noted(s: Scenario, event: str) -> list[str]:
    lines = (line.what for line in s.stage.history.lines if isinstance(line.what, Noted))
    return [note.detail for note in lines if note.event == event]


def handed(s: Scenario, method: str) -> list[str]:
    """List the queues from which a method was taken."""
    lines = (line.what for line in s.stage.history.lines if isinstance(line.what, Handed))
    return [each.queue for each in lines for note in each.notes if note.method == method]


# --- what cells tell ---------------------------------------------------------------------------------------


@pytest.mark.proves("R31", "R32", "R114", "R115", "R119", "R130")
def test_the_root_knows_within_seconds_what_all_below_have() -> None:
    """A cell tells its parent as it starts, and that tells its own at once: nobody waits for the next time."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        root = await shown(s)
        assert root.capacities.ram_free == Amounts(total_mb=3 * OF_A_HOST_MB, units_by_mb={"1024": 3 * 16})
        assert root.capabilities == {"zone": ("eu-1", "eu-2", "us")}
        assert [(child.cell, child.capacities.ram_free.total_mb) for child in root.children] == [
            (EU, 2 * OF_A_HOST_MB), (US, OF_A_HOST_MB),
        ]  # fmt: skip
        await s.create("web", host="h1")
        await s.wait(ANNOUNCE_S + 3)
        left_mb = (await shown(s)).capacities.ram_free.total_mb
        assert 2 * OF_A_HOST_MB < left_mb < 3 * OF_A_HOST_MB
        await at_rest(s)

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=telling)


@pytest.mark.proves("R33", "R34", "R130")
def test_a_parent_that_starts_asks_its_children_and_knows_them_from_before() -> None:
    """Both halves, of each child; and what it was told before it died is still there if they are slow to answer."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        for half in ("announce_capabilities", "announce_capacities"):
            assert {f"{EU1}/cell", f"{US}/cell"} <= set(handed(s, half))
        s.mute(f"{EU1}/cell")
        asked = len(handed(s, "announce_capacities"))
        s.kill(f"{EU}/cell", down_s=1.0)
        await s.wait(5.0)
        assert len(handed(s, "announce_capacities")) > asked
        assert (await shown(s, EU)).capacities.ram_free.total_mb == 2 * OF_A_HOST_MB
        s.heal()
        await s.quiet()

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=telling)


@pytest.mark.proves("R31", "R32", "R130")
def test_lost_and_doubled_announcements_repair_themselves() -> None:
    """They are casts: the next ones say it all again, and saying it twice changes nothing."""

    async def story(s: Scenario) -> None:
        s.lose(f"{EU1}/link", f"{EU}/link", times=8)
        s.double(f"{US}/link", f"{ROOT}/link")
        await s.wait(5 * ANNOUNCE_S)
        assert (await shown(s)).capacities.ram_free.total_mb == 3 * OF_A_HOST_MB
        await s.quiet()

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=telling)


@pytest.mark.proves("R114", "R115", "Q17")
def test_a_mute_child_is_named_once_and_once_when_it_speaks_again() -> None:
    """However long it is silent; meanwhile nobody above counts on what it has."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        s.cut(str(EU), str(EU1))
        await s.wait(MUTE_S + 2 * ANNOUNCE_S)
        (eu_1,) = [child for child in (await shown(s, EU)).children if child.cell == EU1]
        assert eu_1.is_mute
        assert eu_1.silent_s is not None
        assert eu_1.silent_s > MUTE_S
        assert (await shown(s)).capabilities == {"zone": ("eu-2", "us")}
        assert (await shown(s)).capacities.ram_free.total_mb == 2 * OF_A_HOST_MB
        await s.wait(10 * MUTE_S)
        assert [str(EU1) in detail for detail in noted(s, "child_mute")] == [True]
        assert noted(s, "child_heard_again") == []
        s.heal()
        await s.wait(2 * ANNOUNCE_S)
        assert len(noted(s, "child_mute")) == len(noted(s, "child_heard_again")) == 1
        assert (await shown(s)).capacities.ram_free.total_mb == 3 * OF_A_HOST_MB
        await s.quiet()

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=telling)


# --- neighbours that come and go -----------------------------------------------------------------------------


@pytest.mark.proves("R110", "R111")
def test_a_cell_that_is_added_is_reached_without_a_restart() -> None:
    """Before, what is for it is refused by the last cell on the way; after, it is a cell like the others."""

    async def story(s: Scenario) -> None:
        await s.wait(2.0)
        with pytest.raises(UnknownCell, match="cell api has no neighbour api!us"):
            await shown(s, US)
        await s.call("api/cell", AddNeighbour(cell=US, weight_offset=1.0))
        await s.wait(2.0)
        assert (await shown(s, US)).cell == US
        assert [child.cell for child in (await shown(s)).children] == [EU, US]
        assert {answer.cell for answer in await s.gather(ShowCell())} == set(CELLS)
        await s.create("web", host="h3")
        await at_rest(s)

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=lambda layout: without(US, layout))


async def _remove(s: Scenario, cell: CellPath, *, is_forced: bool = False) -> None:
    await s.call("api/conductor", RemoveCell(cell=cell, is_forced=is_forced))
    await s.wait(2.0)


def test_a_cell_that_holds_something_is_not_removed_unless_it_is_forced() -> None:
    """Its own servers, and those of the cells below it; the refusal names one, and the way out."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        for cell in (EU1, EU):
            with pytest.raises(CellInUse, match=r"1 server\(s\) are there, .* move or delete what is there, or force"):
                await _remove(s, cell)
        assert (await shown(s, EU1)).cell == EU1
        await _remove(s, CellPath.parse("api!eu!eu-2"))
        await (await s.delete("web")).done()
        await _remove(s, EU)
        with pytest.raises(UnknownCell, match="cell api has no neighbour api!eu"):
            await shown(s, EU1)
        await s.create("other")
        await s.wait(1.0)
        assert s.truth.running("other") == ("h3",)
        await s.quiet()

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=advertising)


def test_a_cell_to_which_a_server_is_on_its_way_is_not_removed() -> None:
    """No server has its home there yet, but a conversation has it in its journal."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h3", "spawn", how="late", late_s=30)
        move = await s.resize("web", host="h3")
        await s.wait(3.0)
        with pytest.raises(CellInUse, match=r"resize .* of server .* is under way there"):
            await _remove(s, US)
        assert (await shown(s, US)).cell == US
        await move.done()
        await s.quiet()

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=advertising)


def test_the_root_is_not_removed() -> None:
    """There would be nobody left to say so."""

    async def story(s: Scenario) -> None:
        with pytest.raises(InvalidValue, match="the root cannot be removed"):
            await _remove(s, ROOT, is_forced=True)

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=advertising)


def test_a_removed_cell_stays_removed_over_restarts_and_comes_back_when_it_is_added() -> None:
    """It is let go from both sides, its queue here goes with it, and an added one is taken back from both sides."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        await s.create("web", host="h3")
        await _remove(s, US, is_forced=True)
        s.kill(f"{ROOT}/cell")
        s.kill(f"{ROOT}/link")
        await s.wait(10.0)
        assert [child.cell for child in (await shown(s)).children] == [EU]
        assert (await s.call(f"{ROOT}/cell", ListNeighbours())).children == (EU,)
        assert (await s.call(f"{US}/cell", ListNeighbours(), at=str(US))).parent is None
        with pytest.raises(CellferryError):
            await s.call(f"{ROOT}/cell", ShowCell(), at=str(US), budget_s=5.0)
        await s.call(f"{ROOT}/cell", AddNeighbour(cell=US))
        await s.wait(2.0)
        await s.cast(f"{US}/cell", AddNeighbour(cell=ROOT))
        await s.wait(ANNOUNCE_S + 2.0)
        assert (await shown(s, US)).parent == ROOT
        assert (await shown(s)).capabilities == {"zone": ("eu-1", "eu-2", "us")}
        await (await s.stop("web")).done()
        await s.quiet()

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=advertising)


def test_a_removal_that_comes_twice_or_is_half_done_is_harmless() -> None:
    """The parent may have let the cell go already; the child may be gone."""

    async def story(s: Scenario) -> None:
        await s.call("api/cell", RemoveNeighbour(cell=US))
        await _remove(s, US)
        await _remove(s, US)
        with pytest.raises((UnknownCell, CallTimeout)):
            await shown(s, US)
        assert inbound(US, ROOT).name == "from:api!us"
        await s.quiet()

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=advertising)
