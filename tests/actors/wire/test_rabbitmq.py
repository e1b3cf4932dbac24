"""What the RabbitMQ wire does when its broker is away, dies, falls silent or refuses; the broker is ours to kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.to_thread
import attrs
import pytest

from actors.kernel.ports import Delivery, Queue
from actors.wire.rabbitmq import RabbitWire
from actors.wire.topology import DeadLetter, QueueType, RabbitSettings, dead_letter_queue
from protocol.cell_path import CellPath
from protocol.errors import Overflow, TransportLost, Unroutable
from sim.ports import SeededRandom
from tests.actors.wire.inbox import CELL, QUEUE, Diary, Inbox, cleaned, prefix_of, settled_so_far
from tests.own_services import OwnRabbitMQ, spare_port
from tests.services import own_rabbitmq

pytestmark = pytest.mark.anyio

RESTART_PATIENCE_S = 60.0
HASTY = RabbitSettings(
    deadline_s=2.0,
    close_s=0.5,
    ping_interval_s=0.2,
    reconnect_min_s=0.05,
    reconnect_max_s=0.5,
)


@pytest.fixture
def anyio_backend(real_loop: str) -> str:
    return real_loop


@pytest.fixture(scope="module")
def module_broker() -> Iterator[OwnRabbitMQ]:
    with own_rabbitmq() as own:
        yield own


@pytest.fixture
def broker(module_broker: OwnRabbitMQ) -> OwnRabbitMQ:
    """Give a broker of our own that runs, whatever the test before did to it."""
    if not module_broker.processes:
        module_broker.start()
    return module_broker


def connecting(
    url: str, prefix: str, *, diary: Diary | None = None, settings: RabbitSettings = HASTY
) -> AbstractAsyncContextManager[RabbitWire]:
    return RabbitWire.connect(url, prefix=prefix, events=diary or Diary(), random=SeededRandom(0), settings=settings)


def opened(
    broker: OwnRabbitMQ,
    request: pytest.FixtureRequest,
    *,
    diary: Diary | None = None,
    settings: RabbitSettings = HASTY,
) -> AbstractAsyncContextManager[RabbitWire]:
    """Open a wire under a prefix of the test's own, on a broker that goes when the module is done."""
    return connecting(broker.url, prefix_of(request), diary=diary, settings=settings)


async def send_until_confirmed(wire: RabbitWire, frame: bytes) -> None:
    """Send as an outbox does: again, until the broker has confirmed it."""
    with anyio.fail_after(RESTART_PATIENCE_S):
        while True:
            try:
                return await wire.send(QUEUE, frame)
            except TransportLost:
                await anyio.sleep(0.05)


async def restart(broker: OwnRabbitMQ) -> None:
    await anyio.to_thread.run_sync(broker.keep_declared)
    await anyio.to_thread.run_sync(broker.kill)
    await anyio.to_thread.run_sync(broker.start)


def send_signal(broker: OwnRabbitMQ, number: signal.Signals) -> None:
    for process in broker.processes:
        os.killpg(process.pid, number)


async def test_a_broker_that_is_away_at_the_start_is_named_without_its_password() -> None:
    """The error says which host and port, at once, and nothing secret."""
    port = spare_port()
    with pytest.raises(TransportLost) as caught:
        async with connecting(f"amqp://someone:secret@127.0.0.1:{port}/", "nobody"):
            pytest.fail("there is no broker")
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_wrong_password_is_not_repeated(broker: OwnRabbitMQ) -> None:
    """A refused login is an error too, without the password."""
    with pytest.raises(TransportLost) as caught:
        async with connecting(broker.url.replace("guest:guest", "guest:secret"), "nobody"):
            pytest.fail("it let us in")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.proves("R141")
async def test_only_the_required_brokers_must_be_there(broker: OwnRabbitMQ, request: pytest.FixtureRequest) -> None:
    """A neighbour's broker that is away harms nothing but what is sent there; a cell without a broker is no route."""
    away = CellPath.parse("api!us")
    urls = {CELL: broker.url, away: f"amqp://guest:guest@127.0.0.1:{spare_port()}/"}
    settings = RabbitSettings(deadline_s=3.0)
    async with RabbitWire.connect(
        urls, prefix=prefix_of(request), events=Diary(), random=SeededRandom(0), settings=settings, required=[CELL]
    ) as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, b"here")
        with pytest.raises(TransportLost, match=r"not connected within 3 s"):
            await wire.send(Queue(away, "link"), b"there")
        with pytest.raises(Unroutable):
            await wire.send(Queue(CellPath.parse("api!asia"), "link"), b"nowhere")


