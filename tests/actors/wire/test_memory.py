"""The memory wire against a model, under any order of sending, settling, and consumers that come and go."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio.lowlevel
import attrs
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel.ports import Delivery, Receive
from actors.wire.memory import MemoryWire
from protocol.errors import Overflow
from sim.clock import run
from tests.actors.wire.inbox import CELL, QUEUE, Inbox

MESSAGES_MAX = 5
PREFETCH = 3


@attrs.frozen
class Send:
    """A frame is sent."""


@attrs.frozen
class Open:
    """A consumer comes."""


@attrs.frozen
class Close:
    """The consumer that came first goes."""


@attrs.frozen
class Settle:
    """Somebody settles one of the deliveries that were ever made, perhaps once more."""

    which: int
    is_good: bool


steps = st.lists(
    st.just(Send())
    | st.just(Open())
    | st.just(Close())
    | st.builds(Settle, which=st.integers(min_value=0, max_value=30), is_good=st.booleans()),
    max_size=60,
)


@attrs.define
class Account:
    """What was sent and what became of it, as the deliveries alone tell."""

    sent: list[bytes] = attrs.Factory(list)
    acked: list[bytes] = attrs.Factory(list)
    rejected: list[bytes] = attrs.Factory(list)
    held: list[list[Delivery]] = attrs.Factory(list)

    def settle(self, delivery: Delivery, *, is_good: bool) -> None:
        """Settle a delivery; it counts only when its consumer is there and it was not settled before."""
        for held in self.held:
            if delivery in held:
                held.remove(delivery)
                (self.acked if is_good else self.rejected).append(delivery.frame)
        if is_good:
            delivery.ack()
        else:
            delivery.reject("malformed")


async def play(script: list[Send | Open | Close | Settle]) -> None:
    """Follow the script, then count."""
    wire, account = MemoryWire(messages_max=MESSAGES_MAX), Account()
    delivered: list[Delivery] = []
    consumers: list[AsyncExitStack] = []
    await wire.declare(QUEUE)
    for step in script:
        match step:
            case Send():
                frame = b"%03d" % len(account.sent)
                try:
                    await wire.send(QUEUE, frame)
                    account.sent.append(frame)
                except Overflow:
                    assert sum(map(len, account.held)) == PREFETCH * len(consumers)
            case Open():
                held: list[Delivery] = []
                stack = AsyncExitStack()
                await stack.enter_async_context(wire.consume(QUEUE, noting(held, delivered), prefetch=PREFETCH))
                account.held.append(held)
                consumers.append(stack)
            case Close() if consumers:
                account.held.pop(0)
                await consumers.pop(0).aclose()
            case Settle(which, is_good) if which < len(delivered) and len(account.rejected) < MESSAGES_MAX:
                account.settle(delivered[which], is_good=is_good)
            case _:
                pass
        await anyio.lowlevel.checkpoint()
        assert all(len(held) <= PREFETCH for held in account.held)
    for stack in consumers:
        await stack.aclose()
    await count(wire, account)


async def count(wire: MemoryWire, account: Account) -> None:
    """Find every frame that was sent: acknowledged, dead, or delivered to this last consumer, in order."""
    rest = Inbox()
    left = sorted(set(account.sent) - set(account.acked) - set(account.rejected))
    async with wire.consume(QUEUE, rest, prefetch=len(account.sent) + 1):
        await rest.until(len(left))
        await anyio.lowlevel.checkpoint()
    assert rest.frames == left
    assert sorted(account.acked + account.rejected + left) == account.sent
    assert [letter.frame for letter in wire.dead_letters(CELL)] == account.rejected


def noting(*lists: list[Delivery]) -> Receive:
    """Make a receiver that notes each delivery in all the lists."""

    def receive(delivery: Delivery) -> None:
        for each in lists:
            each.append(delivery)

    return receive


@given(script=steps)
def test_no_frame_is_lost_doubled_or_out_of_order(script: list[Send | Open | Close | Settle]) -> None:
    """What was sent is acknowledged, dead, or delivered to the next consumer in its order: each frame once."""
    run(play, script)
