"""Each fault of links and brokers strikes, does what it means, and is noted once with whether it mattered."""

from __future__ import annotations

import anyio
import pytest

from protocol.errors import CellferryError, TransportLost, Unroutable
from sim.faults import Fault, FaultKind
from sim.history import Broker, Fired, Lost, Sent
from tests.actors.wire.inbox import CELL, OTHER, QUEUE
from tests.sim.broker_stage import CALL, Stage, fault, stage
from tests.sim.simulated_wire import HOST, SENDER, frame_about

pytestmark = pytest.mark.anyio


# --- links -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "where", "other", "holds"),
    [
        (FaultKind.CUT, SENDER, HOST, True),
        (FaultKind.CUT, HOST, SENDER, True),
        (FaultKind.CUT_ONE_WAY, SENDER, HOST, True),
        (FaultKind.CUT_ONE_WAY, HOST, SENDER, False),
        (FaultKind.CUT, "api!eu/*", "api!eu/host:*", True),
        (FaultKind.CUT, SENDER, "api!eu/host:h2", False),
    ],
)
async def test_a_cut_holds_up_what_is_sent(kind: FaultKind, where: str, other: str, *, holds: bool) -> None:
    """Both ways or one; what waits passes in its order when the cut ends."""
    async with stage(fault(kind, where=where, other=other, for_s=3)) as on:
        frames = [b"%d" % number for number in range(5)]
        async with anyio.create_task_group() as tasks:
            for frame in frames:
                tasks.start_soon(on.send, frame)
            await anyio.sleep(2.9)
            assert on.inbox.frames == ([] if holds else frames)
        assert await on.inbox.until(5) == frames
        assert on.noted() == ([(kind, True)] if holds else [])


async def test_a_long_cut_refuses_what_was_sent_and_does_not_take_it() -> None:
    """The sender hears after five seconds; what it sends just before the end passes."""
    async with stage(fault(FaultKind.CUT, where=SENDER, other=HOST, for_s=60)) as on:
        error, took_s = await on.try_to_send(CALL)
        assert isinstance(error, TransportLost)
        assert took_s == pytest.approx(5, abs=0.01)
        await anyio.sleep(52)
        await on.send(b"late")
        assert await on.inbox.until(1) == [b"late"]
        assert len(on.site.happened(Sent)) == 1
        assert on.noted() == [(FaultKind.CUT, True)]


async def test_a_cut_ends_when_the_world_heals() -> None:
    """What waits passes at once."""
    async with stage(fault(FaultKind.CUT, where=SENDER, for_s=3600)) as on, anyio.create_task_group() as tasks:
        tasks.start_soon(on.send, CALL)
        await anyio.sleep(1)
        on.site.injector.end()
        assert await on.inbox.until(1, patience_s=0.1) == [CALL]


async def test_a_hanging_connection_refuses_at_its_end_and_connects_anew() -> None:
    """Sends hang and are not taken, nothing is handed out, and what was not settled comes again."""
    struck = fault(FaultKind.HALF_OPEN, where=HOST, for_s=20)
    async with stage(acks=False) as on:
        await on.send(b"unsettled")
        await on.inbox.until(1)
        on.site.brokers.apply(struck)
        on.inbox.deliveries[0].ack()
        await on.send(b"meanwhile")
        with pytest.raises(TransportLost):
            await on.host.send(QUEUE, b"hangs")
        assert anyio.current_time() == pytest.approx(21, abs=0.1)
        assert on.inbox.frames == [b"unsettled"]
        assert await on.inbox.until(3) == [b"unsettled", b"unsettled", b"meanwhile"]
        assert on.noted() == [(FaultKind.HALF_OPEN, True)]


async def test_a_hanging_connection_answers_no_call_either() -> None:
    """Declaring hangs like sending, and ends in the same error."""
    async with stage() as on:
        on.site.brokers.apply(fault(FaultKind.HALF_OPEN, where=HOST, for_s=20))
        with pytest.raises(TransportLost):
            await on.host.declare(QUEUE)
        assert anyio.current_time() == pytest.approx(21, abs=0.1)
        assert on.noted() == [(FaultKind.HALF_OPEN, False)]