async def test_confirmed_frames_outlive_a_kill_and_the_consumer_comes_back(
    broker: OwnRabbitMQ, request: pytest.FixtureRequest
) -> None:
    """The broker dies in mid-flow and starts again: what it confirmed arrives, and what was unsettled comes again."""
    inbox, half_sent = Inbox(), anyio.Event()
    frames = [b"%03d" % number for number in range(300)]

    def hold_the_first(delivery: Delivery) -> None:
        if inbox.deliveries:
            delivery.ack()
        inbox(delivery)

    async def send() -> None:
        for frame in frames:
            await send_until_confirmed(wire, frame)
            if frame == frames[150]:
                half_sent.set()

    async with opened(broker, request) as wire:
        await wire.declare(QUEUE)
        async with wire.consume(QUEUE, hold_the_first, prefetch=20), anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await half_sent.wait()
            await restart(broker)
            while not set(frames) <= set(inbox.frames[1:]):
                await inbox.until(len(inbox.deliveries) + 1, patience_s=RESTART_PATIENCE_S)


@pytest.mark.proves("R141")
async def test_a_connection_that_the_broker_closes_is_made_again(
    broker: OwnRabbitMQ, request: pytest.FixtureRequest
) -> None:
    """Frames in flight are confirmed, or their senders told; unsettled ones come again; no consumer stays away."""
    diary, inbox = Diary(), Inbox()
    async with opened(broker, request, diary=diary) as wire:
        await wire.declare(QUEUE)
        async with wire.consume(QUEUE, inbox, prefetch=10):
            await wire.send(QUEUE, b"unsettled")
            await inbox.until(1)
            await anyio.to_thread.run_sync(broker.control, "close_all_connections", "a test")
            await send_until_confirmed(wire, b"afterwards")
            assert {b"unsettled", b"afterwards"} <= set(await inbox.until(3))
            inbox.deliveries[0].ack()  # It is void: that delivery went with its connection.
            await settled_so_far(wire)
            for delivery in inbox.deliveries[1:]:
                delivery.ack()
        later = Inbox()
        async with wire.consume(QUEUE, later, prefetch=10):
            await send_until_confirmed(wire, b"last")
            assert await later.until(1) == [b"last"]
    assert "a test" in str(await diary.until("broker_lost"))


async def test_a_silent_broker_is_noticed_by_the_self_ping(broker: OwnRabbitMQ, request: pytest.FixtureRequest) -> None:
    """A half-open connection is given up after two missed pings; when the broker wakes, all goes on."""
    diary, inbox = Diary(), Inbox(acks=True)
    async with opened(broker, request, diary=diary, settings=attrs.evolve(HASTY, deadline_s=1.0)) as wire:
        await wire.declare(QUEUE)
        async with wire.consume(QUEUE, inbox, prefetch=10):
            send_signal(broker, signal.SIGSTOP)
            try:
                with pytest.raises(TransportLost):
                    await wire.send(QUEUE, b"into the void")
                lost = await diary.until("broker_lost")
            finally:
                send_signal(broker, signal.SIGCONT)
            assert lost["reason"] == "2 self-pings were missed"
            await send_until_confirmed(wire, b"awake")
            with anyio.fail_after(RESTART_PATIENCE_S):
                while b"awake" not in inbox.frames:
                    await inbox.until(len(inbox.deliveries) + 1)


async def test_a_publisher_does_not_vanish_when_heartbeats_are_missed(
    broker: OwnRabbitMQ, request: pytest.FixtureRequest
) -> None:
    """The client library cancels the publisher's task when it gives the connection up; the sender gets an error."""
    outcome: list[str] = []

    async def send() -> None:
        try:
            await wire.send(QUEUE, b"into the void")
        except TransportLost as error:
            outcome.append(str(error))

    async with opened(
        broker, request, settings=attrs.evolve(HASTY, heartbeat_s=1, deadline_s=30.0, ping_interval_s=60.0)
    ) as wire:
        await wire.declare(QUEUE)
        send_signal(broker, signal.SIGSTOP)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
        finally:
            send_signal(broker, signal.SIGCONT)
    assert len(outcome) == 1
    assert "no answer within" not in outcome[0]  # It was not our own deadline.


async def test_a_wiped_broker_gets_its_queues_again(broker: OwnRabbitMQ, request: pytest.FixtureRequest) -> None:
    """A broker that comes back empty is used on: what we declared is declared again, and consumed."""
    diary, inbox = Diary(), Inbox(acks=True)
    async with opened(broker, request, diary=diary) as wire:
        await wire.declare(QUEUE)
        async with wire.consume(QUEUE, inbox, prefetch=10):
            await anyio.to_thread.run_sync(broker.kill)
            broker.wipe()
            await anyio.to_thread.run_sync(broker.start)
            await diary.until("broker_connected", count=2, patience_s=RESTART_PATIENCE_S)
            await send_until_confirmed(wire, b"new")
            assert await inbox.until(1) == [b"new"]
            await settled_so_far(wire)


async def test_a_consumer_whose_queue_was_deleted_comes_back(
    broker: OwnRabbitMQ, request: pytest.FixtureRequest
) -> None:
    """The broker cancels a consumer when somebody deletes its queue; both are made again."""
    diary, inbox = Diary(), Inbox(acks=True)
    async with opened(broker, request, diary=diary) as wire:
        await wire.declare(QUEUE)
        async with wire.consume(QUEUE, inbox, prefetch=10):
            async with connecting(broker.url, prefix_of(request)) as other:
                await other.purge(QUEUE)
            await diary.until("broker_connected", count=2)
            await send_until_confirmed(wire, b"new")
            assert await inbox.until(1) == [b"new"]
    assert "cancelled the consumer" in str(await diary.until("broker_lost"))


