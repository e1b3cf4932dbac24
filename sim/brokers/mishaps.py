"""What befalls single frames: lost, doubled, late, overtaken, or taken though their sender is told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.errors import TransportLost
from sim.brokers.ground import Strike
from sim.brokers.queues import Frame
from sim.brokers.traffic import consumer_of
from sim.faults import FaultKind

if TYPE_CHECKING:
    from sim.brokers.ground import Ground
    from sim.brokers.queues import SimQueue
    from sim.faults import Fault

KINDS: Final = (
    FaultKind.LOSE,
    FaultKind.DOUBLE,
    FaultKind.DOUBLE_LATE,
    FaultKind.DELAY,
    FaultKind.REORDER,
    FaultKind.CONFIRM_LOST,
)


class Hiding:
    """A frame that its queue keeps back, why, and what is known of whether that mattered."""

    def __init__(self, ground: Ground, frame: Frame, strikes: dict[FaultKind, Strike]) -> None:
        self._ground = ground
        self._frame = frame
        self._strikes = strikes
        self._is_asked_again = False

    def see(self, other: Frame) -> None:
        """Note that another frame has come past it."""
        if other.sender != self._frame.sender:
            return
        if (strike := self._strikes.get(FaultKind.REORDER)) is not None:
            strike.matter()
        if other.traffic.about == self._frame.traffic.about and other.data != self._frame.data:
            self._matter_late()

    def end(self) -> None:
        """Note what is known when the frame is shown, or gone; a delay is known when somebody gets the frame."""
        if (strike := self._strikes.get(FaultKind.REORDER)) is not None:
            strike.end()
        if (strike := self._strikes.get(FaultKind.DELAY)) is not None:
            self._frame.watchers.append(self._handed)

    def _handed(self) -> None:
        late_s = self._ground.loop.time() - self._frame.sent_s
        if self._frame.traffic.is_awaited and late_s > self._frame.traffic.budget_s:
            self._matter_late()
        self._strikes[FaultKind.DELAY].end()

    def _matter_late(self) -> None:
        if (strike := self._strikes.get(FaultKind.DELAY)) is not None:
            strike.matter()


class _Pair:
    """A frame and its double: both must reach a consumer."""

    def __init__(self, strike: Strike, *frames: Frame) -> None:
        self._strike = strike
        self._missing = len(frames)
        for frame in frames:
            frame.watchers.append(self._handed)

    def _handed(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._strike.matter()


class Mishaps:
    """The message faults of a plan at work."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._kinds = tuple(kind for kind in KINDS if ground.injector.has(kind))
        self._hidden: dict[Frame, SimQueue] = {}

    def heal(self) -> None:
        """Show now all that is kept back."""
        for frame, queue in tuple(self._hidden.items()):
            self._reveal(frame, queue)

    def befall(self, frame: Frame, queue: SimQueue) -> TransportLost | None:
        """Show a frame that a queue has taken, as the faults have it; give what its sender is told instead."""
        if not (self._kinds and self._ground.injector.is_active):
            queue.show(frame)
            return None
        faults = {kind: fault for kind in self._kinds if (fault := self._strike(kind, frame)) is not None}
        outcome = self._confirm(faults, frame)
        if (fault := faults.get(FaultKind.LOSE)) is not None:
            strike = self._note(fault, frame)
            if frame.traffic.is_awaited:
                strike.matter()
            strike.end()
            queue.lose(frame, FaultKind.LOSE.value)
        else:
            self._show(faults, frame, queue)
        self._double(faults, frame, queue)
        return outcome

    def _strike(self, kind: FaultKind, frame: Frame) -> Fault | None:
        traffic, other = frame.traffic, consumer_of(frame.queue)
        return self._ground.injector.strike(
            kind, where=frame.sender, other=other, point=traffic.method, about=traffic.about
        )

    def _note(self, fault: Fault, frame: Frame) -> Strike:
        about = frame.traffic.about or "a frame"
        text = f"{about} from {frame.sender} to {frame.queue}: {fault.kind.value}"
        return Strike(self._ground, fault, text, frame.sender)

    def _confirm(self, faults: dict[FaultKind, Fault], frame: Frame) -> TransportLost | None:
        if (fault := faults.get(FaultKind.CONFIRM_LOST)) is None:
            return None
        frame.watchers.append(self._note(fault, frame).matter)
        return TransportLost(cell=str(frame.queue.cell), reason="the confirm was lost")

    def _show(self, faults: dict[FaultKind, Fault], frame: Frame, queue: SimQueue) -> None:
        late = {kind: faults[kind] for kind in (FaultKind.DELAY, FaultKind.REORDER) if kind in faults}
        if not late:
            queue.show(frame)
            return
        strikes: dict[FaultKind, Strike] = {kind: self._note(fault, frame) for kind, fault in late.items()}
        self._hide(frame, queue, max(fault.amount_s for fault in late.values()), strikes)

    def _hide(self, frame: Frame, queue: SimQueue, for_s: float, strikes: dict[FaultKind, Strike]) -> None:
        queue.hide(frame, Hiding(self._ground, frame, strikes))
        self._hidden[frame] = queue
        self._ground.later(for_s, self._reveal, frame, queue)

    def _reveal(self, frame: Frame, queue: SimQueue) -> None:
        if self._hidden.pop(frame, None) is not None:  # Else it was healed before.
            queue.reveal(frame)

    def _double(self, faults: dict[FaultKind, Fault], frame: Frame, queue: SimQueue) -> None:
        for kind in (FaultKind.DOUBLE, FaultKind.DOUBLE_LATE):
            if (fault := faults.get(kind)) is None:
                continue
            copy = frame.double(self._ground, fault.name)
            if queue.take(copy) is not None:
                continue  # The queue is full, and a double is nobody's loss.
            strike = self._note(fault, frame)
            if kind is FaultKind.DOUBLE:
                _Pair(strike, frame, copy)
                queue.show(copy)
            else:
                _Pair(strike, copy)
                self._hide(copy, queue, fault.amount_s, {})
