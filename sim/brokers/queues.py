"""The queues of simulated brokers: frames in their places, who takes them, and how long each way takes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from actors.wire.topology import DeadLetter
from protocol.errors import Overflow
from sim.brokers.ground import HAND
from sim.brokers.rights import user_of
from sim.brokers.traffic import Traffic, glance
from sim.history import Handed, Lost, Sent, Settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from actors.kernel.ports import Queue, Receive
    from sim.brokers.ground import Ground, Strike
    from sim.brokers.mishaps import Hiding
    from sim.process import Process

HEARTBEATS_MISSED_S: Final = 20.0
"""A broker gives a connection up that has been silent for so long: two heartbeats of the real wire."""


class Frame:
    """A frame on its way: through a queue, once it has a place there."""

    __slots__ = ("copies", "data", "draw", "key", "number", "place", "queue", "sender", "sent_s", "traffic", "watchers")

    def __init__(self, sender: str, queue: Queue, data: bytes, traffic: Traffic, *, key: str, draw: float) -> None:
        self.sender = sender
        self.queue = queue
        self.data = data
        self.traffic = traffic
        self.key = key  # Of its chances: it stays the same when other faults are taken away.
        self.draw = draw
        self.number = 0
        self.place = 0
        self.copies = 0
        self.sent_s = 0.0
        self.watchers: list[Callable[[], None]] = []  # Told once, when it is first handed out.

    @classmethod
    def make(cls, ground: Ground, sender: str, queue: Queue, data: bytes) -> Frame:
        """Make the frame that a process sends."""
        traffic = glance(data)
        about = f"{sender} {queue} {traffic.about}"
        key = f"{about} {ground.count(about)}"
        return cls(sender, queue, data, traffic, key=key, draw=ground.chance.uniform("wire", key))

    def double(self, ground: Ground, name: str) -> Frame:
        """Make a double, with chances of its own."""
        key = f"{self.key} {name}"
        draw = ground.chance.uniform("wire", key)
        return Frame(self.sender, self.queue, self.data, self.traffic, key=key, draw=draw)

    def hand(self) -> None:
        """Note that it reached a consumer."""
        self.copies += 1
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            watcher()


class Consumer:
    """Who takes frames from a queue, over as many connections as it takes."""

    def __init__(self, queue: Queue, receive: Receive, *, prefetch: int, process: Process, context: Context) -> None:
        self.queue = queue
        self.receive = receive
        self.prefetch = prefetch
        self.process = process
        self.context = context  # Its process's own, so that what `receive` starts belongs to that.
        self.attachment: Attachment | None = None


class Attachment:
    """A consumer's channel in one connection: what it was given, until the queue knows that it is settled."""

    def __init__(
        self, ground: Ground, consumer: Consumer, source: SimQueue, *, when_silent: Callable[[], None]
    ) -> None:
        self._ground = ground
        self._when_silent = when_silent
        self.consumer = consumer
        self.source = source
        self.unsettled: dict[int, Frame] = {}
        self._settling: dict[int, tuple[str, str]] = {}
        self._withheld: list[Frame] = []
        self._last_s = 0.0
        self.is_void = False
        self.is_hung = False

    @property
    def has_room(self) -> bool:
        """Tell whether the prefetch allows for one more."""
        return len(self.unsettled) < self.consumer.prefetch

    def give(self, frame: Frame) -> None:
        """Send a frame to the consumer, behind those before."""
        ground = self._ground
        self.unsettled[frame.place] = frame
        draw = frame.draw if not frame.copies else ground.chance.uniform("again", frame.key, frame.copies)
        self._last_s = max(ground.loop.time() + ground.latency_s(draw, HAND), self._last_s)
        ground.at(self._last_s, self._arrive, frame)

    def wake(self) -> None:
        """Hand on what was held back while the process stood still."""
        if self._withheld:
            self._ground.loop.call_soon(self._catch_up, context=self.consumer.context)

    def settle(self, frame: Frame, reason: str, why: str = "") -> None:
        """Tell the queue of a settlement; it is void when the connection is lost before it gets there."""
        if self.is_void or self.is_hung:
            return
        late_s = self._ground.settled_late_s(frame.draw)
        if late_s:
            self._settling[frame.place] = (reason, why)
            self._ground.later(late_s, self._settled, frame.place)
        else:
            self.source.settle(self, frame.place, reason, why)

    def flush(self) -> None:
        """Let all settlements get to the queue now."""
        if not self.is_hung:
            for place in tuple(self._settling):
                self._settled(place)

    def _settled(self, place: int) -> None:
        if not (self.is_void or self.is_hung) and (settling := self._settling.pop(place, None)) is not None:
            self.source.settle(self, place, *settling)

    def _arrive(self, frame: Frame) -> None:
        process = self.consumer.process
        if self.is_void or self.is_hung:
            return
        if process.is_frozen or self._withheld:
            if not self._withheld:
                self._ground.later(HEARTBEATS_MISSED_S, self._miss)
            self._withheld.append(frame)
        else:
            self.consumer.context.run(self._hand, frame)

    def _catch_up(self) -> None:
        while self._withheld and not (self.is_void or self.is_hung or self.consumer.process.is_frozen):
            self._hand(self._withheld.pop(0))

    def _hand(self, frame: Frame) -> None:
        process = self.consumer.process
        frame.hand()
        self._ground.history.record(
            Handed(
                process=process.name, queue=self.source.text, frame=frame.number, copy=frame.copies,
                notes=frame.traffic.notes,
            )
        )  # fmt: skip
        self.consumer.receive(SimDelivery(self, frame))

    def _miss(self) -> None:
        if self._withheld and self.consumer.process.is_frozen and not self.is_void:
            self._when_silent()


