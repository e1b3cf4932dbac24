"""A tree of many cells: a broadcast call is represented exactly once by each."""

from __future__ import annotations

from typing import Final

import pytest

from protocol.cell_path import CellPath
from protocol.messages.capacity import FindRoom
from sim.world import Layout, World

pytestmark = pytest.mark.anyio
#: `benchmarks/cells.py` asks a thousand, and says what each costs.
CELLS: Final = 200
ROOM: Final = FindRoom(vcpus=1, memory_mb=1, disk_gb=1)


def cells_of(count: int, *, children: int) -> tuple[CellPath, ...]:
    """Make a tree of so many cells, with at most so many children each."""
    paths = [CellPath.parse("api")]
    for number in range(1, count):
        paths.append(paths[(number - 1) // children].child(f"c{number}"))
    return tuple(paths)


@pytest.mark.proves("R22", "Q24")
@pytest.mark.parametrize("children", [3, CELLS], ids=["deep", "flat"])
async def test_each_of_many_cells_answers_once(children: int) -> None:
    """Every cell below the source by its own answer, the source's last; from a cell in the middle those of its side."""
    cells = cells_of(CELLS, children=children)
    world = World(Layout(cells=cells, hosts={}))
    async with world.running(), world.ports.post(world.layout.root, "asker").open() as asker:
        answers = (await asker.gather(ROOM)).answers
        assert sorted(answer.cell for answer in answers) == sorted(cells)
        assert not any(answer.is_error for answer in answers)
        assert answers[-1].cell == world.layout.root
        middle = cells[1]
        async with world.ports.post(middle, "asker").open() as other:
            side = [cell for cell in cells if cell == middle or middle.is_above(cell)]
            assert sorted(answer.cell for answer in (await other.gather(ROOM)).answers) == sorted(side)
    world.close()
