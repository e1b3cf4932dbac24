"""Damage among what a neighbour sends: what is good beside it is taken as ever, through a real link."""

from __future__ import annotations

from collections import Counter
from typing import Final

import anyio

from actors.kernel.ports import Queue
from actors.wire.memory import MemoryWire
from protocol.cell_path import Address
from protocol.messages.tree import ShowCell
from sim import clock
from sim.cases.layout import Layout
from sim.ports import SeededRandom
from sim.world import World
from tests.fuzz.damage import EU, KINDS, ROOT
from tests.shares import IS_NIGHT

#: So many of each kind of damage; after each round of all kinds something is asked, whose answer comes the same way.
ROUNDS: Final = 200 if IS_NIGHT else 10
LINK: Final = Queue(ROOT, f"from:{EU}")


def test_what_is_good_comes_through_among_what_is_damaged() -> None:
    """Every question is answered, and every damaged frame is a dead letter of its own kind."""
    chance = SeededRandom("link")
    wire = MemoryWire()

    def draw(below: int) -> int:
        return int(chance.uniform() * below)

    async def ask_among_them() -> None:
        world = World(Layout(cells=(ROOT, EU), hosts={}), wires=lambda _process: wire)
        async with world.running(), world.ports.post(ROOT, "asker").open() as asker:
            for _ in range(ROUNDS):
                for _reason, damaged in KINDS:
                    await wire.send(LINK, damaged(draw))
                shown = await asker.call(Address(EU, "cell"), ShowCell())
                assert shown.cell == EU
            await anyio.sleep(1.0)
        world.close()

    clock.run(ask_among_them)
    letters = Counter(letter.reason for letter in wire.dead_letters(ROOT))
    assert letters == Counter(reason for reason, _damaged in KINDS for _ in range(ROUNDS))