async def test_without_the_right_to_configure_existing_queues_serve(
    broker: OwnRabbitMQ, request: pytest.FixtureRequest
) -> None:
    """A user who may only read and write uses what is there, is told what is not, and lives through its pings."""
    prefix, diary, inbox = prefix_of(request), Diary(), Inbox(acks=True)
    broker.control("add_user", prefix, "secret")
    broker.control("set_permissions", prefix, "^$", ".*", ".*")
    async with connecting(broker.url, prefix) as owner:
        await owner.declare(QUEUE)
    url = broker.url.replace("guest:guest", f"{prefix}:secret")
    async with connecting(url, prefix, diary=diary, settings=attrs.evolve(HASTY, ping_interval_s=0.01)) as wire:
        await wire.declare(QUEUE)
        assert diary.count("queue_declare_refused") == 2
        with pytest.raises(Unroutable, match="the queue host:none of cell api!eu"):
            await wire.declare(Queue(CELL, "host:none"))
        async with wire.consume(QUEUE, inbox, prefetch=10):
            await wire.send(QUEUE, b"frame")
            assert await inbox.until(1) == [b"frame"]
    assert diary.count("broker_lost") == 0


async def test_a_queue_of_another_make_is_used_as_it_is(broker: OwnRabbitMQ, request: pytest.FixtureRequest) -> None:
    """A limit that was changed in the settings does not lock us out of a queue that was made before."""
    diary = Diary()
    async with opened(broker, request, settings=attrs.evolve(HASTY, messages_max=1)) as wire:
        await wire.declare(QUEUE)
    async with opened(broker, request, diary=diary, settings=attrs.evolve(HASTY, messages_max=2)) as wire:
        await wire.declare(QUEUE)
        await wire.send(QUEUE, b"first")
        with pytest.raises(Overflow):
            await wire.send(QUEUE, b"second")
    assert "inequivalent arg" in str(await diary.until("queue_declare_refused"))


async def test_quorum_queues_keep_the_same_promises(broker: OwnRabbitMQ, request: pytest.FixtureRequest) -> None:
    """Where the settings ask for quorum queues, frames are delivered, rejected and returned as ever."""
    async with opened(
        broker, request, settings=attrs.evolve(HASTY, queue_type=QueueType.QUORUM, deadline_s=10.0)
    ) as wire:
        await wire.declare(QUEUE)
        inbox = Inbox()
        async with wire.consume(QUEUE, inbox, prefetch=10):
            for frame in (b"good", b"bad", b"left"):
                await wire.send(QUEUE, frame)
            await inbox.until(3)
            inbox.deliveries[0].ack()
            inbox.deliveries[1].reject("malformed")
        later = Inbox()
        async with wire.consume(QUEUE, later, prefetch=10):
            assert await later.until(1) == [b"left"]
        assert await wire.dead_letters(CELL) == (DeadLetter(QUEUE, b"bad", "malformed"),)


async def test_a_frame_stays_unsettled_until_the_dead_letters_have_room(
    amqp_url: str, request: pytest.FixtureRequest
) -> None:
    """A full queue of dead letters loses nothing: the rejected frame is held, and buried when there is room."""
    diary, inbox, prefix = Diary(), Inbox(), prefix_of(request)
    async with (
        cleaned(amqp_url, prefix, QUEUE),
        connecting(amqp_url, prefix, diary=diary, settings=attrs.evolve(HASTY, messages_max=1)) as wire,
    ):
        await wire.declare(QUEUE)
        async with wire.consume(QUEUE, inbox, prefetch=2):
            for count, frame in enumerate((b"first", b"second"), start=1):
                await wire.send(QUEUE, frame)
                await inbox.until(count)
                inbox.deliveries[-1].reject("malformed")
            await diary.until("dead_letter_failed")
            assert [letter.frame for letter in await wire.dead_letters(CELL)] == [b"first"]
            read = Inbox(acks=True)
            async with wire.consume(dead_letter_queue(CELL), read, prefetch=1):
                assert await read.until(2) == [b"first", b"second"]


async def test_what_a_receiver_raises_ends_the_wire(amqp_url: str, request: pytest.FixtureRequest) -> None:
    """A mistake of ours in a receiver is not swallowed by the client library."""

    def broken(_delivery: object) -> None:
        raise ZeroDivisionError

    async def serve() -> None:
        async with connecting(amqp_url, prefix) as wire:
            await wire.declare(QUEUE)
            async with wire.consume(QUEUE, broken, prefetch=1):
                await wire.send(QUEUE, b"frame")
                await anyio.sleep_forever()

    prefix = prefix_of(request)
    async with cleaned(amqp_url, prefix, QUEUE):
        with pytest.raises(ExceptionGroup) as caught:
            await serve()
        assert caught.value.subgroup(ZeroDivisionError) is not None
