"""What the tests of the simulated brokers share: a small world of brokers and processes, and what happened there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import anyio

from actors.kernel.ports import Queue, Receive
from actors.wire.topology import FRAME_BYTES_MAX, MESSAGES_MAX
from protocol.cell_path import Address
from protocol.codec import encode, encode_frame
from protocol.envelope import Context, Key, Targeted
from sim.brokers.broker import Brokers
from sim.brokers.wire import SimWire
from sim.chance import Chance
from sim.clock import SimLoop
from sim.faults import Fault
from sim.history import Happening, History, Lost, Sent, Settled
from sim.injector import Injector
from sim.process import Process

H = TypeVar("H", bound=Happening)
SENDER: Final = "api!eu/cell"
HOST: Final = "api!eu/host:h1"
BUDGET_S: Final = 30.0


class Site:
    """Brokers under a plan of faults, and their history."""

    def __init__(
        self,
        *plan: Fault,
        seed: int = 0,
        messages_max: int = MESSAGES_MAX,
        frame_bytes_max: int = FRAME_BYTES_MAX,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        chance = Chance(seed)
        self.history = History(lambda: loop.now_ns)
        self.injector = Injector(plan, chance=chance, history=self.history)
        self.brokers = Brokers(
            history=self.history,
            injector=self.injector,
            chance=chance,
            messages_max=messages_max,
            frame_bytes_max=frame_bytes_max,
        )
        self.processes: list[Process] = []

    def process(self, name: str) -> Process:
        """Start a process."""
        self.processes.append(Process(name))
        return self.processes[-1]

    def wire(self, name: str) -> SimWire:
        """Start a process and give its wire."""
        return self.brokers.connect(self.process(name))

    def happened(self, kind: type[H]) -> list[H]:
        """List what happened of one kind."""
        return [line.what for line in self.history.lines if isinstance(line.what, kind)]

    def unaccounted(self) -> int:
        """Count the frames that were sent, and are neither settled, nor lost, nor in flight: the books of R8."""
        gone = len(self.happened(Settled)) + len(self.happened(Lost))
        return len(self.happened(Sent)) - gone - self.brokers.kept()


def frame_about(
    method: str, *, number: int = 0, server: str = "s1", key: Key | None = None, call: bool = True
) -> bytes:
    """Make a frame with one call or cast in it; `number` tells one sending from another."""
    source = Address.parse(SENDER)
    envelope = Targeted(
        id=number.to_bytes(16, "big"), method=method, context=Context(request_id="r1"), source=source,
        route=(source.cell,), call=call, reply_to="replies:cell:0" if call else "", budget_s=BUDGET_S, server=server,
        key=key, body=b"", target=Address.parse(HOST),
    )  # fmt: skip
    return encode_frame([encode(envelope)])


async def hold_open(wire: SimWire, queue: Queue, inbox: Receive, *, prefetch: int = 100) -> None:
    """Consume for ever, as a process does."""
    async with wire.consume(queue, inbox, prefetch=prefetch):
        await anyio.sleep_forever()


@asynccontextmanager
async def simulated_wire(*, messages_max: int, frame_bytes_max: int) -> AsyncIterator[SimWire]:
    """Give a wire of a world without faults, and check the books at its end."""
    site = Site(messages_max=messages_max, frame_bytes_max=frame_bytes_max)
    yield site.wire(SENDER)
    await anyio.sleep(1)
    assert site.unaccounted() == 0
