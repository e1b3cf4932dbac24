"""Each fault of single frames strikes, does what it means, and is noted once with whether it mattered."""

from __future__ import annotations

import anyio
import pytest

from protocol.envelope import Key
from protocol.errors import TransportLost
from sim.faults import Fault, FaultKind
from sim.history import Lost
from tests.actors.wire.inbox import QUEUE
from tests.sim.broker_stage import CALL, KEY, fault, stage
from tests.sim.simulated_wire import HOST, SENDER, frame_about

pytestmark = pytest.mark.anyio


# --- frames ------------------------------------------------------------------------------------------------


async def test_a_lost_frame_is_confirmed_and_never_comes() -> None:
    """It matters when somebody waits for it; a frame that is no call is lost without mattering."""
    for frame, matters in ((CALL, True), (frame_about("closed", call=False), False)):
        async with stage(fault(FaultKind.LOSE, where=SENDER, other=HOST)) as on:
            await on.send(frame, b"next")
            await anyio.sleep(60)
            assert on.inbox.frames == [b"next"]
            assert [lost.why for lost in on.site.happened(Lost)] == ["lose"]
            assert on.noted() == [(FaultKind.LOSE, matters)]


async def test_a_message_fault_strikes_only_where_it_is_meant_to() -> None:
    """Neither another sender's frames, nor another method's."""
    for plan in (
        fault(FaultKind.LOSE, where="api!eu/conductor"),
        fault(FaultKind.LOSE, other="api!eu/host:h2"),
        Fault(kind=FaultKind.LOSE, name="f1", point="power_off"),
    ):
        async with stage(plan) as on:
            await on.send(CALL)
            assert await on.inbox.until(1) == [CALL]
            assert on.noted() == []


async def test_a_doubled_frame_comes_twice_in_a_row() -> None:
    """The double is right behind, and both are handed out and settled."""
    async with stage(fault(FaultKind.DOUBLE)) as on:
        await on.send(CALL, b"next")
        assert await on.inbox.until(3) == [CALL, CALL, b"next"]
        assert on.noted() == [(FaultKind.DOUBLE, True)]


async def test_a_double_that_nobody_takes_does_not_matter() -> None:
    """With a consumer that has room for one frame only, the second is never handed out."""
    async with stage(fault(FaultKind.DOUBLE), acks=False, prefetch=1) as on:
        await on.send(CALL)
        await anyio.sleep(60)
        assert on.inbox.frames == [CALL]
        assert on.noted() == [(FaultKind.DOUBLE, False)]


async def test_a_late_double_comes_when_it_is_due() -> None:
    """The first copy comes at once, the second behind what was sent meanwhile."""
    async with stage(fault(FaultKind.DOUBLE_LATE, amount_s=20)) as on:
        await on.send(CALL, b"next")
        await anyio.sleep(19)
        assert on.inbox.frames == [CALL, b"next"]
        assert await on.inbox.until(3) == [CALL, b"next", CALL]
        assert on.noted() == [(FaultKind.DOUBLE_LATE, True)]


async def test_a_delayed_frame_matters_when_its_sender_has_asked_again() -> None:
    """Another sending of the same step counts, another step does not."""
    first = frame_about("spawn", number=1, key=KEY)
    other_step = Key(scope="c1", attempt=1, step="power_on", is_undo=False)
    for second_key, matters in ((KEY, True), (other_step, False)):
        async with stage(fault(FaultKind.DELAY, amount_s=10)) as on:
            second = frame_about("spawn", number=2, key=second_key)
            await on.send(first, second)
            assert await on.inbox.until(2, patience_s=20) == [second, first]
            assert on.noted() == [(FaultKind.DELAY, matters)]


async def test_a_delayed_frame_matters_when_its_sender_has_given_up() -> None:
    """A delay beyond the call's budget does, a short one does not."""
    for amount_s, matters in ((40.0, True), (5.0, False)):
        async with stage(fault(FaultKind.DELAY, amount_s=amount_s)) as on:
            await on.send(CALL)
            await anyio.sleep(amount_s - 1)
            assert on.inbox.frames == []
            assert await on.inbox.until(1) == [CALL]
            assert on.noted() == [(FaultKind.DELAY, matters)]


async def test_a_reordered_frame_is_overtaken_by_those_sent_soon_after() -> None:
    """It matters when there are any, and only those of the same sender count."""
    for sender, matters in ((SENDER, True), ("api!eu/link", False)):
        async with stage(fault(FaultKind.REORDER, where=SENDER, amount_s=0.1)) as on:
            await on.send(CALL)
            await (on.sender if matters else on.site.wire(sender)).send(QUEUE, b"next")
            assert await on.inbox.until(2) == [b"next", CALL]
            assert on.noted() == [(FaultKind.REORDER, matters)]


async def test_a_lost_confirm_leaves_the_frame_in_its_queue() -> None:
    """The sender is told that the broker went away, the consumer gets the frame."""
    async with stage(fault(FaultKind.CONFIRM_LOST)) as on:
        with pytest.raises(TransportLost):
            await on.send(CALL)
        assert await on.inbox.until(1) == [CALL]
        assert on.noted() == [(FaultKind.CONFIRM_LOST, True)]


async def test_what_is_kept_back_comes_when_the_world_heals() -> None:
    """Nobody waits for the rest of a delay once the faults are over."""
    async with stage(fault(FaultKind.DELAY, amount_s=3600)) as on:
        await on.send(CALL)
        on.site.injector.end()
        assert await on.inbox.until(1) == [CALL]
