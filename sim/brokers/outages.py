"""Faults of brokers and connections that last: each begins, makes a difference or not, and ends."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from sim.brokers.ground import Strike
from sim.faults import FaultKind
from sim.history import Broker

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

    from protocol.cell_path import CellPath
    from sim.brokers.cell_broker import CellBroker
    from sim.brokers.ground import Ground
    from sim.brokers.wire import Session, SimWire
    from sim.faults import Fault


class Outages:
    """The lasting faults at work."""

    def __init__(self, ground: Ground, brokers: dict[CellPath, CellBroker], wires: dict[SimWire, None]) -> None:
        self._ground = ground
        self._brokers = brokers
        self._wires = wires
        self._lasting: dict[Strike, Callable[[], None]] = {}
        self._timers: dict[Strike, TimerHandle] = {}
        self._begin: dict[FaultKind, Callable[[Fault, Strike], Callable[[], None]]] = {
            FaultKind.BROKER_RESTART: self._restart,
            FaultKind.BROKER_WIPE: self._wipe,
            FaultKind.UNROUTABLE: self._unroute,
            FaultKind.CONSUMER_GONE: self._mute,
            FaultKind.HALF_OPEN: self._hang,
        }

    def begin(self, fault: Fault) -> None:
        """Let a fault strike now; it ends by itself."""
        begin = self._begin.get(fault.kind)
        assert begin is not None, f"{fault.kind} is no lasting fault of a broker or connection"
        strike = Strike(self._ground, fault, str(fault), fault.where if fault.kind is FaultKind.HALF_OPEN else "")
        self._lasting[strike] = begin(fault, strike)
        if not math.isinf(fault.for_s):
            self._timers[strike] = self._ground.later(fault.for_s, self._end, strike)

    def heal(self) -> None:
        """End all of them now."""
        for strike in tuple(self._lasting):
            self._end(strike)

    def _end(self, strike: Strike) -> None:
        end = self._lasting.pop(strike, None)
        if end is None:
            return
        if (timer := self._timers.pop(strike, None)) is not None:
            timer.cancel()
        end()
        strike.end()

    def _struck(self, fault: Fault) -> list[CellBroker]:
        return [
            broker
            for cell, broker in self._brokers.items()
            if fault.matches(where=str(cell), other=fault.other, point=fault.point)
        ]

    # --- a broker is away ---------------------------------------------------------------------------------------

    def _restart(self, fault: Fault, strike: Strike) -> Callable[[], None]:
        brokers = self._struck(fault)
        for broker in brokers:
            self._take_down(broker, strike)
            if broker.kept:
                strike.matter()
        return partial(self._bring_back, brokers, strike)

    def _wipe(self, fault: Fault, strike: Strike) -> Callable[[], None]:
        brokers = self._struck(fault)
        for broker in brokers:
            self._take_down(broker, strike)
            if sum([queue.delete(FaultKind.BROKER_WIPE.value) for queue in broker.queues.values()]):
                strike.matter()
            broker.queues.clear()
            broker.dead.clear()
            self._ground.history.record(Broker(cell=str(broker.cell), state="wiped"))
        return partial(self._bring_back, brokers, strike)

    def _take_down(self, broker: CellBroker, strike: Strike) -> None:
        broker.outages[strike] = None
        self._ground.history.record(Broker(cell=str(broker.cell), state="down"))
        for session in tuple(broker.sessions):
            session.lose("it went away")

    def _bring_back(self, brokers: list[CellBroker], strike: Strike) -> None:
        for broker in brokers:
            del broker.outages[strike]
            if not broker.is_down:
                self._ground.history.record(Broker(cell=str(broker.cell), state="up"))
                for session in tuple(broker.sessions):
                    session.reopen_later()

    # --- a queue is away ----------------------------------------------------------------------------------------

    def _unroute(self, fault: Fault, strike: Strike) -> Callable[[], None]:
        sessions: dict[Session, None] = {}
        for broker in self._struck(fault):
            for name in [name for name in broker.queues if _fits(fault, name.name)]:
                sessions |= dict.fromkeys(broker.consuming(name))
                broker.deleted[name] = strike
                if broker.queues.pop(name).delete(FaultKind.UNROUTABLE.value):
                    strike.matter()

        def notice() -> None:
            # Whoever has connected anew since then has made the queue already.
            deprived = [session for session in sessions if session.is_deprived]
            self._notice(tuple(deprived), "the broker cancelled a consumer")

        return notice

    def _mute(self, fault: Fault, strike: Strike) -> Callable[[], None]:
        queues = [
            (broker, queue)
            for broker in self._struck(fault)
            for name, queue in broker.queues.items()
            if _fits(fault, name.name)
        ]
        for _broker, queue in queues:
            queue.mutes[strike] = None
            queue.hand_out()

        def unmute() -> None:
            sessions: dict[Session, None] = {}
            for broker, queue in queues:
                queue.mutes.pop(strike)
                sessions |= dict.fromkeys(broker.consuming(queue.name))
            self._notice(tuple(sessions), "self-pings were missed")

        return unmute

    def _notice(self, sessions: tuple[Session, ...], reason: str) -> None:
        for session in sessions:
            session.lose(reason)

    # --- a connection hangs -------------------------------------------------------------------------------------

    def _hang(self, fault: Fault, strike: Strike) -> Callable[[], None]:
        sessions = [
            session
            for wire in self._wires
            if fault.matches(where=wire.process.name, other=fault.other, point=fault.point)
            for session in wire.sessions.values()
        ]
        for session in sessions:
            session.hang(strike)

        def notice() -> None:
            # Whoever has lost his connection since then has another one already.
            self._notice(tuple(session for session in sessions if strike in session.hangs), "no heartbeat")

        return notice


def _fits(fault: Fault, queue: str) -> bool:
    return fault.matches(where=fault.where, other=queue, point=fault.point)
