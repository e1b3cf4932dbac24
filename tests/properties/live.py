"""A cloud that is driven step by step from outside: between two steps nothing moves, not even time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from protocol.invariants.standing import lifting
from sim.cases.workload import Act, Op
from sim.checkers import watch
from sim.clock import SimLoop
from sim.history import Noted
from sim.loop.strategies import Shuffled
from sim.stages.loop import LoopStage
from sim.stages.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from sim.cases.case import Breach
    from sim.cases.layout import Layout
    from sim.history import Line

#: How long bringing a cloud up, or one operation in fine weather, may take at most.
PATIENCE_S: Final = 600.0
#: How long after everything is healed all must have come to its end.
HEALED_S: Final = 300.0
#: How long nothing may be left to do before the end is judged.
QUIET_S: Final = 40.0
LOOK_S: Final = 1.0
#: After so many effects, what must hold at every instant is judged.
ALWAYS_EVERY: Final = 5
#: What actors note when their own program fails: no weather is an excuse for that.
FAILURES: Final = frozenset({"handler_failed", "conversation_failed"})


class Live:
    """A cloud, its users and its weather.  Open it, do this and that, let time pass, and close it."""

    def __init__(self, layout: Layout, *, seed: int = 1) -> None:
        self.stage = LoopStage(layout, seed)
        self.world = self.stage.world
        self.weather = Weather(self.stage)
        self.loop = SimLoop(Shuffled(seed))
        self.failures: list[str] = []
        self.world.history.listeners.append(self._listen)
        self._watch = watch(self.stage.history, peek=self.stage.truth, always_every=ALWAYS_EVERY)
        self._up = anyio.Event()
        self._closing = anyio.Event()
        self._orders = 0
        self._main = self.loop.create_task(self.stage.play(self._stay))
        self.settle(self._up.wait())

    async def _stay(self) -> None:
        self._up.set()
        await self._closing.wait()

    def _listen(self, line: Line) -> None:
        if isinstance(line.what, Noted) and line.what.event in FAILURES:
            self.failures.append(f"{line.what.process}: {line.what.event} {line.what.detail}")

    # --- what can be done --------------------------------------------------------------------------------------

    def settle(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Let time pass until a coroutine is done."""
        return self.loop.settle(coroutine, PATIENCE_S)

    def do(self, action: Callable[[], object]) -> None:
        """Do something of the simulator's, as one step of the loop."""

        async def act() -> None:
            action()

        self.settle(act())

    def pass_time(self, for_s: float) -> None:
        """Let time pass."""
        self.loop.advance(for_s)

    def order(self, act: Act, server: str, **more: Any) -> None:
        """Have a user ask for something; nobody waits for the answer."""
        self._orders += 1
        op = Op(name=f"{act}-{self._orders}", act=act, server=server, **more)
        self.loop.spawn(self.world.users.place(op), name=op.name)

    def carry_out(self, act: Act, server: str, **more: Any) -> None:
        """Have a user ask for something, and wait until it is over."""
        self._orders += 1
        op = Op(name=f"{act}-{self._orders}", act=act, server=server, **more)
        self.settle(self.world.users.carry_out(op))

    # --- how it is judged --------------------------------------------------------------------------------------

    @property
    def breaches(self) -> list[Breach]:
        """What has not held so far."""
        return self._watch.breaches

    def see(self) -> None:
        """Judge what must hold at every instant, at this one."""
        self._watch.see(self.stage.truth())

    def rest(self) -> None:
        """Heal everything, wait until nothing is left to do, and judge that."""
        self.do(self.stage.heal)
        since_s = self.loop.time()
        while not self._is_quiet() and self.loop.time() - since_s < HEALED_S:
            self.pass_time(LOOK_S)
        healed_s = self.loop.time() - since_s
        self.pass_time(QUIET_S)
        self._watch.at_rest(self.stage.truth(), healed_for_s=healed_s)

    def _is_quiet(self) -> bool:
        world = self.world
        is_idle = not world.conversations.open and not world.users.waiting and not world.brokers.in_flight()
        if not is_idle:
            return False
        truth = self.stage.truth()
        return not any(memory.waiting for memory in truth.memories) and not lifting(truth)

    def close(self) -> None:
        """Stop everything."""
        self._closing.set()
        self.loop.settle(self._main, PATIENCE_S)
        self.loop.finish()
