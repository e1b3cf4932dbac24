"""What damaged messages cost those that are good: calls over a link of a neighbour that also sends damaged frames.

    python -m benchmarks.intake

Two cells in one process over the memory wire, in real time; 64 calls at once from the root to its child, whose answers
come by the queue into which the damaged frames go, too: none, one for each answer, ten for each.  Prints one JSON line
for each, medians of interleaved rounds; `cost` is how much longer a call takes than alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from functools import partial
from typing import Final

import anyio

from actors.kernel.ports import Queue
from actors.kernel.post import Post
from actors.wire.memory import MemoryWire
from protocol.cell_path import Address
from protocol.messages.tree import ShowCell
from sim.cases.layout import Layout
from sim.ports import SeededRandom
from sim.world import World
from tests.fuzz.damage import EU, KINDS, ROOT

ROUNDS: Final = 7
CALLS: Final = 512
AT_ONCE: Final = 64
BESIDE: Final = (0, 1, 10)
#: What is larger is refused for its size alone.
LARGE_BYTES: Final = 4_096
LINK: Final = Queue(ROOT, f"from:{EU}")


async def measure(beside: int, *, calls: int) -> float:
    """Make the calls, each with so many damaged frames beside its answer; tell how many a second were answered."""
    chance = SeededRandom("intake")
    wire = MemoryWire(messages_max=1_000_000)
    world = World(Layout(cells=(ROOT, EU), hosts={}), wires=lambda _process: wire)
    bad = [damaged(lambda below: int(chance.uniform() * below)) for _reason, damaged in KINDS for _ in range(4)]
    bad = [frame for frame in bad if len(frame) < LARGE_BYTES]

    async def ask(asker: Post, numbers: range) -> None:
        for number in numbers:
            for place in range(beside):
                await wire.send(LINK, bad[(number * beside + place) % len(bad)])
            await asker.call(Address(EU, "cell"), ShowCell())

    async with world.running(), world.ports.post(ROOT, "asker").open() as asker:
        await ask(asker, range(AT_ONCE))
        since_s = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for first in range(AT_ONCE):
                tasks.start_soon(ask, asker, range(first, calls, AT_ONCE))
        took_s = time.perf_counter() - since_s
    world.close()
    return calls / took_s


def main() -> None:
    """Measure, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--calls", type=int, default=CALLS)
    options = parser.parse_args()
    rates: dict[int, list[float]] = {beside: [] for beside in BESIDE}
    for _ in range(options.rounds):
        for beside, found in rates.items():
            found.append(anyio.run(partial(measure, beside, calls=options.calls)))
    alone = statistics.median(rates[0])
    for beside, found in rates.items():
        rate = statistics.median(found)
        line = {
            "damaged_per_call": beside, "calls_per_s": round(rate), "damaged_per_s": round(rate * beside),
            "cost": round(alone / rate, 2),
        }  # fmt: skip
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
