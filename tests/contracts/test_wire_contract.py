"""What every wire promises; each test runs on memory and on simulated brokers in virtual time, and on RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from actors.kernel.ports import Delivery, Queue, Wire
from actors.wire.memory import MemoryWire
from actors.wire.rabbitmq import RabbitWire
from actors.wire.topology import DeadLetter, RabbitSettings
from protocol.errors import Overflow, TooLarge, Unroutable
from sim.brokers.wire import SimWire
from sim.clock import SimLoop
from sim.ports import SeededRandom
from tests.actors.wire.inbox import CELL, OTHER, QUEUE, Diary, Inbox, cleaned, prefix_of, settled_so_far
from tests.sim.simulated_wire import simulated_wire

FRAME_BYTES_MAX = 4_096
MESSAGES_MAX = 2_000

pytestmark = pytest.mark.anyio

OpenWire = Callable[..., AbstractAsyncContextManager[Wire]]


@pytest.fixture(params=["memory", "simulated", "rabbitmq"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> tuple[str, dict[str, Any]]:
    return "asyncio", {} if kind == "rabbitmq" else {"loop_factory": SimLoop}


@pytest.fixture
def open_wire(kind: str, request: pytest.FixtureRequest) -> OpenWire:
    """Give what opens a wire with limits of the test's choice; its queues are gone afterwards."""

    @asynccontextmanager
    async def memory(messages_max: int = MESSAGES_MAX) -> AsyncIterator[Wire]:
        yield MemoryWire(messages_max=messages_max, frame_bytes_max=FRAME_BYTES_MAX)

    @asynccontextmanager
    async def simulated(messages_max: int = MESSAGES_MAX) -> AsyncIterator[Wire]:
        async with simulated_wire(messages_max=messages_max, frame_bytes_max=FRAME_BYTES_MAX) as wire:
            yield wire

    @asynccontextmanager
    async def rabbitmq(messages_max: int = MESSAGES_MAX) -> AsyncIterator[Wire]:
        url, prefix = request.getfixturevalue("amqp_url"), prefix_of(request)
        settings = RabbitSettings(messages_max=messages_max, frame_bytes_max=FRAME_BYTES_MAX)
        connecting = RabbitWire.connect(url, prefix=prefix, events=Diary(), random=SeededRandom(0), settings=settings)
        async with cleaned(url, prefix, QUEUE, OTHER), connecting as wire:
            yield wire

    if kind != "rabbitmq":
        return memory if kind == "memory" else simulated
    request.getfixturevalue("amqp_url")  # Outside the loop, for it may start a broker.
    return rabbitmq


async def dead_letters(wire: Wire) -> tuple[DeadLetter, ...]:
    if isinstance(wire, RabbitWire):
        return await wire.dead_letters(CELL)
    assert isinstance(wire, MemoryWire | SimWire)
    return wire.dead_letters(CELL)


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def send_all(wire: Wire, frames: list[bytes], queue: Queue = QUEUE) -> None:
    for frame in frames:
        await wire.send(queue, frame)


async def test_a_sent_frame_is_delivered(open_wire: OpenWire) -> None:
    """The very bytes arrive, the empty frame included."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        inbox = Inbox(acks=True)
        async with wire.consume(QUEUE, inbox, prefetch=10):
            await send_all(wire, [b"\x00\xff frame", b""])
            assert await inbox.until(2) == [b"\x00\xff frame", b""]


async def test_a_frame_waits_for_its_consumer(open_wire: OpenWire) -> None:
    """A frame sent before anybody consumes is kept."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, b"early")
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=1):
            assert await inbox.until(1) == [b"early"]


async def test_frames_of_one_sender_keep_their_order(open_wire: OpenWire) -> None:
    """What one sender sends one after the other arrives so."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        inbox = Inbox(acks=True)
        async with wire.consume(QUEUE, inbox, prefetch=7):
            await send_all(wire, numbered(100))
            assert await inbox.until(100) == numbered(100)


async def test_queues_are_apart(open_wire: OpenWire) -> None:
    """A queue's consumer sees no other queue's frames."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await wire.declare(OTHER)
        one, other = Inbox(), Inbox()
        async with wire.consume(QUEUE, one, prefetch=5), wire.consume(OTHER, other, prefetch=5):
            await wire.send(QUEUE, b"one")
            await wire.send(OTHER, b"other")
            assert (await one.until(1), await other.until(1)) == ([b"one"], [b"other"])


