"""What goes wrong in a scenario, as its author says it: from now on, until it is over or healed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.checkers.mirrors import RESTORED
from sim.faults import Fault, FaultKind
from sim.history import Noted
from sim.refusals import Refusal
from sim.stages.loop import LoopStage
from sim.stages.names import actor_of, end_of, link_between, point_named
from sim.stages.stage import NotOffered
from sim.stages.troubles import How, Troubles

if TYPE_CHECKING:
    from protocol.records import Record
    from sim.stages.stage import Holding, Stage

DOWN_S: Final = 5.0
LATE_S: Final = 60.0


class Weather:
    """The faults of a scenario.

    An *actor* is named `h1` (a host), `image`, `volume`, `network`, `conductor`, or in full, `api!c1/cell`; a cell's
    path alone means its cell actor, and at the end of a link whatever speaks there with the neighbours.  A *point* is
    `STEP/do/POSITION` or `STEP/undo/POSITION`, where the position is `before_send`, `after_send`, `after_effect`,
    `after_reply` or `after_record`; or `driver/CALL/after`.
    """

    def __init__(self, stage: Stage) -> None:
        """Make weather for a stage."""
        self.stage = stage
        self.is_calm = True  # Whether nothing was ever to go wrong.
        self.faults: list[Fault] = []  # All that were let loose.
        self._troubles = Troubles(stage.layout)

    # --- calls that fail ---------------------------------------------------------------------------------------

    def fail(self, where: str, call: str, *, how: str = How.REFUSES, times: int = 1, late_s: float = LATE_S) -> None:
        """Have a call fail the next time it is made, or the next `times` times; 0: for ever.

        `call` is a hypervisor's on a host (`spawn`, `power_off`, `snapshot`...), one of the `image` or `volume` store
        (`write`, `read`, `exists`...), or a command of any actor, by its method or step (`bind_ports` of `network`).
        `how`: it `refuses` before it does anything; it fails `dirty`, when all or half is done; it succeeds, but its
        answer is lost (`answer_lost`) or `late`, by `late_s`.  A refusal of an image or volume store is one that is
        asked again; all others are outcomes.
        """
        made = self._troubles.of_call(where, call, how=How(how), times=times, late_s=late_s)
        if not isinstance(made, Refusal):
            for fault in made:
                self._add(fault)
        else:
            self.is_calm = False
            self.stage.refuse(made)

    def fail_save(
        self, where: str, record: type[Record], *, how: str = How.REFUSES, times: int = 1, late_s: float = LATE_S
    ) -> None:
        """Have the store of a cell (or other actor) fail the next time it saves a record of this class.

        `how`: the transaction is undone (`refuses`); it is durable and reported as failed (`answer_lost`); or it is
        durable only `late_s` later (`late`).  Whoever asked asks again.
        """
        self._loop("failing stores")
        for fault in self._troubles.of_save(where, record, how=How(how), times=times, late_s=late_s):
            self._add(fault)

    def inject(self, fault: Fault) -> None:
        """Let any fault of the simulator's vocabulary loose; its time counts from now."""
        self._add(fault)

    # --- links -------------------------------------------------------------------------------------------------

    def cut(self, one: str, other: str, *, one_way: bool = False) -> None:
        """Let nothing pass between two neighbouring cells or two actors of a cell; the sender learns of it in 5 s.

        `one_way`: only from the first to the second.
        """
        stage = self._loop("links that are cut")
        first, second = link_between(stage.layout, one, other)
        stage.cuts.cut(first, second)
        if not one_way:
            stage.cuts.cut(second, first)

    def mute(self, actor: str, *, times: int = 0) -> None:
        """Lose whatever an actor says, though it is told that it was sent; `times`: so many messages only."""
        self._on_messages(FaultKind.LOSE, end_of(self.stage.layout, actor), "", times=times)

    def lose(self, one: str, other: str, *, times: int = 1) -> None:
        """Lose messages from one actor or cell to another; 0: all of them."""
        self._on_link(FaultKind.LOSE, one, other, times=times)

    def delay(self, one: str, other: str, by_s: float, *, times: int = 0) -> None:
        """Have messages from one actor or cell to another arrive late."""
        self._on_link(FaultKind.DELAY, one, other, times=times, amount_s=by_s)

    def double(self, one: str, other: str, *, times: int = 0, late_s: float = 0.0) -> None:
        """Have messages from one actor or cell to another arrive twice, the second time `late_s` later."""
        kind = FaultKind.DOUBLE_LATE if late_s else FaultKind.DOUBLE
        self._on_link(kind, one, other, times=times, amount_s=late_s)

    def reorder(self, one: str, other: str, *, within_s: float = 1.0, times: int = 1) -> None:
        """Have a message from one actor or cell to another overtaken by those sent within a while."""
        self._on_link(FaultKind.REORDER, one, other, times=times, amount_s=within_s)

    def heal(self) -> None:
        """End all that goes wrong: faults, cuts, pauses, and what is down is started."""
        self.stage.heal()

    # --- processes and clocks ----------------------------------------------------------------------------------

    def kill(self, *actors: str, at: str = "", down_s: float = DOWN_S, skip: int = 0) -> None:
        """Kill actors as `kill -9` does, now or as soon as a conversation passes a point; they start again later.

        `skip`: the point is passed so many times first.
        """
        for actor in actors:
            process = actor_of(self.stage.layout, actor)
            if at:
                fault = Fault(
                    kind=FaultKind.CRASH_AT, name=self._troubles.name(FaultKind.CRASH_AT), where=process,
                    point=point_named(at), for_s=down_s, skip=skip,
                )  # fmt: skip
                self._add(fault)
            else:
                self.is_calm = False
                self.stage.kill(process, down_s=down_s)

    def lose_machine(self, *hosts: str, down_s: float = DOWN_S) -> None:
        """Have the machines of hosts lose their power: their actors die, and their guests; they boot again later."""
        stage = self._loop("machines that lose their power")
        for host in hosts:
            stage.world.lose_power(host)
            stage.world.machines.kill(actor_of(stage.layout, host), down_s=down_s)

    async def fence(self, host: str) -> None:
        """Have an operator assert that a host's machine is off: what waits for it goes on without it."""
        await self._loop("fences").world.fence(host)

    async def unfence(self, host: str) -> None:
        """Have an operator allow a host to come back: it does what it owes, then takes commands again."""
        await self._loop("fences").world.unfence(host)

    def hold(self, actor: str, *, at: str = "") -> Holding:
        """Have an actor stand still as soon as a conversation passes a point (or now), until it is let go.

        So the time between its check and its act is as long as the scenario wants: `await held.reached()`, then do
        what must not happen in between, then `held.let_go()`.
        """
        self.is_calm = False
        return self.stage.hold(actor_of(self.stage.layout, actor), point_named(at) if at else "")

    def jump_clock(self, actor: str, by_s: float) -> None:
        """Set the wall clock of an actor's machine forward, or back."""
        stage = self._loop("clocks that jump")
        fault = Fault(
            kind=FaultKind.CLOCK_JUMP, name=self._troubles.name(FaultKind.CLOCK_JUMP),
            where=actor_of(stage.layout, actor), amount_s=by_s,
        )  # fmt: skip
        self._add(fault)

    def unplant(self, owner: str, *rows: Record) -> None:
        """Take rows out of a cell's or a partner's store: it was set back to an older image, which has not got them.

        With what `plant` puts there in their place, any older state can be made.
        """
        self.is_calm = False
        actor = actor_of(self.stage.layout, owner)
        self.stage.history.record(Noted(process=actor, event=RESTORED, detail=f"{len(rows)} rows are lost"))
        self.stage.unplant(actor, *rows)

    def _on_link(self, kind: FaultKind, one: str, other: str, *, times: int, amount_s: float = 0.0) -> None:
        first, second = link_between(self.stage.layout, one, other)
        self._on_messages(kind, first, second, times=times, amount_s=amount_s)

    def _on_messages(self, kind: FaultKind, one: str, other: str, *, times: int, amount_s: float = 0.0) -> None:
        self._add(self._troubles.fault(kind, where=one, other=other, times=times, amount_s=amount_s))

    def _add(self, fault: Fault) -> None:
        self.is_calm = False
        self.faults.append(fault)
        self.stage.add(fault)

    def _loop(self, what: str) -> LoopStage:
        self.is_calm = False
        if not isinstance(self.stage, LoopStage):
            raise NotOffered(self.stage, what)
        return self.stage
