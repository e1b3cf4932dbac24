"""Has the faults of a plan happen that befall processes and guests, at their time or at a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.cases.layout import replica_name
from sim.faults import FaultKind
from sim.history import Crashed, GuestOff, Paused, Resumed, Started

if TYPE_CHECKING:
    from sim.faults import Fault
    from sim.inner.conductor import Conductor
    from sim.inner.processes import Process
    from sim.inner.world import InnerWorld

#: How long a process is down whose fault does not say, or says for ever: until everything is healed.
LONGEST_S: Final = 3600.0
DOWN_S: Final = 5.0
CRASHES: Final = (FaultKind.CRASH, FaultKind.CRASH_AT, FaultKind.CRASH_ALL, FaultKind.FSYNC_LOST)
PAUSES: Final = (FaultKind.PAUSE, FaultKind.PAUSE_AT)
MACHINES: Final = frozenset({FaultKind.MACHINE_DOWN, FaultKind.HOST_GONE})
TIMED: Final = MACHINES | {
    FaultKind.CRASH, FaultKind.CRASH_ALL, FaultKind.PAUSE, FaultKind.USURP, FaultKind.GUEST_DIES,
}  # fmt: skip


class Troubles:
    """The faults that befall processes and guests of one world."""

    def __init__(self, world: InnerWorld) -> None:
        self._world = world
        self._setting = world.setting
        self._setting.befall = self._befall
        self._fenced: dict[str, None] = {}
        self._stopped: dict[str, int] = {}  # Processes that are down or stand still, and since which run.

    def begin(self) -> None:
        """Let the faults loose: their times count from now."""
        injector = self._setting.injector
        injector.begin()
        for fault in injector.plan:
            if fault.kind in TIMED:
                self._setting.agenda.after(fault.at_s, self._at_its_time, fault)

    def end(self) -> None:
        """Let nothing go wrong any more, and mend what is broken."""
        self._setting.injector.end()
        for host in tuple(self._fenced):
            self._unfence(host)
        self.mend()

    def mend(self) -> None:
        """Have who is down start, and who stands still go on."""
        for name in tuple(self._stopped):
            process = self._setting.processes[name]
            if process.is_up:
                self._resume(process, process.run)
            else:
                self._start(process, process.run)

    def _at_its_time(self, fault: Fault) -> None:
        if not self._setting.injector.is_active:
            return
        if fault.kind is FaultKind.USURP:
            self._usurp(fault)
        elif fault.kind is FaultKind.GUEST_DIES:
            self._kill_guests(fault)
        elif fault.kind in MACHINES:
            self._lose_machines(fault)
        else:
            for name in self._victims(fault):
                self._befall(fault, name)

    def _victims(self, fault: Fault) -> list[str]:
        every = fault.kind is FaultKind.CRASH_ALL
        names = (name for name in self._setting.processes if not name.endswith("/client"))
        return [name for name in names if every or fault.matches(where=name, other="", point="")]

    def _befall(self, fault: Fault, name: str) -> None:
        process = self._setting.processes.get(name)
        if process is None or not process.is_up:
            return
        for_s = min(fault.for_s, LONGEST_S)
        if fault.kind in PAUSES:
            self._pause(fault, process, for_s)
        elif fault.kind in CRASHES:
            self.crash(process, DOWN_S if fault.kind is FaultKind.FSYNC_LOST else for_s)
            is_busy = bool(self._world.store.open)
            self._setting.injector.note(fault, mattered=is_busy, text=f"{name} was killed", process=name)

    # --- processes ---------------------------------------------------------------------------------------------

    def crash(self, process: Process, for_s: float) -> None:
        """Kill a process; it is started again after that time."""
        self._setting.history.record(Crashed(process=process.name))
        self._stop(process)
        process.crash()
        self._setting.agenda.after(for_s, self._start, process, process.run)

    def _start(self, process: Process, run: int) -> None:
        if process.run != run or process.is_up:
            return
        self._go(process)
        self._setting.history.record(Started(process=process.name, run=process.run + 1))
        process.start()

    def _pause(self, fault: Fault | None, process: Process, for_s: float) -> None:
        if process.is_paused:
            return
        self._setting.history.record(Paused(process=process.name))
        self._stop(process)
        process.pause()
        self._setting.agenda.after(for_s, self._resume, process, process.run, fault)

    def pause(self, process: Process, for_s: float) -> None:
        """Have a process stand still for that time."""
        self._pause(None, process, for_s)

    def resume(self, process: Process) -> None:
        """Have a process that stands still go on now."""
        self._resume(process, process.run)

    def _resume(self, process: Process, run: int, fault: Fault | None = None) -> None:
        if process.run != run or not process.is_paused:
            return
        if fault is not None:
            text = f"{process.name} stood still; {process.held} of its steps had to wait"
            self._setting.injector.note(fault, mattered=process.held > 0, text=text, process=process.name)
        self._setting.history.record(Resumed(process=process.name))
        self._go(process)
        process.resume()

    def _stop(self, process: Process) -> None:
        self._stopped[process.name] = process.run
        self._setting.network.links_stopped += process.name.endswith("/link") and process.is_going

    def _go(self, process: Process) -> None:
        del self._stopped[process.name]
        self._setting.network.links_stopped -= process.name.endswith("/link")

    # --- a second conductor, and guests ------------------------------------------------------------------------

    def _usurp(self, fault: Fault) -> None:
        first = self._world.conductors[0]
        if not first.process.is_going:
            return
        for_s = min(fault.for_s, LONGEST_S)
        self._pause(None, first.process, for_s)
        self._setting.agenda.after(for_s + DOWN_S, self._tell_usurped, fault, first, first.lost)
        usurper = self._world.conductor(replica_name("conductor", len(self._world.conductors)))
        self._world.conductors.append(usurper)
        self._setting.history.record(Started(process=usurper.name, run=1))
        usurper.begin()

    def _tell_usurped(self, fault: Fault, first: Conductor, lost_before: int) -> None:
        lost = first.lost - lost_before
        text = f"a second conductor took over; the first lost {lost} conversations"
        self._setting.injector.note(fault, mattered=lost > 0, text=text, process=first.name)

    def _kill_guests(self, fault: Fault) -> None:
        for name, host in self._world.hosts.items():
            if not fault.matches(where=host.name, other="", point=""):
                continue
            died = [server for server in host.hypervisor.running() if fault.other in {"", server}]
            for server in died:
                host.hypervisor.die(server)
                self._setting.history.record(GuestOff(process=host.name, host=name, server=server))
            text = f"{', '.join(died) or 'nobody'} died on {name}"
            self._setting.injector.note(fault, mattered=bool(died), text=text)

    # --- machines ----------------------------------------------------------------------------------------------

    def _lose_machines(self, fault: Fault) -> None:
        for name, host in self._world.hosts.items():
            if not fault.matches(where=host.name, other="", point="") or not host.process.is_up:
                continue
            for_s = min(fault.for_s, LONGEST_S)
            self.crash(host.process, for_s)
            # Also what the hypervisor has only just done by itself.
            died = host.hypervisor.running()
            for server in died:
                host.hypervisor.die(server)
                self._setting.history.record(GuestOff(process=host.name, host=name, server=server))
            is_gone = fault.kind is FaultKind.HOST_GONE
            if is_gone:
                self._fenced[name] = None
                self._world.fence(name)
                self._setting.agenda.after(for_s, self._unfence, name)
            text = f"the machine of {name} is off{', and fenced' if is_gone else ''}"
            is_busy = bool(self._world.store.open)
            self._setting.injector.note(fault, mattered=bool(died) or is_busy, text=text, process=host.name)

    def _unfence(self, host: str) -> None:
        if host in self._fenced:
            del self._fenced[host]
            self._world.unfence(host)