async def test_a_connection_that_is_lost_while_it_hangs_hangs_no_more() -> None:
    """Nor does one that was lost already when it was to hang; the next one is whole, and nobody takes it away."""
    hang = fault(FaultKind.HALF_OPEN, where=HOST, for_s=30)
    restart = Fault(kind=FaultKind.BROKER_RESTART, name="f2", where=str(CELL), for_s=1)
    for first, second in ((hang, restart), (restart, hang)):
        async with stage() as on:
            on.site.brokers.apply(first)
            on.site.brokers.apply(second)
            await anyio.sleep(10)
            await on.host.send(QUEUE, CALL)
            assert await on.inbox.until(1) == [CALL]
            await anyio.sleep(20)
            begun_s = anyio.current_time()
            await on.host.send(QUEUE, b"next")
            assert anyio.current_time() - begun_s < 0.1


# --- brokers -----------------------------------------------------------------------------------------------


async def test_a_broker_that_restarts_keeps_its_frames() -> None:
    """Sends meanwhile are refused in time; the consumer comes back by itself, and gets what it had not settled."""
    async with stage(acks=False) as on:
        await on.send(b"kept")
        await on.inbox.until(1)
        on.site.brokers.apply(fault(FaultKind.BROKER_RESTART, where=str(CELL), for_s=10))
        error, took_s = await on.try_to_send(CALL)
        assert isinstance(error, TransportLost)
        assert took_s == pytest.approx(5, abs=0.01)
        assert await on.inbox.until(2, patience_s=20) == [b"kept", b"kept"]
        await on.send(b"after")
        assert await on.inbox.until(3) == [b"kept", b"kept", b"after"]
        assert [each.state for each in on.site.happened(Broker)] == ["down", "up"]
        assert on.noted() == [(FaultKind.BROKER_RESTART, True)]


async def test_a_short_restart_is_waited_for() -> None:
    """A connection may be back before a send's patience ends, under one seed or another."""
    async with stage() as on:
        on.site.brokers.apply(fault(FaultKind.BROKER_RESTART, where=str(CELL), for_s=0.1))
        error, took_s = await on.try_to_send(CALL)
        assert error is None
        assert took_s > 0.25
        assert await on.inbox.until(1) == [CALL]


async def test_a_restart_elsewhere_touches_nobody_here() -> None:
    """Each cell has a broker of its own."""
    async with stage() as on:
        on.site.brokers.apply(fault(FaultKind.BROKER_RESTART, where="api", for_s=10))
        await on.send(CALL)
        assert await on.inbox.until(1, patience_s=0.1) == [CALL]
        assert on.noted() == [(FaultKind.BROKER_RESTART, False)]


async def test_a_frame_on_its_way_to_a_broker_that_goes_is_taken_or_not() -> None:
    """Its sender hears the same in both cases, and each happens."""
    taken: dict[int, None] = {}
    for number in range(12):
        async with stage() as on, anyio.create_task_group() as tasks:
            frame = frame_about("power_on", server=f"s{number}")
            outcome: list[CellferryError | None] = []

            async def send(
                on: Stage = on, frame: bytes = frame, outcome: list[CellferryError | None] = outcome
            ) -> None:
                outcome.append((await on.try_to_send(frame))[0])

            tasks.start_soon(send)
            await anyio.sleep(0.0001)
            on.site.brokers.apply(fault(FaultKind.BROKER_RESTART, where=str(CELL), for_s=1))
            await anyio.sleep(20)
            assert [type(error) for error in outcome] == [TransportLost]
            taken[len(on.inbox.frames)] = None
            assert on.noted() == [(FaultKind.BROKER_RESTART, bool(on.inbox.frames))]
    assert sorted(taken) == [0, 1]


async def test_a_wiped_broker_has_lost_everything_and_gets_its_queues_back() -> None:
    """What was unsettled is lost; the consumer declares its queue again, and takes what is sent then."""
    async with stage(acks=False) as on:
        await on.send(b"lost")
        await on.inbox.until(1)
        on.site.brokers.apply(fault(FaultKind.BROKER_WIPE, where=str(CELL), for_s=2))
        await anyio.sleep(10)
        await on.send(CALL)
        assert await on.inbox.until(2) == [b"lost", CALL]
        assert [lost.why for lost in on.site.happened(Lost)] == ["broker_wipe"]
        assert [each.state for each in on.site.happened(Broker)] == ["down", "wiped", "up"]
        assert on.noted() == [(FaultKind.BROKER_WIPE, True)]


