"""The simulated brokers without faults: what they record, how long it takes, what a killed process leaves."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial

import anyio
import pytest

from actors.kernel.ports import Delivery, Queue
from sim.brokers.traffic import consumer_of
from sim.history import Handed, Lost, Sent, Settled
from tests.actors.wire.inbox import CELL, QUEUE, Inbox
from tests.sim.simulated_wire import HOST, SENDER, Site, frame_about, hold_open

pytestmark = pytest.mark.anyio


def test_a_queue_s_name_tells_the_process_that_consumes_it() -> None:
    """Mailboxes, mailboxes for answers, and the queues of links alike."""
    names = {
        "host:h1": "api!eu/host:h1",
        "cell": "api!eu/cell",
        "replies:host:h1:0": "api!eu/host:h1",
        "replies:conductor:1": "api!eu/conductor",
        "replies:link:0": "api!eu/link",
        "link": "api!eu/link",
        "from:api": "api!eu/link",
    }
    assert {name: consumer_of(Queue(CELL, name)) for name in names} == names


async def test_the_history_tells_of_each_frame_with_its_envelopes() -> None:
    """A frame is sent, handed and settled, under one number, by whom it was."""
    site = Site()
    wire, host = site.wire(SENDER), site.wire(HOST)
    await host.declare(QUEUE)
    frame = frame_about("PowerOn", server="s1")
    async with host.consume(QUEUE, Inbox(acks=True), prefetch=1):
        await wire.send(QUEUE, frame)
        await anyio.sleep(1)
    [sent], [handed], [settled] = site.happened(Sent), site.happened(Handed), site.happened(Settled)
    assert (sent.process, handed.process, settled.process) == (SENDER, HOST, HOST)
    assert sent.frame == handed.frame == settled.frame
    assert (sent.queue, handed.copy, settled.reason) == (str(QUEUE), 1, "")
    assert [(note.kind, note.method, note.server) for note in sent.notes] == [("call", "PowerOn", "s1")]
    assert handed.notes == sent.notes


async def test_a_frame_that_comes_again_is_counted_and_one_rejected_tells_why() -> None:
    """The second time it is the same frame's second copy."""
    site = Site()
    host = site.wire(HOST)
    await host.declare(QUEUE)
    await host.send(QUEUE, b"frame")
    for _ in range(2):
        inbox = Inbox()
        async with host.consume(QUEUE, inbox, prefetch=1):
            await inbox.until(1)
            if len(site.happened(Handed)) == 2:
                inbox.deliveries[0].reject("poison")
    assert [handed.copy for handed in site.happened(Handed)] == [1, 2]
    assert [settled.reason for settled in site.happened(Settled)] == ["poison"]
    assert [letter.reason for letter in site.brokers.dead_letters(CELL)] == ["poison"]


async def test_each_way_takes_its_time_and_the_same_time_in_every_run() -> None:
    """A send, a way to the consumer and a settlement take virtual time; another seed takes another."""

    async def times(seed: int) -> list[int]:
        site = Site(seed=seed)
        wire, host = site.wire(SENDER), site.wire(HOST)
        await host.declare(QUEUE)
        begun_ns = site.history.now_ns()
        async with host.consume(QUEUE, Inbox(acks=True), prefetch=5):
            for _ in range(10):
                await wire.send(QUEUE, frame_about("PowerOn"))
            await anyio.sleep(1)
        return [line.at_ns - begun_ns for line in site.history.lines]

    first = await times(1)
    assert first == await times(1) != await times(2)
    assert first[0] > 0
    assert len(first) == 30
    assert 20 < len(dict.fromkeys(first)) < 30  # Most settlements are there at once, some are late.


async def test_a_killed_consumer_s_frames_come_again_at_their_old_places() -> None:
    """The broker takes them back at once, and what the dead one settles or sends from then on is void."""
    site = Site()
    wire, dying, heir = site.wire(SENDER), site.process(HOST), site.wire(HOST)
    dying_wire = site.brokers.connect(dying)
    await wire.declare(QUEUE)
    for number in range(4):
        await wire.send(QUEUE, b"%d" % number)
    left, inbox = Inbox(), Inbox(acks=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(hold_open, prefetch=3), dying_wire, QUEUE, left)
        await left.until(3)
        left.deliveries[1].ack()
        await anyio.sleep(1)
        dying.kill()
        left.deliveries[0].ack()
        async with heir.consume(QUEUE, inbox, prefetch=5):
            assert await inbox.until(3) == [b"0", b"2", b"3"]
        with anyio.move_on_after(60) as waiting:
            await dying_wire.send(QUEUE, b"from the grave")
        assert waiting.cancelled_caught
        tasks.cancel_scope.cancel()
    assert site.brokers.in_flight() == 0