async def test_settled_frames_never_return(open_wire: OpenWire) -> None:
    """A later consumer gets nothing that was acknowledged, in whatever order it was."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await send_all(wire, numbered(6))
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=10):
            await inbox.until(6)
            for index in (4, 0, 5, 2, 1, 3):
                inbox.deliveries[index].ack()
        later = Inbox()
        async with wire.consume(QUEUE, later, prefetch=10):
            await wire.send(QUEUE, b"new")
            assert await later.until(1) == [b"new"]


async def test_unsettled_frames_return_in_their_order_when_the_consumer_goes(open_wire: OpenWire) -> None:
    """All that was not acknowledged comes again, before what was sent later."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await send_all(wire, numbered(6))
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=5):
            await inbox.until(5)
            inbox.deliveries[1].ack()
            inbox.deliveries[3].ack()
        await wire.send(QUEUE, b"6")
        later = Inbox()
        async with wire.consume(QUEUE, later, prefetch=10):
            assert await later.until(5) == [b"0", b"2", b"4", b"5", b"6"]


async def test_a_settlement_after_the_consumer_went_is_void(open_wire: OpenWire) -> None:
    """The frame has gone back to the queue; an acknowledgement that comes too late takes nothing away."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, b"frame")
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=1):
            await inbox.until(1)
        inbox.deliveries[0].ack()
        later = Inbox()
        async with wire.consume(QUEUE, later, prefetch=1):
            assert await later.until(1) == [b"frame"]


async def test_competing_consumers_share_the_frames(open_wire: OpenWire) -> None:
    """Each frame goes to exactly one of them, and both get some."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        one, other = Inbox(), Inbox()
        async with wire.consume(QUEUE, one, prefetch=10), wire.consume(QUEUE, other, prefetch=10):
            await send_all(wire, numbered(20))
            await one.until(10)
            await other.until(10)
            await settled_so_far(wire)
            assert sorted(one.frames + other.frames) == sorted(numbered(20))


async def test_what_one_consumer_leaves_its_competitor_gets(open_wire: OpenWire) -> None:
    """A consumer's unsettled frames go to another one that is there, which has held its own all the while."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        one, other = Inbox(), Inbox()
        async with wire.consume(QUEUE, other, prefetch=10):
            async with wire.consume(QUEUE, one, prefetch=10):
                await send_all(wire, numbered(4))
                await one.until(2)
                await other.until(2)
            assert sorted(await other.until(4)) == numbered(4)


async def test_prefetch_bounds_what_is_unsettled(open_wire: OpenWire) -> None:
    """A consumer holds no more than its prefetch; each settlement makes room for one."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=2):
            await send_all(wire, numbered(5))
            await inbox.until(2)
            await settled_so_far(wire)
            assert inbox.frames == numbered(2)
            inbox.deliveries[1].ack()
            await inbox.until(3)
            await settled_so_far(wire)
            assert inbox.frames == numbered(3)


async def test_an_undeclared_queue_is_unroutable(open_wire: OpenWire) -> None:
    """Sending to a queue that does not exist is an error with its name, and so is consuming from it."""
    async with open_wire() as wire:
        await wire.declare(OTHER)
        with pytest.raises(Unroutable, match=r"host:h1 of cell api!eu"):
            await wire.send(QUEUE, b"lost")
        with pytest.raises(Unroutable, match=r"host:h1 of cell api!eu"):
            async with wire.consume(QUEUE, Inbox(), prefetch=1):
                pytest.fail("it consumes from nothing")
        await settled_so_far(wire)  # The wire works on.


