"""What cells tell each other of what they have, and neighbours that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.cell_path import CellPath
from protocol.messages import tree as say
from protocol.messages.root import CountServersBelow, ServersBelow
from protocol.records import CellFreeze, CellProfile, Neighbour, Size
from tests.scenarios.every_method import CELLS, DEEP, shows

if TYPE_CHECKING:
    from sim import Scenario

MIDDLE: Final = CellPath.parse("api!eu")
LEAF: Final = CellPath.parse(DEEP)


async def _child(s: Scenario, of: CellPath, child: CellPath) -> say.ChildState:
    """Look at a child as its parent knows it."""
    return next(each for each in (await s.call(f"{of}/cell", say.ShowCell())).children if each.cell == child)


#: A cell says these in its own name alone, to its parent: what comes of it above, that one says in its own.
BETWEEN_NEIGHBOURS: Final = frozenset({say.UpdateCapabilities, say.UpdateCapacities})


@shows(say.UpdateCapabilities)
async def update_capabilities(s: Scenario) -> None:
    s.plant(f"{DEEP}/cell", CellProfile(cell=DEEP, capabilities={"os": ("linux",)}))
    s.plant(f"{MIDDLE}/cell", Neighbour(cell=DEEP))
    await s.call(f"{DEEP}/cell", say.AnnounceCapabilities())
    await s.wait(1.0)
    assert (await _child(s, MIDDLE, LEAF)).capabilities == {"os": ("linux",)}


@shows(say.UpdateCapacities)
async def update_capacities(s: Scenario) -> None:
    s.plant(f"{DEEP}/cell", CellProfile(cell=DEEP, sizes=(Size(memory_mb=1024, disk_mb=1),)))
    s.plant(f"{MIDDLE}/cell", Neighbour(cell=DEEP))
    await s.call(f"{DEEP}/cell", say.AnnounceCapacities())
    await s.wait(1.0)
    assert (await _child(s, MIDDLE, LEAF)).capacities.ram_free.units_by_mb == {"1024": 2 * 16}


@shows(say.AnnounceCapabilities)
async def announce_capabilities(s: Scenario) -> None:
    s.plant(f"{MIDDLE}/cell", Neighbour(cell=DEEP))
    await s.call(f"{DEEP}/cell", say.AnnounceCapabilities())
    await s.wait(1.0)
    assert (await _child(s, MIDDLE, LEAF)).silent_s is not None


@shows(say.AnnounceCapacities)
async def announce_capacities(s: Scenario) -> None:
    s.plant(f"{MIDDLE}/cell", Neighbour(cell=DEEP))
    await s.call(f"{DEEP}/cell", say.AnnounceCapacities())
    await s.wait(1.0)
    assert (await _child(s, MIDDLE, LEAF)).capacities.ram_free.total_mb == 2 * 16_384


@shows(say.ShowCell)
async def show_cell(s: Scenario) -> None:
    assert {answer.cell for answer in await s.gather(say.ShowCell())} == set(CELLS)


@shows(say.AddNeighbour)
async def add_neighbour(s: Scenario) -> None:
    new = LEAF.child("new")
    await s.call(f"{DEEP}/cell", say.AddNeighbour(cell=new, weight_offset=2.0))
    assert (await _child(s, LEAF, new)).weight_offset == 2.0


@shows(say.SetNeighbour)
async def set_neighbour(s: Scenario) -> None:
    new = LEAF.child("new")
    s.plant(f"{DEEP}/cell", Neighbour(cell=str(new)))
    await s.call(f"{DEEP}/cell", say.SetNeighbour(cell=new, weight_scale=0.5))
    assert (await _child(s, LEAF, new)).weight_scale == 0.5


@shows(say.RemoveNeighbour)
async def remove_neighbour(s: Scenario) -> None:
    new = LEAF.child("new")
    s.plant(f"{DEEP}/cell", Neighbour(cell=str(new)))
    await s.call(f"{DEEP}/cell", say.RemoveNeighbour(cell=new))
    assert (await s.call(f"{DEEP}/cell", say.ListNeighbours(), at=DEEP)).children == ()


@shows(say.FreezeCell)
async def freeze_cell(s: Scenario) -> None:
    told = await s.call(DEEP, say.FreezeCell(reason="new switches", user="op"))
    assert (await s.call(DEEP, say.ShowCell())).freeze == told
    assert (told.cell, told.reason, told.user) == (DEEP, "new switches", "op")


@shows(say.ThawCell)
async def thaw_cell(s: Scenario) -> None:
    s.plant(f"{DEEP}/cell", CellFreeze(cell=DEEP))
    await s.call(DEEP, say.ThawCell())
    assert (await s.call(DEEP, say.ShowCell())).freeze is None


@shows(say.ListNeighbours)
async def list_neighbours(s: Scenario) -> None:
    s.plant("api/cell", Neighbour(cell=str(MIDDLE)))
    found = await s.call("api/cell", say.ListNeighbours())
    assert found == say.Neighbourhood(parent=None, children=(MIDDLE,))


@shows(say.ShowLinks)
async def show_links(s: Scenario) -> None:
    found = await s.call(f"{MIDDLE}/link", say.ShowLinks(), at=str(MIDDLE))
    assert [link.cell for link in found.links] == [MIDDLE.root, LEAF, CellPath.parse("api!eu!eu-2")]
    assert {link.down_s for link in found.links} == {None}


@shows(say.RemoveCell)
async def remove_cell(s: Scenario) -> None:
    s.plant(f"{MIDDLE}/cell", Neighbour(cell=DEEP))
    await s.call("api/conductor", say.RemoveCell(cell=LEAF))
    assert (await s.call(f"{MIDDLE}/cell", say.ShowCell())).children == ()


@shows(CountServersBelow)
async def count_servers_below(s: Scenario) -> None:
    await s.create("web", host="h1")
    found = await s.call("api/cell", CountServersBelow(cell=MIDDLE))
    assert found == ServersBelow(count=1, first="web")
    assert await s.call("api/cell", CountServersBelow(cell=CellPath.parse("api!us"))) == ServersBelow(count=0)
