"""A story in a cloud, told in a few lines: what users do, what goes wrong, and what must be true then.

    from sim import Scenario

    def test_a_move_whose_spawn_fails_is_undone() -> None:
        async def story(s: Scenario) -> None:
            await s.create("web", host="h1", volume="data")
            s.fail("h2", "spawn")
            move = await s.resize("web", host="h2")
            await move.over()
            assert move.error == "hypervisor_failed"
            assert s.truth.running("web") == ("h1",)
            await s.quiet()
            s.check()

        Scenario.run(story, cells=3, hosts=2)

`docs/how-to/write-a-scenario.md` shows more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import attrs

from actors.kernel.post import Stamp
from protocol.bodies import decode_body
from protocol.cell_path import Address
from protocol.envelope import Direction, Key
from protocol.errors import CellferryError, revive
from protocol.errors_wire import decode_error
from sim.cases.workload import Act, Op, groups_of, volumes_of
from sim.checkers import watch
from sim.checkers.health import HealthySucceeds, NothingLeftOver
from sim.checkers.wire import NoRetries
from sim.stages.facts import Facts
from sim.stages.loop import LoopStage, WorldStage
from sim.stages.names import actor_of, cell_of, cloud
from sim.stages.of_hosts import OfHosts
from sim.stages.outcomes import Outcome
from sim.stages.powering import Move, Powering
from sim.stages.stage import NotOffered
from sim.stages.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from pathlib import Path

    from actors.kernel.post import Post
    from protocol.gather import CellAnswer
    from protocol.moves.crossing import Crossing
    from protocol.records import Record
    from protocol.requests import Request
    from sim.cases.layout import Layout
    from sim.stages.stage import Stage

__all__ = ["CellReply", "Move", "Scenario"]

R = TypeVar("R")
T = TypeVar("T")
CELLS: Final = 4
HOSTS: Final = 3
BUDGET_S: Final = 30.0
#: After so many effects, what must hold at every instant is judged.
ALWAYS_EVERY: Final = 50
#: What is promised only as long as nothing goes wrong: not asked of a story that has something go wrong.
FINE_WEATHER: Final = frozenset({NoRetries.name, HealthySucceeds.name, NothingLeftOver.name})


class CellReply(NamedTuple, Generic[R]):
    """What one cell answered to a broadcast: a reply, or an error and no reply."""

    cell: str
    reply: R | None
    error: CellferryError | None


class Scenario(Powering, OfHosts, Weather):
    """A cloud that runs, for the length of a story."""

    def __init__(self, stage: Stage) -> None:
        """Play on a stage that is set up."""
        super().__init__(stage)
        self.moves: dict[str, Move] = {}
        self._counts: Counter[str] = Counter()
        self._watch = watch(stage.history, peek=stage.truth, always_every=ALWAYS_EVERY)
        self._volumes: dict[str, None] = {}
        self._groups: dict[str, None] = {}

    @classmethod
    def run(
        cls,
        story: Callable[[Scenario], Coroutine[Any, Any, T]],
        *,
        cells: int | Iterable[str] = CELLS,
        hosts: int | Mapping[str, str] = HOSTS,
        memory_mb: Mapping[str, int] | None = None,
        cloud_file: Path | None = None,
        conductors: int = 1,
        replicas: int = 1,
        confirm_after_s: int = 0,
        reclaim_after_s: int = 0,
        crossing: Crossing | None = None,
        arrange: Callable[[Layout], Layout] | None = None,
        seed: int = 1,
        on: Callable[..., Stage] = LoopStage,
    ) -> T:
        """Play a story in a fresh cloud, and give what it returns.

        The cloud is a tree of so many `cells` with so many `hosts` (h1, h2... one after the other in the cells c1,
        c2... below the root `api`), or what they name: `hosts={"h1": "api!eu", "h2": "api!us"}`, where cells without
        hosts may be named in `cells`; or that of a TOML file.  `memory_mb` says which hosts are smaller than usual.
        Of several `conductors` the first is the actor `conductor`, the next ones `conductor~1`, `conductor~2`...; of
        several `replicas` of each cell its `cell` and `link`, `cell~1` and `link~1`...
        Moves are confirmed by themselves that have waited for `confirm_after_s`, and servers deleted for good that
        were softly deleted for `reclaim_after_s`, unless these are 0.
        `crossing` is whose moves may leave their cell, if not everyone's.  `arrange` changes what else is to differ.
        Another `seed` is another order of all that is concurrent.  `on` makes the stage.
        """
        layout = cloud(cells=cells, hosts=hosts, memory_mb=memory_mb or {}, file=cloud_file)
        layout = attrs.evolve(
            layout,
            conductors=max(layout.conductors, conductors),
            cell_replicas=max(layout.cell_replicas, replicas),
            waits=attrs.evolve(
                layout.waits,
                confirm_after_s=confirm_after_s or layout.waits.confirm_after_s,
                reclaim_after_s=reclaim_after_s or layout.waits.reclaim_after_s,
            ),
            crossing=crossing or layout.crossing,
        )
        stage = on(arrange(layout) if arrange else layout, seed)
        return stage.run(lambda: story(cls(stage)))

    # --- what users do -----------------------------------------------------------------------------------------

    async def create(
        self, server: str, *, host: str = "", volume: str = "", is_volume_backed: bool = False, group: str = "",
        bandwidth_kbps: int = 0, wait: bool = True,
    ) -> Move:  # fmt: skip
        """Create a server, and wait until it is there unless told not to; from an image, unless volume-backed.

        It is of flavor m1.tiny; `volume` is a data volume, `/dev/vdb`, made if there is none of that name.  Servers of
        a `group` are on different hosts; it is made as well.  `bandwidth_kbps` is what its port is guaranteed.
        """
        created = await self._place(
            Act.CREATE,
            server,
            host=host,
            volume=volume,
            is_volume_backed=is_volume_backed,
            group=group,
            bandwidth_kbps=bandwidth_kbps,
        )
        return await created.done() if wait else created

    async def resize(self, server: str, *, host: str = "") -> Move:
        """Begin to resize a server to m1.small, on the named host or any other one."""
        return await self._place(Act.RESIZE, server, host=host)

    async def migrate(self, server: str, *, host: str = "") -> Move:
        """Begin to cold-migrate a server to the named host or any other one."""
        return await self._place(Act.MIGRATE, server, host=host)

    async def confirm(self, server: str) -> Move:
        """Begin to confirm a move that waits for it."""
        return await self._place(Act.CONFIRM, server)

    async def revert(self, server: str) -> Move:
        """Begin to revert a move that waits for it."""
        return await self._place(Act.REVERT, server)

    async def attach(self, server: str, volume: str, *, device: str = "/dev/vdc") -> Move:
        """Begin to attach a volume, which is made if there is none of that name."""
        return await self._place(Act.ATTACH, server, volume=volume, device=device)

    async def detach(self, server: str, volume: str) -> Move:
        """Begin to detach a volume."""
        return await self._place(Act.DETACH, server, volume=volume)

    async def swap(self, server: str, volume: str, replacement: str) -> Move:
        """Begin to swap a volume for another one, which is made if there is none of that name."""
        return await self._place(Act.SWAP, server, volume=volume, replacement=replacement)

    async def rename(self, server: str) -> Move:
        """Give a server another name, which is that of the operation; it is done, or refused, on return."""
        return await self._place(Act.RENAME, server)

    async def lock(self, server: str) -> Move:
        """Lock a server against all orders; it is done, or refused, on return."""
        return await self._place(Act.LOCK, server)

    async def unlock(self, server: str) -> Move:
        """Unlock a server; it is done on return."""
        return await self._place(Act.UNLOCK, server)

    async def delete(self, server: str) -> Move:
        """Begin to delete a server, whatever is being done to it."""
        return await self._place(Act.DELETE, server)

    async def repair(self, server: str) -> Move:
        """Begin to remove what is left over of a server, whatever it came from, its disks included."""
        return await self._place(Act.REPAIR, server)

    async def at_once(self, *operations: Coroutine[Any, Any, Move]) -> tuple[Move, ...]:
        """Do several things at once: `await s.at_once(s.confirm("web"), s.revert("web"))`."""
        return tuple(await self.stage.at_once(operations))

    async def _place(self, act: Act, server: str, **fields: Any) -> Move:
        about = f"{act}-{server}"
        self._counts[about] += 1
        name = about if self._counts[about] == 1 else f"{about}-{self._counts[about]}"
        return await self.order(Op(name=name, act=act, server=server, **fields))

    async def order(self, op: Op) -> Move:
        """Begin an operation that is written down as a value; its volumes and group are made if there are none."""
        await self._register(list(volumes_of((op,))))
        for group in groups_of((op,)):
            if group.id not in self._groups:
                self._groups[group.id] = None
                await self.stage.register_group(group)
        await self.stage.place(op)
        self.moves[op.name] = Move(self.stage, op)
        return self.moves[op.name]

    async def _register(self, volumes: list[str]) -> None:
        for volume in volumes:
            if volume not in self._volumes:
                self._volumes[volume] = None
                await self.stage.register_volume(volume)

    # --- time --------------------------------------------------------------------------------------------------

    async def wait(self, for_s: float) -> None:
        """Let time pass."""
        await self.stage.wait(for_s)

    async def quiet(self) -> None:
        """Wait until nothing is left to do: no conversation open, no message on its way, nobody down.

        Raises `TimeoutError`, with what is left, when that does not come by itself: heal first what lasts.
        """
        await self.stage.quiet()

    # --- messages ----------------------------------------------------------------------------------------------

    async def call(
        self, to: str, request: Request[R], *, at: str = "", server: str = "", key: str = "", epoch: int = 0,
        budget_s: float = BUDGET_S,
    ) -> R:  # fmt: skip
        """Send a call to an actor, once, and give its reply; raise the error that it is answered with.

        It is sent by a visitor in the cell `at` (the root).  `key` and `epoch` make it a command of a conversation:
        `c1:1:claim_target:execute`.
        """
        stamp = Stamp(server=server, key=Key.parse(key) if key else None, epoch=epoch)
        address = Address.parse(actor_of(self.stage.layout, to))
        return await self._post(at).call(address, request, stamp=stamp, budget_s=budget_s)

    async def cast(
        self, to: str, request: Request[Any], *, at: str = "", server: str = "", key: str = ""
    ) -> None:  # fmt: skip
        """Send a request that wants no answer."""
        address = Address.parse(actor_of(self.stage.layout, to))
        stamp = Stamp(server=server, key=Key.parse(key) if key else None)
        await self._post(at).cast(address, request, stamp=stamp)

    async def gather(
        self, request: Request[R], *, at: str = "", up: bool = False, include_self: bool = True,
        budget_s: float = BUDGET_S, key: str = "",
    ) -> tuple[CellReply[R], ...]:  # fmt: skip
        """Ask every cell below `at` (the root), or above it, and give each one's answer, in the order they came."""
        direction = Direction.UP if up else Direction.DOWN
        gathered = await self._post(at).gather(
            request, direction=direction, include_self=include_self, budget_s=budget_s,
            stamp=Stamp(key=Key.parse(key) if key else None),
        )  # fmt: skip
        return tuple(_read(answer, request) for answer in gathered.answers)

    def _post(self, at: str) -> Post:
        world = self._world("messages of one's own")
        return world.posts[cell_of(world.layout, at) if at else world.layout.root]

    def _world(self, what: str) -> WorldStage:
        if not isinstance(self.stage, WorldStage):
            raise NotOffered(self.stage, what)
        return self.stage

    # --- the truth ---------------------------------------------------------------------------------------------

    @property
    def truth(self) -> Facts:
        """What stores, hypervisors and partners hold at this instant."""
        return Facts(self.stage.truth(), self.stage.history, self.stage.hypervisors())

    def plant(self, owner: str, *rows: Record) -> None:
        """Write rows straight into a cell's or a partner's store, as no actor would: what somebody has left there."""
        self.is_calm = False
        self.stage.plant(actor_of(self.stage.layout, owner), *rows)

    async def leave(self, host: str, server: str) -> None:
        """Make a guest that does not run, and its disk, on a host, as no actor would: what somebody has left there."""
        self.is_calm = False
        await self.stage.leave(host, server)

    async def drain(self, process: str, *, down_s: float = 5.0) -> bool:
        """Have a process finish what it has taken and leave, as SIGTERM does, and start it again after `down_s`."""
        self.is_calm = False
        return await self._world("actors that leave").world.machines.drain(process, down_s=down_s)

    def dead_letters(self, cell: str) -> tuple[str, ...]:
        """Give the reasons of a cell's dead letters, oldest first."""
        return self.stage.dead_letters(cell_of(self.stage.layout, cell))

    def journal(self, move: Move) -> tuple[Outcome, ...]:
        """Give what came of the steps of an operation and of their undos, in order."""
        return move.journal

    def journals(self) -> dict[str, tuple[Outcome, ...]]:
        """Give the journals of all operations so far, by their names; one that was refused at the door has none."""
        return {name: move.journal for name, move in self.moves.items()}

    def check(self) -> None:
        """Insist that every promise has held so far, and that all is in order now: `await s.quiet()` before."""
        self._watch.at_rest(self.stage.truth(), healed_for_s=0.0)
        # A fault is in the history when it is known what it did: what was asked again by then may seem needless.
        # A command that the story has refused is in no history at all.
        found = [each for each in self._watch.breaches if self.is_calm or each.invariant not in FINE_WEATHER]
        lines = [f"- {each.invariant} of {each.server} (line {each.step}): {each.text}" for each in found]
        assert not found, "\n".join(["promises that do not hold:", *lines])


def _read(answer: CellAnswer, request: Request[R]) -> CellReply[R]:
    if answer.is_error:
        return CellReply(str(answer.cell), None, revive(decode_error(answer.body)))
    return CellReply(str(answer.cell), decode_body(answer.body, request.reply_type()), None)
