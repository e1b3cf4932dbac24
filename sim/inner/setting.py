"""What everybody in an inner world shares: time, chances, history, faults, processes and the wires between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.errors import StoreUnavailable
from sim.chance import Chance
from sim.faults import FaultKind
from sim.injector import Injector
from sim.inner.agenda import Agenda
from sim.inner.network import Network
from sim.inner.processes import Process
from sim.ports import EPOCH_US
from sim.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.cases.layout import Layout
    from sim.faults import Fault, Plan
    from sim.history import History

POINTED: Final = (FaultKind.CRASH_AT, FaultKind.PAUSE_AT)
STORED: Final = (FaultKind.STORE_ERROR, FaultKind.STORE_UNSURE, FaultKind.STORE_FULL, FaultKind.FSYNC_LOST)
WORKED: Final = (FaultKind.DRIVER_REFUSES, FaultKind.DRIVER_DIRTY, FaultKind.DRIVER_SLOW)
PARTNERED: Final = (FaultKind.PARTNER_REFUSES, FaultKind.PARTNER_UNSURE, FaultKind.PARTNER_SLOW)


class Setting:
    """Shared by all participants of one world."""

    def __init__(
        self, layout: Layout, *, seed: int, plan: Plan, history_of: Callable[[Callable[[], int]], History]
    ) -> None:
        self.layout = layout
        self.chance = Chance(seed)
        self.agenda = Agenda()
        self.history = history_of(lambda: self.agenda.now_ns)
        self.injector = Injector(plan, chance=self.chance, history=self.history)
        self.processes: dict[str, Process] = {}
        links = {f"{cell}/link": self.process(f"{cell}/link") for cell in layout.cells}
        self.network = Network(
            layout, agenda=self.agenda, chance=self.chance, injector=self.injector, history=self.history, links=links
        )
        self.has_points = any(fault.kind in POINTED for fault in plan)
        self.has_driver_faults = any(fault.kind in WORKED for fault in plan)
        self.has_partner_faults = any(fault.kind in PARTNERED for fault in plan)
        self._stored = tuple(kind for kind in STORED if self.injector.has(kind))
        self._writes: dict[str, int] = {}
        self.refusals = Refusals()
        self.befall: Callable[[Fault, str], None] = lambda _fault, _process: None

    def process(self, name: str) -> Process:
        """Give the process of that name, made when it is first asked for."""
        found = self.processes.get(name)
        if found is None:
            found = self.processes[name] = Process(name, self.agenda)
        return found

    def pass_point(self, point: str | None, process: str) -> None:
        """Note that a conversation passes a point at a process, and let happen what waits for that."""
        if not self.has_points or point is None:
            return
        for kind in POINTED:
            for fault in self.injector.passing(kind, point):
                self.befall(fault, fault.where or process)

    def check_store(self, process: str) -> bool:
        """Let a process's store fail: raise, or tell whether the writer will not hear that it was written."""
        if not self._stored:
            return False
        count = self._writes[process] = self._writes.get(process, 0) + 1
        for kind in self._stored:
            fault = self.injector.strike(kind, where=process, about=count)
            if fault is None:
                continue
            self.injector.note(fault, mattered=True, text=f"write {count} of {process}: {kind.value}", process=process)
            if kind is FaultKind.STORE_UNSURE:
                return True
            if kind is FaultKind.FSYNC_LOST:
                self.befall(fault, process)
            raise StoreUnavailable(store=process, reason=kind.value)
        return False

    def unsure(self, process: str) -> StoreUnavailable:
        """Make the error that says that a write may have happened."""
        return StoreUnavailable(store=process, reason="it may have been written")

    def now_us(self) -> int:
        """Tell the time of every wall clock of the world."""
        return EPOCH_US + self.agenda.now_ns // 1000
