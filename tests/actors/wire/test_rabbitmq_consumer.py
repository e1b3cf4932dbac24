"""Which acknowledgements a consumer sends: exactly those of settled frames, many by one where that is true of all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import anyio
import attrs
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel.ports import Queue
from actors.wire.rabbitmq_consumer import Attachment, Consumer, Dead
from protocol.cell_path import CellPath
from sim.clock import run
from tests.actors.wire.inbox import Inbox


@attrs.define
class Message:
    """A message as the client library hands it over; the broker's side notes what is acknowledged."""

    delivery_tag: int | None
    body: bytes
    unacknowledged: set[int]
    user_id: str | None = None

    async def ack(self, multiple: bool = False) -> None:
        assert self.delivery_tag is not None
        assert self.delivery_tag in self.unacknowledged, "the broker closes the channel for an unknown tag"
        lowest = 1 if multiple else self.delivery_tag
        self.unacknowledged -= set(range(lowest, self.delivery_tag + 1))


@st.composite
def runs(draw: st.DrawFn) -> list[int]:
    """Draw what happens: 0 for an arrival, -1 for sending what is due, n for settling the n-th unsettled frame."""
    return draw(st.lists(st.integers(min_value=-1, max_value=4), max_size=40))


@asynccontextmanager
async def attached() -> AsyncIterator[Attachment]:
    """Attach a consumer whose task does not run, so that the test sends what is due."""

    async def acknowledge(call: Awaitable[None]) -> None:
        await call

    async def bury(_dead: Dead) -> None:
        """Have it buried at once."""

    queue = Queue(CellPath.parse("api"), "cell")
    async with anyio.create_task_group() as tasks:
        yield Consumer(queue, Inbox(), prefetch=1, tasks=tasks, acknowledge=acknowledge, bury=bury).attach()


async def send_due(attachment: Attachment) -> int:
    due = attachment.take_due()
    for message, is_multiple in due:
        await message.ack(multiple=is_multiple)
    return len(due)


async def follow(steps: list[int]) -> None:
    unacknowledged: set[int] = set()
    unsettled: list[int] = []
    async with attached() as attachment:
        for tag, step in enumerate(steps, start=1):
            if step == 0:
                unacknowledged.add(tag)
                unsettled.append(tag)
                await attachment.take(Message(tag, b"", unacknowledged))
            elif step > 0 and unsettled:
                attachment.settle(unsettled.pop((step - 1) % len(unsettled)))
            else:
                await send_due(attachment)
                assert unacknowledged == set(unsettled)
        await send_due(attachment)
        assert unacknowledged == set(unsettled)


async def settle_all(count: int) -> None:
    unacknowledged = set(range(1, count + 1))
    async with attached() as attachment:
        for tag in range(1, count + 1):
            await attachment.take(Message(tag, b"", unacknowledged))
        for tag in range(1, count + 1):
            attachment.settle(tag)
        assert await send_due(attachment) == 1
        assert unacknowledged == set()


@given(steps=runs())
def test_exactly_the_settled_frames_are_acknowledged(steps: list[int]) -> None:
    """In whatever order frames arrive and are settled, the broker forgets those settled, and no other."""
    run(follow, steps)


@given(count=st.integers(min_value=1, max_value=50))
def test_frames_settled_in_their_order_take_one_acknowledgement(count: int) -> None:
    """A batch costs one message to the broker."""
    run(settle_all, count)
