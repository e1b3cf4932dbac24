"""Simulated brokers, one a cell, that promise no more than real ones, and break as the plan of faults has it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actors.wire.topology import FRAME_BYTES_MAX, MESSAGES_MAX
from sim.brokers.cell_broker import CellBroker
from sim.brokers.ground import Ground
from sim.brokers.links import Links
from sim.brokers.mishaps import Mishaps
from sim.brokers.outages import Outages
from sim.brokers.wire import SimWire

if TYPE_CHECKING:
    from actors.wire.topology import DeadLetter
    from protocol.cell_path import CellPath
    from sim.chance import Chance
    from sim.faults import Fault
    from sim.history import History
    from sim.injector import Injector
    from sim.process import Process


class Brokers:
    """All brokers of a world."""

    def __init__(
        self,
        *,
        history: History,
        injector: Injector,
        chance: Chance,
        latency_s: tuple[float, float] = (0.0005, 0.003),
        messages_max: int = MESSAGES_MAX,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        has_rights: bool = False,
    ) -> None:
        """Begin with brokers that are up and empty; each way of a frame takes a latency between these.

        With rights, a process may do what the users of real brokers may.
        """
        self._ground = Ground(
            history=history, injector=injector, chance=chance, latency_s=latency_s, messages_max=messages_max,
            frame_bytes_max=frame_bytes_max, has_rights=has_rights,
        )  # fmt: skip
        self._mishaps = Mishaps(self._ground)
        self._links = Links(self._ground)
        self._brokers: dict[CellPath, CellBroker] = {}
        self._wires: dict[SimWire, None] = {}
        self._outages = Outages(self._ground, self._brokers, self._wires)
        injector.when_ended.append(self.heal)

    def connect(self, process: Process) -> SimWire:
        """Give a process its wire, which goes away with it."""
        wire = SimWire(self._ground, self._links, process, self._find)
        self._wires[wire] = None
        process.when_cut.append(partial(self._vanish, wire))
        return wire

    def dead_letters(self, cell: CellPath) -> tuple[DeadLetter, ...]:
        """List the frames that consumers in `cell` rejected, oldest first."""
        return tuple(self._find(cell).dead)

    def kept(self) -> int:
        """Count the frames that queues have taken and that are neither settled nor lost."""
        return sum(broker.kept for broker in self._brokers.values())

    def in_flight(self) -> int:
        """Count the frames that are kept, or on their way to a queue."""
        return self.kept() + sum(session.sending for wire in self._wires for session in wire.sessions.values())

    def apply(self, fault: Fault) -> None:
        """Begin a lasting fault now; it ends by itself."""
        self._outages.begin(fault)

    def wake(self) -> None:
        """Go on with the processes that do not stand still any more."""
        for wire in tuple(self._wires):
            wire.wake()

    def heal(self) -> None:
        """End all lasting faults now, and let pass what cuts hold up."""
        self._outages.heal()
        self._links.heal()
        self._mishaps.heal()

    def close(self) -> None:
        """Note the faults of which nothing more will be known: the world ends."""
        for strike in tuple(self._ground.strikes):
            strike.end()

    def _vanish(self, wire: SimWire) -> None:
        self._wires.pop(wire, None)
        wire.vanish()

    def _find(self, cell: CellPath) -> CellBroker:
        if cell not in self._brokers:
            self._brokers[cell] = CellBroker(self._ground, self._mishaps, cell)
        return self._brokers[cell]
