"""Cuts between processes: what is sent meanwhile waits as long as TCP keeps trying, and is then given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.brokers.ground import Strike
from sim.faults import Fault, FaultKind

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

    from sim.brokers.ground import Ground

PATIENCE_S: Final = 5.0
"""How long a sender waits for the confirm of a frame that does not get through."""

LOOK_AGAIN_S: Final = 1e-6


class Held:
    """A frame that a cut holds up, and what becomes of it."""

    def __init__(self, since_s: float, *, depart: Callable[[], None], fail: Callable[[], None]) -> None:
        self.since_s = since_s
        self.depart = depart
        self.fail = fail


class Links:
    """The cuts of a plan at work.  They begin and end by themselves, as the plan has it."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        kinds = (FaultKind.CUT, FaultKind.CUT_ONE_WAY)
        self._cuts = tuple(fault for fault in ground.injector.plan if fault.kind in kinds)
        self._strikes: dict[str, Strike] = {}
        self._held: dict[tuple[str, str], list[Held]] = {}
        self._timers: dict[tuple[str, str], TimerHandle] = {}

    def holds(self, sender: str, receiver: str) -> bool:
        """Tell whether what is sent now waits: for the end of a cut, or behind what waits already."""
        if not self._cuts or sender == receiver:
            return False
        fault = self._cut(sender, receiver)
        if fault is not None:
            self._strike(fault).matter()
        return fault is not None or (sender, receiver) in self._held

    def hold(self, sender: str, receiver: str, held: Held) -> None:
        """Keep a frame until the cut has ended, or the patience."""
        self._held.setdefault((sender, receiver), []).append(held)
        self._look_later(sender, receiver)

    def heal(self) -> None:
        """Let pass what waits: nothing is cut any more."""
        for sender, receiver in tuple(self._held):
            self._look(sender, receiver)
        for strike in self._strikes.values():
            strike.end()

    def _cut(self, sender: str, receiver: str) -> Fault | None:
        for fault in self._cuts:
            if not self._ground.injector.is_due(fault):
                continue
            if not self._ground.chance.hits(fault.chance, fault.kind, fault.name):
                continue
            if fault.matches(where=sender, other=receiver, point=""):
                return fault
            if fault.kind is FaultKind.CUT and fault.matches(where=receiver, other=sender, point=""):
                return fault
        return None

    def _strike(self, fault: Fault) -> Strike:
        if fault.name not in self._strikes:
            self._strikes[fault.name] = Strike(self._ground, fault, str(fault), "")
        return self._strikes[fault.name]

    def _look(self, sender: str, receiver: str) -> None:
        """Give up what has waited long enough, and let pass the rest when nothing is cut any more."""
        pair = (sender, receiver)
        if (timer := self._timers.pop(pair, None)) is not None:
            timer.cancel()
        held = self._held.pop(pair, [])
        now_s = self._ground.loop.time()
        if self._cut(sender, receiver) is None:
            for each in held:
                each.depart()
            return
        rest = [each for each in held if each.since_s + PATIENCE_S > now_s]
        if rest:
            self._held[pair] = rest
            self._look_later(sender, receiver)
        for each in held[: len(held) - len(rest)]:
            each.fail()

    def _look_later(self, sender: str, receiver: str) -> None:
        pair = (sender, receiver)
        if pair in self._timers:
            return
        at_s = self._held[pair][0].since_s + PATIENCE_S
        if (fault := self._cut(sender, receiver)) is not None:
            left_s = max(self._ground.injector.left_s(fault), LOOK_AGAIN_S)  # Time must move on, whatever is rounded.
            at_s = min(at_s, self._ground.loop.time() + left_s)
        self._timers[pair] = self._ground.at(at_s, self._look, sender, receiver)
