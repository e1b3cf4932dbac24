"""What was written with an effect goes out, in order, until the receiver itself has acknowledged it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from actors.kernel.handlers import Transactional
from actors.kernel.outbox import Pump
from actors.kernel.ports import Outgoing
from actors.store import outbox
from actors.store.sqlite import open_inline
from actors.store.tables import HOST_TABLES
from protocol.bodies import encode_body
from protocol.errors import Conflict, Unavailable
from tests.actors.kernel.rig import ACTOR, Count, Counted, Rig

if TYPE_CHECKING:
    from actors.kernel.ports import Connection
    from protocol.effects.registry import Moment

pytestmark = pytest.mark.anyio


class Receiver:
    """Notes what comes; refuses as it is told."""

    def __init__(self, **moods: list[Exception]) -> None:
        self.got: list[str] = []
        self.moods = moods
        self.handler = Transactional(request=Count, run=self.run)

    def run(self, _connection: Connection, request: Count, _moment: Moment) -> Counted:
        moods = self.moods.get(request.server, [])
        if moods:
            raise moods.pop(0)
        self.got.append(request.server)
        return Counted(number=1)


class Sender:
    """A store with an outbox, and the pump that empties it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.store = open_inline(HOST_TABLES)
        self.post = rig.post("sender")
        self.pump = Pump(post=self.post, store=self.store, waiting=outbox.waiting, retire=outbox.retire)

    async def write(self, *servers: str) -> None:
        rows = tuple(
            Outgoing(
                id=f"to {server}", target=ACTOR, method="count", server=server,
                body=encode_body(Count(server=server)),
            )
            for server in servers
        )  # fmt: skip
        await self.store.transact(outbox.enqueue, rows)
        self.pump.wake()

    async def left(self) -> int:
        return await self.store.transact(outbox.count)

    async def pump_for(self, seconds: float) -> None:
        async with self.post.open():
            with anyio.move_on_after(seconds):
                await self.pump.run()


async def test_messages_go_in_order_and_are_forgotten_when_acknowledged() -> None:
    """Written before and while the pump runs, each arrives once and none is left."""
    rig, receiver = Rig(), Receiver()
    sender = Sender(rig)
    await sender.write("a", "b")
    async with rig.serving(receiver.handler), anyio.create_task_group() as tasks:
        tasks.start_soon(sender.pump_for, 20)
        await anyio.sleep(1)
        await sender.write("c")
        await anyio.sleep(1)
        await sender.write("d", "e")
    assert receiver.got == ["a", "b", "c", "d", "e"]
    assert await sender.left() == 0


async def test_a_message_is_kept_until_its_receiver_is_there() -> None:
    """Through refusals that may pass, a missing receiver and the sender's own death; those behind it wait."""
    rig, receiver = Rig(), Receiver(a=[Unavailable(what="it", reason="busy")] * 2)
    sender = Sender(rig)
    await sender.write("a", "b")
    await sender.pump_for(30)
    assert rig.events.counts["outbox_waits"] > 3
    assert await sender.left() == 2
    async with rig.serving(receiver.handler):
        await sender.pump_for(60)
    assert receiver.got == ["a", "b"]
    assert await sender.left() == 0


async def test_what_will_never_be_taken_is_dropped_with_an_event() -> None:
    """Else it would hold up all that comes after it."""
    rig, receiver = Rig(), Receiver(a=[Conflict(server="a", action="count", reason="never")])
    sender = Sender(rig)
    await sender.write("a", "b")
    async with rig.serving(receiver.handler):
        await sender.pump_for(5)
    assert receiver.got == ["b"]
    assert (rig.events.counts["outbox_refused"], await sender.left()) == (1, 0)


async def test_a_broker_s_confirm_retires_nothing() -> None:
    """A frame that the queue took and nobody handled is sent again."""
    rig, receiver = Rig(), Receiver()
    sender = Sender(rig)
    await sender.write("a")
    async with rig.serving():
        pass  # Now there is a queue, and nobody at it.
    await sender.pump_for(15)
    assert await sender.left() == 1
    async with rig.serving(receiver.handler):
        await sender.pump_for(30)
    assert receiver.got[-1:] == ["a"]
    assert await sender.left() == 0


async def test_of_what_changes_fast_only_the_newest_is_told() -> None:
    """It lies for a moment before it goes; what has taken its place by then goes instead."""
    rig, receiver = Rig(), Receiver()
    sender = Sender(rig)
    async with rig.serving(receiver.handler), anyio.create_task_group() as tasks:
        tasks.start_soon(sender.pump_for, 20)
        await anyio.sleep(1)
        for rank in range(5):
            row = Outgoing(
                id=f"m{rank}", target=ACTOR, method="count", server=f"v{rank}",
                body=encode_body(Count(server=f"v{rank}")), about="it", rank=rank,
            )  # fmt: skip
            await sender.store.transact(outbox.enqueue, (row,))
            sender.pump.wake()
    assert (receiver.got, await sender.left()) == (["v4"], 0)
