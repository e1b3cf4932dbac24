"""What a reading of the truth is worth while messages are still under way."""

from __future__ import annotations

import pytest

from actors.observing import at_rest
from protocol.cell_path import CellPath
from protocol.records import Mapping, Record
from protocol.truth import CellTruth, Memory, Truth
from sim.clock import run

ROOT = CellPath.parse("api")
OLD, NEW, NEWER = (Mapping(server="s1", cell="api!eu", generation=generation) for generation in range(3))


def reading(*rows: Record, waiting: int = 0) -> Truth:
    memory = Memory(actor="api!eu/cell", keys=(), waiting=waiting)
    return Truth(
        root=ROOT, cells=(CellTruth(path=ROOT, rows=rows),), partners=(), image_files=(), guests=(), memories=(memory,)
    )


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param((reading(OLD, waiting=1), reading(NEW)), id="news waits"),
        pytest.param((reading(OLD), reading(NEW)), id="news went from a store unread to one that had been read"),
        pytest.param((reading(OLD), reading(NEW), reading(NEWER)), id="and so on, from store to store"),
        pytest.param((reading(OLD), reading(OLD, waiting=1), reading(NEW)), id="news is written between two readings"),
    ],
)
def test_only_what_does_not_move_is_a_verdict(readings: tuple[Truth, ...]) -> None:
    """Whatever is read while something is under way, what is returned is what stays."""
    left = list(readings)

    async def read() -> Truth:
        return left.pop(0) if len(left) > 1 else left[0]

    assert run(at_rest, read) == readings[-1]


def test_what_never_rests_is_shown_as_it_is() -> None:
    """When the time is over, the last reading is returned, with what waits in it."""

    async def read() -> Truth:
        return reading(OLD, waiting=1)

    assert run(at_rest, read) == reading(OLD, waiting=1)
