"""What gathers while a frame is on its way travels together, and whoever sends hears how it went."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from actors.kernel.outlets import FRAME_BYTES_AIM, FRAME_ENVELOPES_MAX, WAITING_MAX, Outlets
from actors.kernel.ports import Delivery, Queue
from actors.wire.memory import MemoryWire
from protocol.codec import decode_frame
from protocol.errors import Overflow, TransportLost, Unroutable
from tests.actors.kernel.rig import CELL, QUEUE

pytestmark = pytest.mark.anyio


class SlowWire(MemoryWire):
    """A wire whose broker takes a second to confirm a frame."""

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Return once the queue has taken the frame."""
        await anyio.sleep(1)
        await super().send(queue, frame)


class Place:
    """A slow wire, outlets to it, and what came out."""

    def __init__(self) -> None:
        self.wire = SlowWire()
        self.frames: list[list[bytes]] = []
        self.errors: list[Exception] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Outlets, anyio.abc.TaskGroup]]:
        await self.wire.declare(QUEUE)
        async with self.wire.consume(QUEUE, self.receive, prefetch=1000), anyio.create_task_group() as tasks:
            yield Outlets(self.wire, tasks), tasks

    def receive(self, delivery: Delivery) -> None:
        self.frames.append(decode_frame(delivery.frame))
        delivery.ack()

    async def put(self, outlets: Outlets, data: bytes, queue: Queue = QUEUE) -> None:
        try:
            await outlets.put(queue, data)
        except (Overflow, TransportLost, Unroutable) as error:
            self.errors.append(error)


async def test_what_gathers_travels_together_and_in_order() -> None:
    """The first goes at once, alone; those behind it share the next frame."""
    place = Place()
    async with place.open() as (outlets, _), anyio.create_task_group() as senders:
        for number in range(5):
            senders.start_soon(place.put, outlets, b"%d" % number)
            await anyio.sleep(0.1)
    assert place.frames == [[b"0"], [b"1", b"2", b"3", b"4"]]
    assert place.errors == []


async def test_a_frame_holds_so_many_envelopes_and_bytes() -> None:
    """More goes with the next, and nothing gets lost between them."""
    place = Place()
    many = [b"first", *[b"x"] * (FRAME_ENVELOPES_MAX + 10), b"y" * (FRAME_BYTES_AIM - 11), b"z" * 100]
    async with place.open() as (outlets, _), anyio.create_task_group() as senders:
        for data in many:
            senders.start_soon(place.put, outlets, data)
    assert [len(frame) for frame in place.frames] == [FRAME_ENVELOPES_MAX, 12, 1]
    assert [data for frame in place.frames for data in frame] == many


async def test_each_of_a_frame_hears_that_it_did_not_go() -> None:
    """An error of the wire reaches all whose envelopes were in the frame, and the next frame goes all the same."""
    place = Place()
    nowhere = Queue(CELL, "nowhere")
    async with place.open() as (outlets, _):
        async with anyio.create_task_group() as senders:
            for _ in range(3):
                senders.start_soon(place.put, outlets, b"x", nowhere)
        assert [type(error) for error in place.errors] == [Unroutable] * 3
        await outlets.put(QUEUE, b"y")
    assert place.frames == [[b"y"]]


async def test_an_outlet_holds_so_much_and_refuses_the_rest() -> None:
    """Senders that outrun the broker get an error, not a process without memory."""
    place = Place()
    async with place.open() as (outlets, tasks):
        async with anyio.create_task_group() as senders:
            for _ in range(WAITING_MAX + 1):
                senders.start_soon(place.put, outlets, b"x")
            await anyio.sleep(0.5)
            senders.cancel_scope.cancel()
        tasks.cancel_scope.cancel()
    assert [type(error) for error in place.errors] == [Overflow]


async def test_nobody_waits_for_a_sender_that_was_stopped() -> None:
    """Who is in the frame on its way, and who stands behind it, both hear that it is unknown whether it went."""
    place = Place()
    async with anyio.create_task_group() as senders, place.open() as (outlets, tasks):
        senders.start_soon(place.put, outlets, b"x")
        await anyio.sleep(0.1)
        senders.start_soon(place.put, outlets, b"y")
        await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()
    assert [type(error) for error in place.errors] == [TransportLost] * 2