class SimDelivery:
    """One frame in the hands of one consumer."""

    __slots__ = ("_attachment", "_frame", "_is_settled")

    def __init__(self, attachment: Attachment, frame: Frame) -> None:
        self._attachment = attachment
        self._frame = frame
        self._is_settled = False

    @property
    def frame(self) -> bytes:
        """The bytes that were sent."""
        return self._frame.data

    @property
    def sender(self) -> str:
        """Who has sent it: brokers know a process by its name."""
        return user_of(self._frame.sender)

    def ack(self) -> None:
        """Let the queue forget the frame."""
        self._settle("")

    def reject(self, reason: str, why: str = "") -> None:
        """Put the frame among the dead letters of the queue's cell, with the reason."""
        self._settle(reason or "rejected", why)

    def _settle(self, reason: str, why: str = "") -> None:
        if not self._is_settled:
            self._is_settled = True
            self._attachment.settle(self._frame, reason, why)


class SimQueue:
    """A queue: frames by their place, those that are hidden for a while, and the consumers in their turns."""

    def __init__(self, ground: Ground, name: Queue, dead: list[DeadLetter]) -> None:
        self._ground = ground
        self._dead = dead
        self._place_next = 0
        self.name = name
        self.text = str(name)
        self.waiting: deque[Frame] = deque()
        self.hidden: dict[Frame, Hiding] = {}
        self.consumers: deque[Attachment] = deque()
        self.mutes: dict[Strike, None] = {}  # Nothing is handed out while there are any.

    @property
    def kept(self) -> int:
        """Count the frames that it has taken and that are not settled."""
        return len(self.waiting) + len(self.hidden) + sum(len(each.unsettled) for each in self.consumers)

    def take(self, frame: Frame) -> Overflow | None:
        """Take responsibility for a frame, or say why not; it is then to be shown."""
        if len(self.waiting) + len(self.hidden) >= self._ground.messages_max:
            what = f"the queue {self.name.name} of cell {self.name.cell}"
            return Overflow(what=what, limit=self._ground.messages_max)
        frame.number = self._ground.number()
        frame.sent_s = self._ground.loop.time()
        self._ground.history.record(
            Sent(process=frame.sender, queue=self.text, frame=frame.number, notes=frame.traffic.notes)
        )
        return None

    def show(self, frame: Frame) -> None:
        """Put a frame behind the others."""
        for hiding in self.hidden.values():
            hiding.see(frame)
        frame.place = self._place_next
        self._place_next += 1
        self.waiting.append(frame)
        self.hand_out()

    def hide(self, frame: Frame, hiding: Hiding) -> None:
        """Keep a frame back for a while."""
        self.hidden[frame] = hiding

    def reveal(self, frame: Frame) -> None:
        """Show a frame that was hidden, if it is still here."""
        if (hiding := self.hidden.pop(frame, None)) is not None:
            hiding.end()
            self.show(frame)

    def attach(self, attachment: Attachment) -> None:
        """Let a consumer take part from now on."""
        self.consumers.append(attachment)
        self.hand_out()

    def detach(self, attachment: Attachment) -> None:
        """Take back what a consumer has not settled, each frame to its old place."""
        if attachment.is_void:
            return
        attachment.is_void = True
        self.consumers.remove(attachment)
        if attachment.unsettled:
            frames = [*attachment.unsettled.values(), *self.waiting]
            self.waiting = deque(sorted(frames, key=lambda frame: frame.place))
            attachment.unsettled.clear()
        self.hand_out()

    def settle(self, attachment: Attachment, place: int, reason: str, why: str = "") -> None:
        """Forget a frame, or make it a dead letter; while there is no room for those it stays unsettled."""
        if reason and len(self._dead) >= self._ground.messages_max:
            return
        frame = attachment.unsettled.pop(place)
        if reason:
            self._dead.append(DeadLetter(self.name, frame.data, reason, why))
        process = attachment.consumer.process.name
        self._ground.history.record(Settled(process=process, queue=self.text, frame=frame.number, reason=reason))
        self.hand_out()

    def lose(self, frame: Frame, why: str) -> None:
        """Note that a frame is gone which nobody settled."""
        self._ground.history.record(Lost(process=frame.sender, queue=self.text, frame=frame.number, why=why))

    def delete(self, why: str) -> int:
        """Forget everything; the consumers get nothing any more.  Tell how many frames were lost."""
        frames = [*self.waiting, *self.hidden, *(frame for each in self.consumers for frame in each.unsettled.values())]
        for hiding in self.hidden.values():
            hiding.end()
        for attachment in self.consumers:
            attachment.is_void = True
            attachment.unsettled.clear()
        self.consumers.clear()
        self.waiting.clear()
        self.hidden.clear()
        for frame in frames:
            self.lose(frame, why)
        return len(frames)

    def hand_out(self) -> None:
        """Give waiting frames to the consumers that have room, in turn."""
        if self.mutes:
            if self.waiting:
                for strike in self.mutes:
                    strike.matter()
            return
        while self.waiting and (attachment := self._next()) is not None:
            attachment.give(self.waiting.popleft())

    def _next(self) -> Attachment | None:
        for _turn in range(len(self.consumers)):
            attachment = self.consumers[0]
            self.consumers.rotate(-1)
            if attachment.has_room:
                return attachment
        return None
