"""What every wire promises while a broker is away; on memory and simulated brokers, and on a RabbitMQ that is ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs
import pytest

from actors.kernel.ports import Queue, Wire
from actors.wire.memory import MemoryWire
from actors.wire.rabbitmq import RabbitWire
from actors.wire.topology import RabbitSettings
from protocol.cell_path import CellPath
from protocol.errors import TransportLost
from sim.clock import SimLoop
from sim.faults import Fault, FaultKind
from sim.ports import SeededRandom
from tests.actors.wire.inbox import CELL, QUEUE, Diary, Inbox, cleaned, prefix_of
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq
from tests.sim.simulated_wire import SENDER, Site

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

#: A cell whose broker stays.
US: Final = CellPath.parse("api!us")
ELSEWHERE: Final = Queue(US, "cell")
REFUSED: Final = "connection refused"
PATIENCE_S: Final = 60.0
HASTY: Final = RabbitSettings(deadline_s=2.0, close_s=0.5, reconnect_min_s=0.05, reconnect_max_s=0.5)


@attrs.frozen(kw_only=True)
class Ground:
    """A wire, and the power over the broker of one of its cells; both calls return when the wire has noticed."""

    wire: Wire
    stop: Callable[[], Awaitable[object]]
    start: Callable[[], Awaitable[object]]


OpenGround = Callable[[], AbstractAsyncContextManager[Ground]]


@pytest.fixture(params=["memory", "simulated", "rabbitmq"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> tuple[str, dict[str, Any]]:
    return "asyncio", {} if kind == "rabbitmq" else {"loop_factory": SimLoop}


@pytest.fixture(scope="module")
def module_broker() -> Iterator[OwnRabbitMQ]:
    with own_rabbitmq() as own:
        yield own


@asynccontextmanager
async def in_memory() -> AsyncIterator[Ground]:
    """A wire whose queues can be made unreachable."""
    wire = MemoryWire()

    async def stop() -> None:
        wire.lose(CELL, REFUSED)

    async def start() -> None:
        wire.restore(CELL)

    yield Ground(wire=wire, stop=stop, start=start)


@asynccontextmanager
async def simulated() -> AsyncIterator[Ground]:
    """A process's wire in a world of which one broker goes away."""
    site = Site()
    wire = site.wire(SENDER)

    async def stop() -> None:
        site.brokers.apply(Fault(name="away", kind=FaultKind.BROKER_RESTART, where=str(CELL)))

    async def start() -> None:
        site.brokers.heal()
        await anyio.sleep(PATIENCE_S)  # Of virtual time: it connects again when it likes.

    yield Ground(wire=wire, stop=stop, start=start)


@pytest.fixture
def open_ground(kind: str, request: pytest.FixtureRequest) -> OpenGround:
    """Give what opens a wire over two brokers, one of which can be stopped."""
    if kind != "rabbitmq":
        return in_memory if kind == "memory" else simulated
    ours, other = request.getfixturevalue("module_broker"), request.getfixturevalue("amqp_url")
    if not ours.processes:
        ours.start()

    @asynccontextmanager
    async def rabbitmq() -> AsyncIterator[Ground]:
        diary, prefix = Diary(), prefix_of(request)

        async def stop() -> None:
            lost = diary.count("broker_lost") + 1
            await anyio.to_thread.run_sync(ours.keep_declared)
            await anyio.to_thread.run_sync(ours.kill)
            while (await diary.until("broker_lost", count=lost, patience_s=PATIENCE_S))["reason"] != REFUSED:
                lost += 1

        async def start() -> None:
            connected = diary.count("broker_connected")
            await anyio.to_thread.run_sync(ours.start)
            await diary.until("broker_connected", count=connected + 1, patience_s=PATIENCE_S)

        connecting = RabbitWire.connect(
            {CELL: ours.url, US: other}, prefix=prefix, events=diary, random=SeededRandom(0), settings=HASTY
        )
        async with cleaned(other, prefix, ELSEWHERE), connecting as wire:
            yield Ground(wire=wire, stop=stop, start=start)

    return rabbitmq


async def test_a_broker_that_is_there_is_no_outage(open_ground: OpenGround) -> None:
    """Neither before anything is sent, nor after."""
    async with open_ground() as ground:
        assert (ground.wire.outage(CELL), ground.wire.outage(US)) == (None, None)
        await ground.wire.declare(QUEUE)
        await ground.wire.send(QUEUE, b"frame")
        assert ground.wire.outage(CELL) is None


async def test_a_broker_that_is_away_is_known_since_when_and_why(open_ground: OpenGround) -> None:
    """By its cell; and what is sent there says why, while all that goes elsewhere goes on."""
    async with open_ground() as ground:
        await ground.wire.declare(QUEUE)
        await ground.wire.declare(ELSEWHERE)
        before_s = anyio.current_time()
        await ground.stop()
        outage = ground.wire.outage(CELL)
        assert outage is not None
        assert before_s <= outage.since_s <= anyio.current_time()
        with pytest.raises(TransportLost, match=outage.reason) as caught:
            await ground.wire.send(QUEUE, b"lost")
        assert caught.value.cell == str(CELL)
        await ground.wire.send(ELSEWHERE, b"here")
        assert ground.wire.outage(US) is None
        still = ground.wire.outage(CELL)
        assert still is not None
        assert still.since_s == outage.since_s
        await ground.start()


async def test_a_broker_that_is_back_has_what_it_had_and_its_consumers(open_ground: OpenGround) -> None:
    """The outage is over without anybody's doing; frames that it had confirmed come, in order, and new ones behind."""
    async with open_ground() as ground:
        inbox, frames = Inbox(), [b"1", b"2", b"3"]
        await ground.wire.declare(QUEUE)
        async with ground.wire.consume(QUEUE, inbox, prefetch=10):
            for frame in frames:
                await ground.wire.send(QUEUE, frame)
            await inbox.until(3, patience_s=PATIENCE_S)
            await ground.stop()
            inbox.deliveries[0].ack()  # It is void: the broker never hears of it.
            await ground.start()
            assert ground.wire.outage(CELL) is None
            await ground.wire.send(QUEUE, b"4")
            assert await inbox.until(7, patience_s=PATIENCE_S) == [*frames, *frames, b"4"]
            for delivery in inbox.deliveries[3:]:
                delivery.ack()
        later = Inbox()
        async with ground.wire.consume(QUEUE, later, prefetch=10):
            await ground.wire.send(QUEUE, b"5")
            assert await later.until(1, patience_s=PATIENCE_S) == [b"5"]