async def test_of_a_killed_sender_s_frames_the_first_ones_arrive() -> None:
    """What is on its way is cut off somewhere: at different places under different seeds, and never with a gap."""
    arrived: dict[int, None] = {}
    for seed in range(12):
        site = Site(seed=seed)
        wire, dying = site.wire(SENDER), site.process(HOST)
        dying_wire = site.brokers.connect(dying)
        await wire.declare(QUEUE)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(dying_wire.send, QUEUE, b"%d" % number)
            await anyio.sleep(0.0001)
            dying.kill()
            tasks.cancel_scope.cancel()
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=5):
            await anyio.sleep(1)
        assert inbox.frames == [b"0", b"1", b"2"][: len(inbox.frames)]
        assert site.unaccounted() == 0
        arrived[len(inbox.frames)] = None
    assert len(arrived) > 1


async def test_a_process_that_stands_still_is_handed_nothing_until_it_goes_on() -> None:
    """Then it gets what has come meanwhile, in its order, with what is sent later behind."""
    site = Site()
    wire, process = site.wire(SENDER), site.process(HOST)
    paused_wire = site.brokers.connect(process)
    await wire.declare(QUEUE)
    inbox = Inbox(acks=True)
    async with paused_wire.consume(QUEUE, inbox, prefetch=10):
        process.is_frozen = True
        for number in range(3):
            await wire.send(QUEUE, b"%d" % number)
        await anyio.sleep(10)
        site.brokers.wake()
        await anyio.sleep(1)
        assert inbox.frames == []
        process.is_frozen = False
        await wire.send(QUEUE, b"3")
        await anyio.sleep(1)
        site.brokers.wake()
        assert await inbox.until(4) == [b"0", b"1", b"2", b"3"]


async def test_a_process_that_stands_still_for_long_loses_its_connection() -> None:
    """Without heartbeats the broker gives its frames to another; it connects again when it goes on."""
    site = Site()
    wire, process = site.wire(SENDER), site.process(HOST)
    paused_wire = site.brokers.connect(process)
    await wire.declare(QUEUE)
    inbox, other = Inbox(acks=True), Inbox(acks=True)
    async with paused_wire.consume(QUEUE, inbox, prefetch=10):
        process.is_frozen = True
        await wire.send(QUEUE, b"early")
        await anyio.sleep(30)
        async with site.wire(HOST).consume(QUEUE, other, prefetch=10):
            assert await other.until(1) == [b"early"]
        process.is_frozen = False
        site.brokers.wake()
        await wire.send(QUEUE, b"late")
        assert await inbox.until(1) == [b"late"]


async def test_a_receiver_runs_as_part_of_its_own_process() -> None:
    """What it starts belongs to the process that consumes, not to the one that sends."""
    here: ContextVar[str] = ContextVar("here", default="nowhere")
    site = Site()
    wire, host = site.wire(SENDER), site.wire(HOST)
    await host.declare(QUEUE)
    places: list[str] = []

    def receive(delivery: Delivery) -> None:
        places.append(here.get())
        delivery.ack()

    here.set("host")
    async with host.consume(QUEUE, receive, prefetch=1):
        here.set("sender")
        await wire.send(QUEUE, b"frame")
        await anyio.sleep(1)
    assert places == ["host"]


async def test_a_purged_queue_s_frames_are_lost_and_other_processes_make_it_again() -> None:
    """Whoever consumed from it has its consumer cancelled, and connects anew."""
    site = Site()
    wire, host = site.wire(SENDER), site.wire(HOST)
    await host.declare(QUEUE)
    inbox = Inbox()
    async with host.consume(QUEUE, inbox, prefetch=1):
        await wire.send(QUEUE, b"old")
        await inbox.until(1)
        await wire.purge(QUEUE)
        await anyio.sleep(10)
        await wire.send(QUEUE, b"new")
        assert await inbox.until(2) == [b"old", b"new"]
    assert [lost.why for lost in site.happened(Lost)] == ["purged"]


async def test_a_cancelled_sender_does_not_call_its_frame_back() -> None:
    """Once published it arrives, though nobody waits for the confirm."""
    site = Site()
    wire = site.wire(SENDER)
    await wire.declare(QUEUE)
    with anyio.move_on_after(0.0001):
        await wire.send(QUEUE, b"frame")
    await anyio.sleep(1)
    assert site.brokers.kept() == site.brokers.in_flight() == 1


async def test_frames_on_their_way_are_in_flight_before_any_queue_keeps_them() -> None:
    """Quiet is when nothing is kept and nothing is on its way."""
    site = Site()
    wire = site.wire(SENDER)
    await wire.declare(QUEUE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wire.send, QUEUE, b"frame")
        await anyio.sleep(0.0001)
        assert (site.brokers.kept(), site.brokers.in_flight()) == (0, 1)
    assert (site.brokers.kept(), site.brokers.in_flight()) == (1, 1)
