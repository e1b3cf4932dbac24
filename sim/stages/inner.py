"""The pure cores on a heap and dicts: a story runs through without ever waiting, and some hundred times as fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from sim.cases.workload import IMAGE
from sim.faults import Family
from sim.inner.world import InnerWorld
from sim.stages.loop import PATIENCE_S, sleeping
from sim.stages.stage import NotOffered

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from actors.compute.drivers.base import GuestState
    from protocol.cell_path import CellPath
    from protocol.truth import Truth
    from sim.cases.layout import Layout
    from sim.cases.workload import Op
    from sim.faults import Fault

T = TypeVar("T")

LOOK_S: Final = 0.05
#: What strikes at an occasion, and so needs nobody to bring it about at a time.
OFFERED: Final = frozenset({Family.MESSAGE, Family.STORE, Family.DRIVER, Family.PARTNER})


class InnerStage:
    """The inner level as a stage."""

    def __init__(self, layout: Layout, seed: int) -> None:
        """Make a cloud that does not run yet."""
        self.layout = layout
        self.world = InnerWorld(layout, seed=seed, plan=sleeping())
        self.history = self.world.history

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
        self.world.users.place(op.order(), heard.append)
        self._until(lambda: bool(heard), f"{op.name} is not answered")

    async def over(self, conversation: str) -> None:
        """Let time pass until a conversation is over."""
        self._until(lambda: conversation not in self.world.store.open, "a conversation is not over")

    async def wait(self, for_s: float) -> None:
        """Let time pass."""
        self.world.run_for(for_s)

    async def quiet(self) -> None:
        """Let time pass until nothing is left to do."""
        self.world.run_until_quiet(PATIENCE_S)
        self._until(lambda: self.world.is_quiet, "it does not become quiet", patience_s=0.0)

    async def register_volume(self, volume: str) -> None:
        """Make and register a blank volume."""
        self.world.add_volume(volume)

    def add(self, fault: Fault) -> None:
        """Let a fault loose."""
        if fault.family not in OFFERED:
            raise NotOffered(self, f"faults of the kind {fault.kind}")
        self.world.injector.add(fault)

    def heal(self) -> None:
        """End all faults."""
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

    def _until(self, is_so: Callable[[], bool], complaint: str, *, patience_s: float = PATIENCE_S) -> None:
        until_s = self.world.agenda.now_s + patience_s
        while not is_so():
            if self.world.agenda.now_s >= until_s:
                waits = [f"{each.goal} waits for {each.waits_for}" for each in self.truth().conversations]
                raise TimeoutError(f"{complaint}: {'; '.join(waits)}")
            self.world.run_for(LOOK_S)
