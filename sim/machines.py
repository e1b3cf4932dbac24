"""The processes of a world: starts them, kills and restarts them, has them stand still and go on."""

from __future__ import annotations

from collections import Counter
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

import anyio

from actors.kernel.supervisor import TooManyRestarts, supervise
from sim.clock import SimLoop
from sim.history import Crashed, Paused, Resumed, Started
from sim.loop.steps import OWNER
from sim.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup, TaskStatus

    from actors.assembly import Member
    from actors.kernel.ports import Events
    from sim.edges.wallclocks import LoopTime
    from sim.history import History

#: How long a process that ended by itself is down before whoever watches it (systemd) starts it again.
RESPAWN_S: Final = 5.0
#: How often it is looked whether a process that is held down is let go.
HELD_S: Final = 0.5
#: How long a process that stood still may take to do what was due meanwhile.
CATCHING_UP_NS: Final = 2_000_000_000


class Machines:
    """Whatever runs, by the names of its processes."""

    def __init__(
        self, *, history: History, time: LoopTime, member_of: Callable[[Process], Member],
        events_of: Callable[[str], Events],
    ) -> None:  # fmt: skip
        self._history = history
        self._time = time
        self._member_of = member_of
        self._events_of = events_of
        self._runs: Counter[str] = Counter()
        self._members: dict[str, Member] = {}
        self._tasks: TaskGroup | None = None
        self._healed = anyio.Event()
        self.held: set[str] = set()  # Processes that stay down, healed or not, until whoever holds them lets them go.
        self.live: dict[str, Process] = {}
        self.when_thawed: list[Callable[[], None]] = []
        self._thawed_ns: dict[str, int] = {}

    def open(self, tasks: TaskGroup) -> None:
        """Run everything in these tasks from now on."""
        self._tasks = tasks

    def spawn(self, function: Callable[..., Any], *arguments: object) -> None:
        """Start a task of the simulator itself: whoever asks, it is no part of his process."""
        Context().run(self._start_soon, function, *arguments)

    def _start_soon(self, function: Callable[..., Any], *arguments: object) -> None:
        assert self._tasks is not None, "the machines are not open"
        self._tasks.start_soon(function, *arguments)

    async def start(self, name: str) -> None:
        """Start a process; return when it takes messages."""
        assert self._tasks is not None, "the machines are not open"
        await self._tasks.start(self._run, name)

    def begin(self, name: str) -> None:
        """Start a process, and do not wait until it takes messages: it may be killed before."""
        self.spawn(self._run, name)

    def kill(self, name: str, *, down_s: float) -> bool:
        """Kill a process, and have it started again; tell whether it was alive."""
        process = self.live.pop(name, None)
        if process is None:
            return False
        self._history.record(Crashed(process=name))
        process.kill()
        self._thaw(process)
        self.spawn(self._restart, name, down_s)
        return True

    async def drain(self, name: str, *, down_s: float) -> bool:
        """Have a process finish what it has taken and leave, as SIGTERM does; then start it again.

        Tell whether it was gone by itself: it may be killed meanwhile, and one that cannot leave is.
        """
        process = self.live.get(name)
        leave = self._members[name].leave if name in self._members else None
        with anyio.CancelScope() as scope:
            if process is not None and leave is not None:
                process.when_cut.append(scope.cancel)
                await leave()
        return process is not None and self.live.get(name) is process and self.kill(name, down_s=down_s)

    def pause(self, name: str, *, for_s: float, ended: Callable[[int], None] = lambda _held: None) -> bool:
        """Have a process stand still; `ended` hears how many of its steps had to wait.  Tell whether it did go."""
        process = self.live.get(name)
        if process is None or process.is_frozen or not isinstance(self._time.loop, SimLoop):
            return False
        process.is_frozen = True
        self._time.loop.freeze(process.owner)
        self._history.record(Paused(process=name))
        self.spawn(self._resume_later, process, for_s, ended)
        return True

    def is_steady(self, name: str) -> bool:
        """Tell whether a process runs on time: it neither stands still nor has only just gone on."""
        process = self.live.get(name)
        since_ns = self._time.now_ns() - self._thawed_ns.get(name, -CATCHING_UP_NS)
        return (process is None or not process.is_frozen) and since_ns >= CATCHING_UP_NS

    def heal(self) -> None:
        """Let everything that stands still go on, and start at once what is down."""
        self._healed.set()

    async def healed(self) -> None:
        """Wait until everything is healed."""
        await self._healed.wait()

    def unheal(self) -> None:
        """Let what is killed from now on stay down for its time."""
        self._healed = anyio.Event()

    async def _resume_later(self, process: Process, for_s: float, ended: Callable[[int], None]) -> None:
        with anyio.move_on_after(for_s):
            await self._healed.wait()
        ended(self._thaw(process))

    def _thaw(self, process: Process) -> int:
        if not process.is_frozen or not isinstance(self._time.loop, SimLoop):
            return 0
        process.is_frozen = False
        self._thawed_ns[process.name] = self._time.now_ns()
        held = self._time.loop.thaw(process.owner)
        self._history.record(Resumed(process=process.name))
        for wake in self.when_thawed:
            wake()
        return held

    async def _restart(self, name: str, down_s: float) -> None:
        with anyio.move_on_after(down_s):
            await self._healed.wait()
        while name in self.held:  # noqa: ASYNC110 - who lets it go need not know who waits.
            await anyio.sleep(HELD_S)
        if name not in self.live:
            await self._run(name)

    def tune(self, role: str, **settings: Any) -> None:
        """Have all live replicas of a role take up settings that were changed."""
        for name, member in self._members.items():
            if name in self.live and name.rpartition("/")[2].partition("~")[0] == role and member.tune is not None:
                token = OWNER.set(self.live[name].owner)  # What it starts now is a part of its process.
                member.tune(**settings)
                OWNER.reset(token)

    async def _run(self, name: str, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        self._runs[name] += 1
        process = Process(name, run=self._runs[name])
        self.live[name] = process
        OWNER.set(process.owner)
        self._history.record(Started(process=name, run=process.run))
        with anyio.CancelScope() as process.scope:
            member = self._members[name] = self._member_of(process)
            try:
                await supervise(member.name, member.run, self._events_of(name), task_status=task_status)
            except TooManyRestarts:
                self.kill(name, down_s=RESPAWN_S)
