"""A child cell that was taken over tries everything in the simulator: the real links, and brokers with real rights."""

from __future__ import annotations

from typing import Final

import anyio
import pytest

from actors.cell.gate import Guard
from actors.kernel.ports import Delivery, Queue, Wire
from protocol.cell_path import Address
from protocol.errors import Forbidden
from sim.cases.layout import Layout
from sim.process import Process
from sim.world import World
from tests.forbidden.acts import ACTS, ASKED, BROKER, EU, RATE, ROOT, US, Act, Denied

pytestmark = pytest.mark.anyio

GUARD: Final = Guard(per_s_max=RATE, refuses_doubles=True)
LAYOUT: Final = Layout(cells=(ROOT, EU, US), hosts={"h1": EU, "h2": US})
ASKER: Final = "asker"


class SimVillain:
    """Everything that the processes of `api!eu` may do at simulated brokers."""

    def __init__(self, world: World) -> None:
        self.replies = f"replies:{ASKER}:0"
        self._link = world.brokers.connect(Process(f"{EU}/link"))
        self._host = world.brokers.connect(Process(f"{EU}/host:h1"))
        self._inbound = Queue(ROOT, f"from:{EU}")

    async def send(self, frame: bytes) -> None:
        """Put a frame where the link of `api!eu` may."""
        await self._link.send(self._inbound, frame)

    async def send_nameless(self, frame: bytes) -> None:
        """No process is without a name here: one without is made by hand."""
        self._link.process.name = ""
        self._link.ground.has_rights = False
        try:
            await self._link.send(self._inbound, frame)
        finally:
            self._link.process.name = f"{EU}/link"
            self._link.ground.has_rights = True

    async def send_as_other(self, frame: bytes) -> None:
        """A host of the cell sends in the place of its link."""
        await self._denied(self._host, self._inbound, frame)

    async def write(self, queue: Queue, frame: bytes) -> None:
        """Put a frame into another queue."""
        await self._denied(self._link, queue, frame)

    async def read(self, queue: Queue) -> None:
        """Take from a queue."""
        try:
            async with self._link.consume(queue, self._take, prefetch=1):
                pytest.fail("it was let in")
        except Forbidden as error:
            raise Denied from error

    async def declare(self, queue: Queue) -> None:
        """Make a queue."""
        try:
            await self._link.declare(queue)
        except Forbidden as error:
            raise Denied from error

    async def delete(self, queue: Queue) -> None:
        """Take a queue away."""
        try:
            await self._link.purge(queue)
        except Forbidden as error:
            raise Denied from error

    @staticmethod
    async def _denied(wire: Wire, queue: Queue, frame: bytes) -> None:
        try:
            await wire.send(queue, frame)
        except Forbidden as error:
            raise Denied from error

    @staticmethod
    def _take(_delivery: Delivery) -> None:
        pytest.fail("it got a frame")


async def tried(act: Act, villain: SimVillain, world: World) -> tuple[str, str]:
    """Try an act; tell who has refused it, for which reason, and in which words."""
    before = len(world.brokers.dead_letters(ROOT))
    try:
        await act.act(villain)
    except Denied:
        return BROKER, ""
    await anyio.sleep(5)
    new = world.brokers.dead_letters(ROOT)[before:]
    assert len(new) == 1, f"{act.name}: {new}"
    return new[0].reason, act.why if act.why in new[0].why else new[0].why


async def test_each_forbidden_act_is_refused_with_its_own_reason() -> None:
    """By the broker, or by the link as one dead letter; and afterwards all cells serve as before."""
    world = World(LAYOUT, guard=GUARD)
    async with world.running(), world.ports.post(ROOT, ASKER).open() as asker:
        asker.calls.open(ASKED, until_s=1e9, asked=Address(US, "cell"))
        villain = SimVillain(world)
        refused = {act.name: await tried(act, villain, world) for act in ACTS}
        assert refused == {act.name: (act.reason, act.why) for act in ACTS}
        assert asker.calls.asked(ASKED) is not None, "it was answered"
        assert {host.host: host.cell for host in (await world.client.hosts()).hosts} == {"h1": str(EU), "h2": str(US)}


def test_there_are_25_acts_and_more_and_no_two_are_one() -> None:
    """Each has a name and a sentence of its own, and all but what the broker refuses a reason in its own words."""
    assert len(ACTS) >= 25
    assert len({act.name for act in ACTS}) == len({act.text for act in ACTS}) == len(ACTS)
