"""The pure cores on a heap and dicts: a story runs through without ever waiting, and some hundred times as fast."""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from protocol.draft import Changes
from sim.cases.workload import IMAGE
from sim.faults import Family, Fault, FaultKind
from sim.inner.troubles import LONGEST_S, Troubles
from sim.inner.world import InnerWorld
from sim.stages.loop import PATIENCE_S, sleeping, stray
from sim.stages.stage import NotOffered

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence

    from actors.compute.drivers.base import GuestState
    from protocol.cell_path import CellPath
    from protocol.records import Record, ServerGroup
    from protocol.truth import Truth
    from sim.cases.layout import Layout
    from sim.cases.workload import Op
    from sim.inner.processes import Process
    from sim.refusals import Refusal, Refusals

T = TypeVar("T")

LOOK_S: Final = 0.05
#: What strikes at an occasion, and so needs nobody to bring it about at a time.
OFFERED: Final = frozenset({Family.MESSAGE, Family.STORE, Family.DRIVER, Family.PARTNER})
POINTED: Final = frozenset({FaultKind.CRASH_AT, FaultKind.PAUSE_AT})


@coroutine
def _in_turn() -> Generator[None, None, None]:
    """Let the others place what they have to place."""
    yield


class InnerHold:
    """Holds one actor at one point."""

    def __init__(self, stage: InnerStage, troubles: Troubles, fault: Fault) -> None:
        """Wait for the point; without one stop the process now."""
        self._stage = stage
        self._troubles = troubles
        self._fault = fault
        self._process: Process = stage.world.setting.processes[fault.where]
        if fault.point:
            stage.world.injector.add(fault)
        else:
            troubles.pause(self._process, LONGEST_S)

    async def reached(self) -> None:
        """Let time pass until the actor stands still."""
        self._stage.let_pass(lambda: self._process.is_paused, f"no conversation has passed {self._fault.point}")

    @property
    def is_holding(self) -> bool:
        """Tell whether the actor stands still now."""
        return self._process.is_paused

    def let_go(self) -> None:
        """Let the actor go on, or never stop it."""
        self._stage.world.injector.remove({self._fault.name})
        if self._process.is_paused:
            self._troubles.resume(self._process)


class InnerStage:
    """The inner level as a stage."""

    def __init__(self, layout: Layout, seed: int) -> None:
        """Make a cloud that does not run yet."""
        self.layout = layout
        self.world = InnerWorld(layout, seed=seed, plan=sleeping())
        self.history = self.world.history
        self._troubles = Troubles(self.world)
        self._is_together = False
        self._held = 0

    def run(self, play: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Play: whatever the story awaits has happened when it is asked for."""
        self.world.add_image(IMAGE)
        self.world.injector.begin()
        playing = play()
        try:
            playing.send(None)
        except StopIteration as done:
            result: T = done.value
            return result
        playing.close()
        raise NotOffered(self, "anything to wait for but the scenario's own operations")

    async def place(self, op: Op) -> None:
        """Place an operation, and let time pass until it is answered."""
        heard: list[str | None] = []
        self.world.users.place(op.wish(), heard.append)
        if self._is_together:
            await _in_turn()
        self.let_pass(lambda: bool(heard), f"{op.name} is not answered")

    async def at_once(self, operations: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Place them one after the other, and let no time pass before the last is placed."""
        self._is_together = True
        for operation in operations:
            operation.send(None)
        self._is_together = False
        return [_finish(operation) for operation in operations]

    async def over(self, conversation: str) -> None:
        """Let time pass until a conversation is over."""
        self.let_pass(lambda: conversation not in self.world.store.open, "a conversation is not over")

    async def wait(self, for_s: float) -> None:
        """Let time pass."""
        self.world.run_for(for_s)

    async def quiet(self) -> None:
        """Let time pass until nothing is left to do."""
        self.world.run_until_quiet(PATIENCE_S)
        self.let_pass(lambda: self.world.is_quiet, "it does not become quiet", patience_s=0.0)

    async def register_volume(self, volume: str) -> None:
        """Make and register a blank volume."""
        self.world.add_volume(volume)

    async def register_group(self, group: ServerGroup) -> None:
        """Make a group of servers."""
        self.world.add_group(group)

    def add(self, fault: Fault) -> None:
        """Let a fault loose."""
        if fault.family not in OFFERED and fault.kind not in POINTED:
            raise NotOffered(self, f"faults of the kind {fault.kind}")
        self.world.injector.add(fault)

    def refuse(self, refusal: Refusal) -> None:
        """Have a command fail at its actor."""
        self.world.setting.refusals.add(refusal)

    def refusals(self) -> Refusals:
        """Give the commands that were to fail."""
        return self.world.setting.refusals

    def kill(self, process: str, *, down_s: float) -> None:
        """Kill a process now."""
        self._troubles.crash(self.world.setting.processes[process], down_s)

    def hold(self, process: str, at: str) -> InnerHold:
        """Have a process stand still."""
        self._held += 1
        fault = Fault(kind=FaultKind.PAUSE_AT, name=f"held-{self._held}", where=process, point=at)
        return InnerHold(self, self._troubles, fault)

    def plant(self, process: str, *rows: Record) -> None:
        """Write rows straight into the store of a cell or a partner."""
        self._save(process, Changes(puts=rows))

    def unplant(self, process: str, *rows: Record) -> None:
        """Take rows straight out of the store of a cell or a partner."""
        self._save(process, Changes(drops=rows))

    def _save(self, process: str, changes: Changes) -> None:
        actors = (*self.world.cells.values(), *self.world.partners.values())
        next(actor for actor in actors if actor.name == process).rows.save(changes)

    async def leave(self, host: str, server: str) -> None:
        """Make a guest of a server that does not run."""
        self.world.hosts[host].hypervisor.spawn(stray(server))

    def heal(self) -> None:
        """End all faults."""
        self.world.setting.refusals.end()
        self._troubles.mend()
        asleep = {fault.name for fault in sleeping()}
        self.world.injector.remove({fault.name for fault in self.world.injector.plan} - asleep)

    def truth(self) -> Truth:
        """Read the truth."""
        return self.world.truth()

    def hypervisors(self) -> dict[str, tuple[GuestState, ...]]:
        """Tell what each host's hypervisor has."""
        return {name: host.hypervisor.inspect() for name, host in self.world.hosts.items()}

    def dead_letters(self, cell: CellPath) -> tuple[str, ...]:
        """Refuse: no message is a letter here."""
        raise NotOffered(self, f"dead letters of {cell}")

    def let_pass(self, is_so: Callable[[], bool], complaint: str, *, patience_s: float = PATIENCE_S) -> None:
        """Let time pass until something is so; raise `TimeoutError` when that takes longer than anything should."""
        until_s = self.world.agenda.now_s + patience_s
        while not is_so():
            if self.world.agenda.now_s >= until_s:
                waits = [f"{each.goal} waits for {each.waits_for}" for each in self.truth().conversations]
                raise TimeoutError(f"{complaint}: {'; '.join(waits)}")
            self.world.run_for(LOOK_S)


def _finish(operation: Coroutine[Any, Any, T]) -> T:
    try:
        operation.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("of what is done at once each places one operation")
