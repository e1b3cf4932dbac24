"""Has the faults of a plan happen that are not decided at each occasion: those at a time, and those at a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from protocol.errors import CellferryError, HostNotFenced
from sim.cases.layout import replica_name
from sim.faults import Fault, FaultKind
from sim.points import point_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sim.history import Line
    from sim.world import World

#: How long a process is down whose fault does not say.
DOWN_S: Final = 5.0
LONGEST_S: Final = 3600.0
BROKERS: Final = frozenset(
    {
        FaultKind.BROKER_RESTART,
        FaultKind.BROKER_WIPE,
        FaultKind.UNROUTABLE,
        FaultKind.CONSUMER_GONE,
        FaultKind.HALF_OPEN,
    }
)
CLOCKS: Final = frozenset({FaultKind.CLOCK_DRIFT, FaultKind.CLOCK_JUMP})
AT_A_TIME: Final = BROKERS | CLOCKS | {
    FaultKind.CRASH, FaultKind.CRASH_ALL, FaultKind.PAUSE, FaultKind.USURP, FaultKind.GUEST_DIES,
    FaultKind.MACHINE_DOWN, FaultKind.HOST_GONE,
}  # fmt: skip
MACHINES: Final = frozenset({FaultKind.MACHINE_DOWN, FaultKind.HOST_GONE})
AT_A_POINT: Final = (FaultKind.CRASH_AT, FaultKind.PAUSE_AT)


class Director:
    """The faults that befall processes, brokers, clocks and guests."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._usurpers = 0
        if any(world.injector.has(kind) for kind in AT_A_POINT):
            world.history.listeners.append(self._listen)

    def begin(self) -> None:
        """Let the faults loose: their times count from now."""
        self._world.injector.begin()
        for fault in self._world.injector.plan:
            if fault.kind in AT_A_TIME:
                self._world.machines.spawn(self._at_its_time, fault)

    def add(self, fault: Fault) -> None:
        """Let one more fault loose; its time counts from now."""
        self._world.injector.add(fault)
        if fault.kind in AT_A_TIME:
            self._world.machines.spawn(self._at_its_time, fault)

    def end(self) -> None:
        """End them all, and mend what they have broken."""
        self._world.injector.end()
        self._world.brokers.heal()
        self._world.machines.heal()

    async def _at_its_time(self, fault: Fault) -> None:
        await anyio.sleep(fault.at_s)
        if self._world.injector.is_active:
            self._strike(fault)

    def _strike(self, fault: Fault) -> None:
        if fault.kind in BROKERS:
            self._world.brokers.apply(fault)
        elif fault.kind in CLOCKS:
            self._world.clocks.apply(fault)
        elif fault.kind is FaultKind.USURP:
            self._usurp(fault)
        elif fault.kind is FaultKind.GUEST_DIES:
            self._kill_guests(fault)
        elif fault.kind in MACHINES:
            self._lose_machines(fault)
        else:
            self._befall(fault, self._victims(fault))

    def _victims(self, fault: Fault) -> list[str]:
        every = fault.kind is FaultKind.CRASH_ALL
        return [name for name in self._world.machines.live if every or fault.matches(where=name, other="", point="")]

    def _befall(self, fault: Fault, victims: list[str]) -> None:
        for name in victims:
            if fault.kind in {FaultKind.PAUSE, FaultKind.PAUSE_AT}:
                self._pause(fault, name)
            else:
                self._kill(fault, name)

    def _kill(self, fault: Fault, name: str) -> None:
        is_busy = bool(self._world.conversations.open)
        if self._world.machines.kill(name, down_s=min(fault.for_s, LONGEST_S)):
            self._world.injector.note(fault, mattered=is_busy, text=f"{name} was killed", process=name)

    def _pause(self, fault: Fault, name: str) -> None:
        def ended(held: int) -> None:
            text = f"{name} stood still; {held} of its steps had to wait"
            self._world.injector.note(fault, mattered=held > 0, text=text, process=name)

        self._world.machines.pause(name, for_s=min(fault.for_s, LONGEST_S), ended=ended)

    def _listen(self, line: Line) -> None:
        point = point_of(line.what)
        if point is None:
            return
        for kind in AT_A_POINT:
            for fault in self._world.injector.passing(kind, point):
                self._befall(fault, [fault.where or line.what.process])

    def _usurp(self, fault: Fault) -> None:
        lost_before = self._world.counts["conversation_lost"]

        def ended(_held: int) -> None:
            self._world.machines.spawn(self._tell_usurped, fault, lost_before)

        name = f"{self._world.layout.root}/conductor"
        if self._world.machines.pause(name, for_s=min(fault.for_s, LONGEST_S), ended=ended):
            self._world.machines.begin(replica_name(name, self._world.layout.conductors + self._usurpers))
            self._usurpers += 1

    async def _tell_usurped(self, fault: Fault, lost_before: int) -> None:
        await anyio.sleep(DOWN_S)
        lost = self._world.counts["conversation_lost"] - lost_before
        text = f"a second conductor took over; the first lost {lost} conversations"
        self._world.injector.note(fault, mattered=lost > 0, text=text)

    def _kill_guests(self, fault: Fault) -> None:
        for name in self._world.layout.hosts:
            if fault.matches(where=self._world.host_process(name), other="", point=""):
                died = self._world.kill_guests(name, fault.other)
                self._world.injector.note(
                    fault, mattered=bool(died), text=f"{', '.join(died) or 'nobody'} died on {name}"
                )

    # --- machines ----------------------------------------------------------------------------------------------

    def _lose_machines(self, fault: Fault) -> None:
        for name in self._world.layout.hosts:
            process = self._world.host_process(name)
            if not fault.matches(where=process, other="", point="") or process not in self._world.machines.live:
                continue
            died, is_busy = self._world.lose_power(name), bool(self._world.conversations.open)
            is_gone = fault.kind is FaultKind.HOST_GONE
            if is_gone:
                self._world.machines.held.add(process)
                self._world.machines.spawn(self._fence, fault, name, process)
            self._world.machines.kill(process, down_s=min(fault.for_s, LONGEST_S))
            text = f"the machine of {name} is off{', and is to be fenced' if is_gone else ''}"
            self._world.injector.note(fault, mattered=bool(died) or is_busy, text=text, process=process)

    async def _fence(self, fault: Fault, host: str, process: str) -> None:
        """Fence a host that is off, and only then let it boot; what an operator has begun he brings to its end."""
        await anyio.sleep(fault.amount_s)
        await self._insist(self._world.fence, host)
        self._world.machines.held.discard(process)
        with anyio.move_on_after(max(0.0, min(fault.for_s, LONGEST_S) - fault.amount_s)):
            await self._world.machines.healed()
        await self._insist(self._world.unfence, host)

    async def _insist(self, ask: Callable[[str], Awaitable[object]], host: str) -> None:
        while True:
            try:
                await ask(host)
            except CellferryError as error:
                if isinstance(error, HostNotFenced):
                    return
            else:
                return
            await anyio.sleep(DOWN_S)