async def test_a_frame_over_the_limit_is_too_large(open_wire: OpenWire) -> None:
    """The limit itself passes, one byte more does not."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, bytes(FRAME_BYTES_MAX))
        with pytest.raises(TooLarge):
            await wire.send(QUEUE, bytes(FRAME_BYTES_MAX + 1))


async def test_a_full_queue_refuses_and_loses_nothing(open_wire: OpenWire) -> None:
    """The sender gets `Overflow`; what the queue took before it keeps, and room makes it take frames again."""
    async with open_wire(messages_max=3) as wire:
        await wire.declare(QUEUE)
        await send_all(wire, numbered(3))
        with pytest.raises(Overflow, match=r"host:h1 of cell api!eu is full at 3"):
            await wire.send(QUEUE, b"too many")
        inbox = Inbox(acks=True)
        async with wire.consume(QUEUE, inbox, prefetch=10):
            await inbox.until(3)
            await wire.send(QUEUE, b"again")
            assert await inbox.until(4) == [*numbered(3), b"again"]


async def test_a_rejected_frame_becomes_a_dead_letter_with_its_reason(open_wire: OpenWire) -> None:
    """It does not come again, and can be read with the queue that it was in; reading takes nothing away."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await send_all(wire, [b"bad", b"worse", b"good"])
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=3):
            await inbox.until(3)
            inbox.deliveries[0].reject("malformed")
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=3):
            assert await inbox.until(2) == [b"worse", b"good"]
            inbox.deliveries[0].reject("poison")
            inbox.deliveries[1].ack()
        expected = (DeadLetter(QUEUE, b"bad", "malformed"), DeadLetter(QUEUE, b"worse", "poison"))
        assert await dead_letters(wire) == expected
        assert await dead_letters(wire) == expected


async def test_settling_twice_is_settling_once(open_wire: OpenWire) -> None:
    """Only the first settlement of a delivery counts."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await send_all(wire, numbered(3))
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=2):
            await inbox.until(2)
            inbox.deliveries[0].ack()
            inbox.deliveries[0].ack()
            inbox.deliveries[0].reject("changed my mind")
            inbox.deliveries[1].reject("malformed")
            inbox.deliveries[1].ack()
            inbox.deliveries[1].reject("stale")
            await inbox.until(3)
        assert await dead_letters(wire) == (DeadLetter(QUEUE, b"1", "malformed"),)
        later = Inbox()
        async with wire.consume(QUEUE, later, prefetch=2):
            assert await later.until(1) == [b"2"]


async def test_purging_deletes_the_queue_with_all_that_is_in_it(open_wire: OpenWire) -> None:
    """Afterwards it does not exist; declared again it is empty.  Purging what is not there is no error."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await send_all(wire, numbered(3))
        await wire.purge(QUEUE)
        await wire.purge(QUEUE)
        with pytest.raises(Unroutable):
            await wire.send(QUEUE, b"lost")
        await wire.declare(QUEUE)
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=5):
            await wire.send(QUEUE, b"new")
            assert await inbox.until(1) == [b"new"]


async def test_purging_leaves_a_consumer_with_nothing(open_wire: OpenWire) -> None:
    """A consumer of a purged queue gets nothing more, can still settle, and the queue may be made again for others."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, b"old")
        left, next_one = Inbox(), Inbox()
        async with wire.consume(QUEUE, left, prefetch=5):
            await left.until(1)
            await wire.purge(QUEUE)
            left.deliveries[0].ack()
            await wire.declare(QUEUE)
            async with wire.consume(QUEUE, next_one, prefetch=5):
                await wire.send(QUEUE, b"new")
                assert await next_one.until(1) == [b"new"]
        assert left.frames == [b"old"]


async def test_declaring_twice_changes_nothing(open_wire: OpenWire) -> None:
    """What is in the queue stays there."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, b"kept")
        await wire.declare(QUEUE)
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=5):
            assert await inbox.until(1) == [b"kept"]


async def test_a_consumer_cancelled_in_mid_work_leaves_its_frame(open_wire: OpenWire) -> None:
    """Whoever is cancelled before it settles has settled nothing."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, b"work")
        working = anyio.Event()

        def work(_delivery: Delivery) -> None:
            working.set()

        async def consume() -> None:
            async with wire.consume(QUEUE, work, prefetch=1):
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            with anyio.fail_after(10):
                await working.wait()
            tasks.cancel_scope.cancel()
        later = Inbox()
        async with wire.consume(QUEUE, later, prefetch=1):
            assert await later.until(1) == [b"work"]


async def test_a_thousand_frames_sent_at_once_all_arrive(open_wire: OpenWire) -> None:
    """Many senders at once lose nothing and double nothing."""
    async with open_wire() as wire:
        await wire.declare(QUEUE)
        inbox = Inbox(acks=True)
        async with wire.consume(QUEUE, inbox, prefetch=50):
            async with anyio.create_task_group() as tasks:
                for frame in numbered(1_000):
                    tasks.start_soon(wire.send, QUEUE, frame)
            assert sorted(await inbox.until(1_000)) == sorted(numbered(1_000))