async def test_a_wipe_of_an_empty_broker_does_not_matter() -> None:
    """There was nothing to lose."""
    async with stage() as on:
        on.site.brokers.apply(fault(FaultKind.BROKER_WIPE, where=str(CELL), for_s=2))
        await anyio.sleep(10)
        assert len(on.site.happened(Fired)) == 1
        assert on.noted() == [(FaultKind.BROKER_WIPE, False)]


async def test_a_wiped_queue_that_nobody_makes_again_is_gone() -> None:
    """The process that had declared it is dead."""
    async with stage() as on:
        dead = on.site.process("api!eu/dead")
        await on.site.brokers.connect(dead).declare(OTHER)
        dead.kill()
        on.site.brokers.apply(fault(FaultKind.BROKER_WIPE, where=str(CELL), for_s=1))
        await anyio.sleep(10)
        with pytest.raises(Unroutable):
            await on.sender.send(OTHER, CALL)


async def test_a_deleted_queue_is_made_again_by_its_consumer() -> None:
    """Until it notices, frames are returned to their senders."""
    async with stage(acks=False) as on:
        on.site.brokers.apply(fault(FaultKind.UNROUTABLE, where=str(CELL), other="host:*", for_s=5))
        with pytest.raises(Unroutable):
            await on.send(CALL)
        await anyio.sleep(11)
        await on.send(b"again")
        assert await on.inbox.until(1) == [b"again"]
        assert on.noted() == [(FaultKind.UNROUTABLE, True)]


async def test_a_deleted_queue_that_nobody_sent_to_does_not_matter() -> None:
    """And another queue of the cell is not touched."""
    for other, matters in (("cell", False), ("host:h1", True)):
        async with stage() as on:
            await on.sender.declare(OTHER)
            on.site.brokers.apply(fault(FaultKind.UNROUTABLE, where=str(CELL), other=other, for_s=5))
            error, _took_s = await on.try_to_send(CALL)
            assert (error is not None) is matters
            assert on.noted() == [(FaultKind.UNROUTABLE, matters)]


async def test_a_silent_consumer_gets_its_frames_when_it_has_missed_its_pings() -> None:
    """The queue takes frames and hands none out; then the consumer connects anew."""
    async with stage() as on:
        on.site.brokers.apply(fault(FaultKind.CONSUMER_GONE, where=str(CELL), other="host:h1", for_s=15))
        await on.send(CALL)
        await anyio.sleep(15)
        assert on.inbox.frames == []
        assert await on.inbox.until(1) == [CALL]
        assert on.noted() == [(FaultKind.CONSUMER_GONE, True)]


async def test_a_silent_consumer_for_whom_nothing_waits_does_not_matter() -> None:
    """Nothing was held up."""
    async with stage() as on:
        on.site.brokers.apply(fault(FaultKind.CONSUMER_GONE, where=str(CELL), other="host:h1", for_s=15))
        await anyio.sleep(20)
        assert on.noted() == [(FaultKind.CONSUMER_GONE, False)]


async def test_lasting_faults_end_when_the_world_heals() -> None:
    """Whatever was to last for an hour is over, and each is noted once."""
    kinds = (
        fault(FaultKind.BROKER_RESTART, where=str(CELL), for_s=3600),
        fault(FaultKind.CONSUMER_GONE, where=str(CELL), for_s=3600),
        fault(FaultKind.UNROUTABLE, where=str(CELL), for_s=3600),
        fault(FaultKind.HALF_OPEN, where=HOST, for_s=3600),
    )
    for struck in kinds:
        async with stage() as on:
            on.site.brokers.apply(struck)
            await anyio.sleep(1)
            on.site.injector.end()
            await anyio.sleep(10)
            await on.send(CALL)
            assert await on.inbox.until(1) == [CALL]
            assert [kind for kind, _mattered in on.noted()] == [struck.kind]
