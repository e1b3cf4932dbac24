"""A consumer of a broker's queue: what arrived, what is settled, and which acknowledgements that makes due."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

import anyio
from anyio.abc import TaskGroup

from actors.kernel.ports import Queue, Receive
from protocol.errors import CellferryError, TransportLost

BURY_RETRY_S: Final = 1.0
CLOSE_S: Final = 3.0


class Incoming(Protocol):
    """A message as the client library hands it over, as far as a consumer needs it."""

    body: bytes
    delivery_tag: int | None
    user_id: str | None

    async def ack(self, multiple: bool = False) -> None:
        """Tell the broker to forget this message, or all up to it."""


class Attachment:
    """A consumer's channel in one session: what came over it, by delivery tag, until it is acknowledged.

    It ends with the channel.  The broker then delivers anew what was not acknowledged, and late settlements are void.
    """

    def __init__(self, consumer: Consumer) -> None:
        """Begin with nothing, on a fresh channel of `consumer`."""
        self.consumer = consumer
        self.arrived: deque[Delivery] = deque()
        self._unsettled: dict[int, Incoming] = {}
        self._settled: dict[int, Incoming] = {}

    async def take(self, message: Incoming) -> None:
        """Note a message that arrived; the consumer's own task hands it on."""
        assert message.delivery_tag is not None
        self._unsettled[message.delivery_tag] = message
        self.arrived.append(Delivery(self, message.delivery_tag, message.body, message.user_id or ""))
        self.consumer.wake()

    def settle(self, tag: int) -> None:
        """Note that the broker may forget a message."""
        self._settled[tag] = self._unsettled.pop(tag)
        self.consumer.wake()

    def take_due(self) -> list[tuple[Incoming, bool]]:
        """Take out the acknowledgements to send: one for all below the oldest unsettled tag, then one each."""
        oldest = next(iter(self._unsettled), None)
        tags = sorted(self._settled)
        below = [tag for tag in tags if oldest is None or tag < oldest]
        due = [(self._settled[tag], False) for tag in tags[len(below) :]]
        if below:
            due.insert(0, (self._settled[below[-1]], len(below) > 1))
        self._settled.clear()
        return due


class Delivery:
    """One frame that arrived."""

    __slots__ = ("_attachment", "_frame", "_is_settled", "_sender", "_tag")

    def __init__(self, attachment: Attachment, tag: int, frame: bytes, sender: str) -> None:
        """Name the message that brought `frame`, and the user by whom the broker let it in."""
        self._attachment = attachment
        self._tag = tag
        self._frame = frame
        self._sender = sender
        self._is_settled = False

    @property
    def frame(self) -> bytes:
        """The bytes that were sent."""
        return self._frame

    @property
    def sender(self) -> str:
        """Who has sent it: the broker takes a message with a user's name from that user only."""
        return self._sender

    def ack(self) -> None:
        """Let the queue forget the frame."""
        if not self._is_settled:
            self._is_settled = True
            self._attachment.settle(self._tag)

    def reject(self, reason: str, why: str = "") -> None:
        """Put the frame among the dead letters; until they have it, it stays unsettled."""
        if not self._is_settled:
            self._is_settled = True
            self._attachment.consumer.bury(self._attachment, self._tag, Dead(self._frame, reason, why, self._sender))


class Dead(NamedTuple):
    """A frame that is to be among the dead letters, why, and who has sent it."""

    frame: bytes
    reason: str
    why: str
    sender: str


class Consumer:
    """Hands frames to `receive` from one task of its own, which also sends the acknowledgements, many at once.

    What waits to be acknowledged is bounded by the prefetch: the broker sends no more before.
    """

    def __init__(
        self,
        queue: Queue,
        receive: Receive,
        *,
        prefetch: int,
        tasks: TaskGroup,
        acknowledge: Callable[[Awaitable[None]], Awaitable[None]],
        bury: Callable[[Dead], Awaitable[None]],
    ) -> None:
        """Serve `receive` in `tasks`; calls of the broker go by `acknowledge`, and dead letters by `bury`."""
        self.queue = queue
        self.prefetch = prefetch
        self._receive = receive
        self._tasks = tasks
        self._acknowledge = acknowledge
        self._bury_frame = bury
        self._attachment: Attachment | None = None
        self._burying = 0
        self._woken = anyio.Event()
        self._finished = anyio.Event()
        self.is_closed = False

    def attach(self) -> Attachment:
        """Begin anew on a fresh channel; what was going on over the old one is void."""
        self._attachment = Attachment(self)
        return self._attachment

    def wake(self) -> None:
        """Have the task look at what there is to do."""
        self._woken.set()

    def bury(self, attachment: Attachment, tag: int, dead: Dead) -> None:
        """Move a frame to the dead letters, then settle it."""
        self._burying += 1
        self._tasks.start_soon(self._bury, attachment, tag, dead)

    async def run(self) -> None:
        """Hand frames out and acknowledge what is settled, until closed."""
        try:
            while not self.is_closed or self._burying:
                await self._woken.wait()
                self._woken = anyio.Event()
                self._hand_out()
                await self._send_due()
        finally:
            with anyio.CancelScope(shield=True):  # The calls of the broker have deadlines of their own.
                await self._send_due()
            self._finished.set()

    async def close(self) -> None:
        """Hand nothing out any more, and return when what is settled is acknowledged, as far as that can be."""
        self.is_closed = True
        self.wake()
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self._finished.wait()
        self._attachment = None

    def _hand_out(self) -> None:
        while self._attachment is not None and self._attachment.arrived and not self.is_closed:
            self._receive(self._attachment.arrived.popleft())

    async def _send_due(self) -> None:
        try:
            for message, is_multiple in self._attachment.take_due() if self._attachment is not None else ():
                await self._acknowledge(message.ack(multiple=is_multiple))
        except TransportLost:
            return  # With the channel gone, the frames come again.

    async def _bury(self, attachment: Attachment, tag: int, dead: Dead) -> None:
        try:
            while attachment is self._attachment:
                try:
                    await self._bury_frame(dead)
                except CellferryError:
                    await anyio.sleep(BURY_RETRY_S)
                else:
                    attachment.settle(tag)
                    return
        finally:
            self._burying -= 1
            self.wake()
