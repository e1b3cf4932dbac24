"""What one broadcast call costs by the number of cells: the production actors of a whole tree in the simulator.

    python benchmarks/cells.py

Prints one JSON line for each tree, of 10 to 1,000 cells: deep (ten children a cell) and flat (all below the root).
`cpu` figures count this process's own time; a flat line of milliseconds per cell is what they should show.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections import Counter
from functools import partial
from typing import Final

from protocol.cell_path import CellPath
from protocol.messages.capacity import FindRoom
from sim import clock
from sim.world import Layout, World

SIZES: Final = (10, 30, 100, 300, 1000)
CHILDREN: Final = 10
ROUNDS: Final = 5
ROOM: Final = FindRoom(vcpus=1, memory_mb=1, disk_gb=1)


def cells_of(count: int, *, children: int) -> tuple[CellPath, ...]:
    """Make a tree of so many cells, with at most so many children each."""
    paths = [CellPath.parse("api")]
    for number in range(1, count):
        paths.append(paths[(number - 1) // children].child(f"c{number}"))
    return tuple(paths)


async def measure(count: int, *, children: int, rounds: int) -> dict[str, object]:
    """Bring a tree up and gather from its root, some times; the first, which fills caches, does not count."""
    begun_s = time.process_time()
    world = World(Layout(cells=cells_of(count, children=children), hosts={}))
    async with world.running(), world.ports.post(world.layout.root, "asker").open() as asker:
        started_s = time.process_time() - begun_s
        took_s, virtual_ns, exact = [], 0, True
        for _ in range(rounds + 1):
            gc.collect()
            gc.freeze()  # A thousand cells are a thousand processes elsewhere: nobody goes through all they keep.
            since_s, since_ns = time.process_time(), world.time.now_ns()
            answers = (await asker.gather(ROOM)).answers
            took_s.append(time.process_time() - since_s)
            virtual_ns = world.time.now_ns() - since_ns
            counts = Counter(answer.cell for answer in answers if not answer.is_error)
            exact = exact and counts == Counter(world.layout.cells)
    world.close()
    return {
        "cells": count,
        "children": min(children, count - 1),
        "is_exact": exact,
        "start_cpu_ms_per_cell": round(started_s / count * 1e3, 2),
        "gather_cpu_ms_per_cell": round(statistics.median(took_s[1:]) / count * 1e3, 2),
        "gather_virtual_ms": round(virtual_ns / 1e6, 1),
    }


def main() -> None:
    """Measure every tree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    for is_flat in (False, True):
        for size in options.sizes:
            children = size if is_flat else CHILDREN
            figures = clock.run(partial(measure, size, children=children, rounds=options.rounds))
            sys.stdout.write(json.dumps({"tree": "flat" if is_flat else "deep", **figures}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
