"""A call gets one answer: a value or an error; what comes doubled, late or unasked is dropped and counted."""

from __future__ import annotations

import anyio
import attrs
import pytest

from actors.kernel.calls import PENDING_MAX, Calls
from actors.kernel.handlers import Transactional
from actors.kernel.post import Stamp
from protocol.cell_path import Address
from protocol.envelope import Response, answer
from protocol.errors import CallTimeout, Overflow, Unroutable
from tests.actors.kernel.rig import ACTOR, CELL, QUEUE, Count, Counted, Rig, Sleeper, Slow, asked, count, stamp

pytestmark = pytest.mark.anyio
COUNTING = Transactional(request=Count, run=count)


async def test_calls_that_cross_each_get_their_own_answer() -> None:
    """Each of many at once hears of its own server."""
    rig, found = Rig(), {}
    async with rig.serving(COUNTING) as (_, caller):

        async def ask(server: str, times: int) -> None:
            for _ in range(times):
                found[server] = await caller.call(ACTOR, Count(server=server), stamp=Stamp(server=server))

        async with anyio.create_task_group() as tasks:
            for number in range(1, 20):
                tasks.start_soon(ask, f"s{number}", number)
        assert found == {f"s{number}": Counted(number=number) for number in range(1, 20)}
        assert len(caller.calls) == 0


@pytest.mark.proves("Q2", "Q10")
async def test_a_call_that_nobody_answers_times_out_and_a_late_answer_is_dropped() -> None:
    """The caller hears of it at its deadline, to the nanosecond; what comes then is counted."""
    rig, slow = Rig(), Sleeper()
    async with rig.serving(slow.handler) as (_, caller):
        with pytest.raises(CallTimeout) as caught:
            await caller.call(ACTOR, Slow(), budget_s=3)
        assert anyio.current_time() == 3
        assert caught.value.is_retryable
        await anyio.sleep(20)
        assert caller.calls.unwanted == rig.events.counts["answer_unwanted"] == 1


@pytest.mark.proves("Q8")
async def test_the_second_of_two_answers_is_dropped() -> None:
    """The call has its first one, and the other is counted."""
    rig = Rig()
    async with rig.post("client").open() as caller:
        await rig.wire.declare(QUEUE)
        call = asked(caller, Count(), stamp())
        given = [answer(call, id=rig.ids.new(), source=ACTOR, body=body, is_error=False) for body in (b"1", b"2")]
        got: list[Response] = []

        async def ask() -> None:
            got.append(await caller.ask(call))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(1)
            await rig.frame(*given, queue=caller.replies)
        assert [each.body for each in got] == [b"1"]
        assert rig.events.counts["answer_unwanted"] == 1


async def test_one_bad_envelope_takes_no_answer_with_it() -> None:
    """The answers of a frame are taken, and the frame is a dead letter with the reason of the bad one."""
    rig = Rig()
    async with rig.post("client").open() as caller:
        await rig.wire.declare(QUEUE)
        call = asked(caller, Count(), stamp())
        given = answer(call, id=rig.ids.new(), source=ACTOR, body=b"1", is_error=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.ask, call)
            await anyio.sleep(1)
            await rig.frame(b"junk", given, queue=caller.replies)
        assert anyio.current_time() == 1
        assert rig.dead() == ["malformed"]


async def test_what_is_no_answer_is_dropped_from_among_them() -> None:
    """A call in a queue of answers is counted, and does no harm."""
    rig = Rig()
    async with rig.post("client").open() as caller:
        await rig.frame(asked(caller, Count(), stamp()), queue=caller.replies)
        await anyio.sleep(1)
        assert (rig.events.counts["answer_unwanted"], rig.dead()) == (1, [])


async def test_a_call_to_no_queue_fails_at_once() -> None:
    """The asker need not wait for what was never sent."""
    rig = Rig()
    async with rig.post("client").open() as caller:
        with pytest.raises(Unroutable):
            await caller.call(Address(CELL, "nobody"), Count())
        assert len(caller.calls) == 0


def test_the_table_of_pending_calls_is_bounded() -> None:
    """One call too many is refused; when one is given up there is room again."""
    calls = Calls()
    for number in range(PENDING_MAX):
        calls.open(number.to_bytes(16, "big"), until_s=1.0)
    with pytest.raises(Overflow):
        calls.open(b"one too many", until_s=1.0)
    calls.close((7).to_bytes(16, "big"))
    calls.open(b"there is room", until_s=1.0)


@pytest.mark.proves("R4")
async def test_a_cast_asks_for_no_answer() -> None:
    """Its envelope says so, whatever becomes of it."""
    rig = Rig()
    seen: list[bytes] = []
    async with rig.post("client").open() as caller:
        await rig.wire.declare(QUEUE)
        await caller.cast(ACTOR, Count())
        async with rig.wire.consume(QUEUE, lambda delivery: seen.append(delivery.frame), prefetch=1):
            await anyio.sleep(1)
        silent = attrs.evolve(asked(caller, Count(), stamp()), call=False, reply_to="")
        await caller.answer(silent, b"", is_error=False)
    assert len(seen) == 1
    assert rig.events.counts["answer_lost"] == 0
