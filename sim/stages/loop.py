"""The production actors on virtual time: the stage that offers everything."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs

from actors.compute.drivers.base import GuestSpec
from actors.store.records import save
from protocol.draft import Changes
from sim import clock
from sim.cases.workload import IMAGE, TINY
from sim.chance import Chance
from sim.director import Director
from sim.faults import Family, Fault, FaultKind
from sim.loop.strategies import Shuffled
from sim.refusals import Refusals
from sim.stages.cuts import Cuts
from sim.stages.gate import Gate
from sim.stages.hold import Hold
from sim.stages.stage import NotOffered
from sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from actors.compute.drivers.base import GuestState
    from actors.kernel.ports import Inbox, Wire
    from actors.kernel.post import Post
    from protocol.cell_path import CellPath
    from protocol.records import Record, ServerGroup
    from protocol.truth import Truth
    from sim.cases.layout import Layout
    from sim.cases.workload import Op
    from sim.refusals import Refusal

T = TypeVar("T")

#: Longer than anything takes that ends by itself, the patience of conversations and their pauses included.
PATIENCE_S: Final = 3600.0
LOOK_S: Final = 1.0
#: So often in a row nothing must be left to do: what is between two messages is seen the next time.
QUIET_LOOKS: Final = 3
#: The mailbox in which a scenario gets its answers.
VISITOR: Final = "visitor"
#: Hypervisors that a scenario has fail do so wholly, and are never merely busy.
CERTAIN: Final = frozenset({"busy", "half"})


def sleeping() -> tuple[Fault, ...]:
    """Make a plan in which each kind has a fault that never strikes: so whoever asks once looks out for later ones."""
    families = {Family.MESSAGE, Family.STORE, Family.DRIVER, Family.PARTNER}
    kinds = (kind for kind in FaultKind if Fault(kind=kind, name="").family in families)
    wanted = (*kinds, FaultKind.CRASH_AT, FaultKind.PAUSE_AT)
    return tuple(Fault(kind=kind, name=f"sleeping-{kind}", at_s=math.inf) for kind in wanted)


def stray(server: str) -> GuestSpec:
    """Describe a guest of a server that nobody has ordered."""
    return GuestSpec(
        server=server, name=server, vcpus=TINY.vcpus, memory_mb=TINY.memory_mb, disk_gb=TINY.disk_gb, image=IMAGE,
        volumes=(), permit=0, is_powered_on=False,
    )  # fmt: skip


@attrs.frozen
class Certain(Chance):
    """Chances as always, but for how hypervisors fail: as the scenario says."""

    def hits(self, chance: float, *about: object) -> bool:
        """Decide by chance, unless the scenario has decided."""
        return bool(about) and about[0] not in CERTAIN and super().hits(chance, *about)


class WorldStage:
    """A stage with real actors; what they run on, its subclasses say."""

    patience_s = PATIENCE_S
    look_s = LOOK_S

    def __init__(
        self, layout: Layout, *, seed: int, pace: float, wires: Callable[[str], Wire] | None = None,
        inbox: Inbox | None = None,
    ) -> None:  # fmt: skip
        """Make a cloud that does not run yet."""
        self.layout = layout
        self.cuts = Cuts()
        self.world = World(layout, seed=seed, plan=(*sleeping(), self.cuts), pace=pace, wires=wires, inbox=inbox)
        self.world.chance = Certain(seed)
        self.director = Director(self.world)
        self.history = self.world.history
        self.posts: dict[CellPath, Post] = {}

    async def play(self, play: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Set the cloud up and play, on the loop that is running."""
        played: list[T] = []
        failure: BaseException | None = None
        async with AsyncExitStack() as stack:
            stack.callback(self.world.close)
            await stack.enter_async_context(self.world.running())
            for cell in self.layout.cells:
                post = self.world.ports.post(cell, VISITOR)
                self.posts[cell] = await stack.enter_async_context(post.open())
            await self.world.add_image(IMAGE)
            self.world.injector.begin()
            try:
                played.append(await play())
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001 - raised again below: here the cloud's tasks would wrap it.
                failure = error
        if failure is not None:
            raise failure
        return played[0]

    # --- what users do -----------------------------------------------------------------------------------------

    async def place(self, op: Op) -> None:
        """Place an operation."""
        await self.world.users.place(op)

    async def over(self, conversation: str) -> None:
        """Wait until a conversation is over."""
        with anyio.move_on_after(self.patience_s):
            await self.world.conversations.over(conversation)
            return
        raise TimeoutError(f"a conversation is not over: {'; '.join(self._unfinished())}")

    async def at_once(self, operations: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Place them in tasks of their own: which comes first, the loop's seed says."""
        done: dict[int, T] = {}

        async def do(number: int, operation: Coroutine[Any, Any, T]) -> None:
            done[number] = await operation

        async with anyio.create_task_group() as tasks:
            for number, operation in enumerate(operations):
                tasks.start_soon(do, number, operation)
        return [done[number] for number in range(len(operations))]

    async def wait(self, for_s: float) -> None:
        """Let time pass."""
        await anyio.sleep(for_s)

    async def quiet(self) -> None:
        """Wait until nothing is left to do, and has been for a while."""
        looks = 0
        with anyio.move_on_after(self.patience_s):
            while looks < QUIET_LOOKS:
                looks = 0 if self._unfinished() else looks + 1
                await anyio.sleep(self.look_s)
            return
        raise TimeoutError(f"it does not become quiet: {'; '.join(self._unfinished())}")

    async def register_volume(self, volume: str) -> None:
        """Make and register a blank volume."""
        await self.world.add_volume(volume)

    async def register_group(self, group: ServerGroup) -> None:
        """Make a group of servers."""
        await self.world.add_group(group)

    def _unfinished(self) -> list[str]:
        world, truth = self.world, self.world.peek()
        down = [name for name in world.processes() if name not in world.machines.live]
        frozen = [name for name, process in world.machines.live.items() if process.is_frozen]
        return [
            *(f"process {name} is down" for name in down),
            *(f"process {name} stands still" for name in frozen),
            *(
                f"{each.goal} of server {each.server} goes on"
                + (f", waits for {each.waits_for}" * bool(each.waits_for))
                for each in truth.conversations
                if not each.is_closed
            ),
            *(f"{memory.waiting} messages of {memory.actor} wait" for memory in truth.memories if memory.waiting),
            *(["frames are on their way"] if world.brokers.in_flight() else []),
        ]

    # --- faults, and the truth ---------------------------------------------------------------------------------

    def add(self, fault: Fault) -> None:
        """Let a fault loose."""
        self.director.add(fault)

    def refuse(self, refusal: Refusal) -> None:
        """Refuse: only the stage of virtual time has a gate."""
        raise NotOffered(self, f"commands that fail, as {refusal.call}")

    def refusals(self) -> Refusals:
        """Give none."""
        return Refusals()

    def kill(self, process: str, *, down_s: float) -> None:
        """Refuse: real processes are killed by other tests."""
        raise NotOffered(self, f"crashes, of {process} for {down_s:g} s")

    def hold(self, process: str, at: str) -> Hold:
        """Refuse: nobody stands still in real time."""
        raise NotOffered(self, f"actors that stand still, as {process} at {at}")

    def plant(self, process: str, *rows: Record) -> None:
        """Write rows straight into the store of a cell or a partner."""
        self.world.disks[process].plant(save, Changes(puts=rows))

    def unplant(self, process: str, *rows: Record) -> None:
        """Take rows straight out of the store of a cell or a partner."""
        self.world.disks[process].plant(save, Changes(drops=rows))

    async def leave(self, host: str, server: str) -> None:
        """Make a guest of a server that does not run."""
        await self.world.drivers[host].spawn(stray(server))

    def heal(self) -> None:
        """End all faults, mend what they have broken, and let later ones strike again."""
        self.cuts.heal()
        self.director.end()
        sleeping_names = {fault.name for fault in sleeping()}
        self.world.injector.remove({fault.name for fault in self.world.injector.plan} - sleeping_names)
        self.world.injector.begin()
        self.world.machines.unheal()

    def truth(self) -> Truth:
        """Read the truth, without a step of the loop."""
        return self.world.peek()

    def hypervisors(self) -> dict[str, tuple[GuestState, ...]]:
        """Tell what each host's hypervisor has."""
        return {name: driver.inspect() for name, driver in self.world.drivers.items()}

    def dead_letters(self, cell: CellPath) -> tuple[str, ...]:
        """Name the reasons of a cell's dead letters."""
        return tuple(letter.reason for letter in self.world.brokers.dead_letters(cell))


class LoopStage(WorldStage):
    """The production actors on a loop of virtual time, over simulated brokers, disks and hypervisors."""

    def __init__(self, layout: Layout, seed: int) -> None:
        """Make a cloud that does not run yet."""
        self.gate = Gate()
        super().__init__(layout, seed=seed, pace=1.0, inbox=self.gate)
        self.gate.history = self.history
        self._seed = seed

    def run(self, play: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Play on a fresh loop of virtual time."""
        played: T = clock.run(self.play, play, strategy=Shuffled(self._seed))
        return played

    def refuse(self, refusal: Refusal) -> None:
        """Have a command fail at the inbox of its actor."""
        self.gate.refusals.add(refusal)

    def refusals(self) -> Refusals:
        """Give the commands that were to fail."""
        return self.gate.refusals

    def kill(self, process: str, *, down_s: float) -> None:
        """Kill a process as `kill -9` does."""
        self.world.machines.kill(process, down_s=down_s)

    def hold(self, process: str, at: str) -> Hold:
        """Have a process stand still."""
        return Hold(self.world, process, at)

    def heal(self) -> None:
        """End all faults, those of commands too."""
        self.gate.refusals.end()
        super().heal()
