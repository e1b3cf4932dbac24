"""Has a step of an operation fail in one of many ways, for as long as it is tried, and tells how that ends."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cache, partial
from typing import Any, Final

import attrs

from protocol.journal import Journal, Kind
from protocol.saga import Step, Story
from protocol.states import Goal
from sim import Scenario
from sim.faults import Fault, FaultKind
from sim.history import Journaled, Line
from sim.refusals import DIRTY, REFUSES, Refusal
from sim.stages.inner import InnerStage
from sim.stages.outcomes import entries_of
from sim.stages.troubles import ASKED_BY
from tests.faults.ends import shape
from tests.sagas.doings import SERVER, Doing, begin, fine, prepare

CONDUCTOR: Final = "api/conductor"
#: Longer than a conductor asks again for what may still be undone.
LONG_S: Final = 600.0
LOOKS: Final = 10
NS_PER_S: Final = 1_000_000_000
FOR_EVER: Final = 0


class Way(StrEnum):
    """In which way a step fails."""

    REFUSED_ONCE = "refused once"
    REFUSED = "refused for ten minutes"
    DIRTY = "fails for ten minutes when all is done"
    SILENT = "never comes, for ten minutes"
    UNHEARD_ONCE = "answer lost once"
    UNHEARD = "answers lost for ten minutes"
    STORE = "owner's store fails for ten minutes"
    DEAD = "owner is dead for ten minutes"
    OUTSIDE = "its hypervisor or partner refuses for ten minutes"
    OUTSIDE_DIRTY = "its hypervisor fails for ten minutes when all or half is done"


#: What needs a key, by which the actor knows the step again, or a store that is written to.
KEYED: Final = frozenset({Way.REFUSED_ONCE, Way.REFUSED, Way.DIRTY, Way.STORE})


#: What those who carry out commands call outside, by method: of whom (empty: of their own hypervisor), and what.
CALLS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    **{
        method: tuple(("", call) for call, methods in ASKED_BY.items() if method in methods)
        for method in (name for methods in ASKED_BY.values() for name in methods)
    },
    "verify_image": (("image", "digest"),),
    "publish_snapshot": (("image", "digest"),),
    "rotate_backups": (("image", "delete"),),
    "delete_image": (("image", "delete"),),
}


#: The steps that ask every cell: no single one of them makes it fail.
GATHERS: Final = frozenset({"choose_target", "look_in_cells"})


def ways_of(doing: Doing, step: Step) -> tuple[Way, ...]:
    """List the ways in which a step can fail: what only reads has no key and nothing to write; few call outside."""
    if step.name in GATHERS:
        return (Way.SILENT,)
    calls = CALLS.get(doing.method(step), ())
    impossible = set(KEYED) if step.is_read else set[Way]()
    if not calls:
        impossible |= {Way.OUTSIDE, Way.OUTSIDE_DIRTY}
    elif calls[0][0]:
        impossible |= {Way.OUTSIDE_DIRTY}
    return tuple(way for way in Way if way not in impossible)


#: How a move ends from which there is no way back.
FORWARD: Final = "done"


@attrs.frozen(kw_only=True)
class Failed:
    """What came of a step's failing."""

    end: str  # done | undone | refused
    waits: str = ""  # `waits` when it did not end before the trouble did, `owed` when its user did not wait for it.
    error: str = ""

    def __str__(self) -> str:
        return f"{self.waits}, {self.end}" if self.waits else self.end


OUTSIDE: Final = {Way.OUTSIDE: FaultKind.DRIVER_REFUSES, Way.OUTSIDE_DIRTY: FaultKind.DRIVER_DIRTY}


class Trouble:
    """Begins when a step's intent is written, and is over with its outcome: its undo goes undisturbed."""

    def __init__(self, s: Scenario, doing: Doing, ways: dict[str, Way], *, long_s: float) -> None:
        self._s = s
        self.long_s = long_s
        self._doing = doing
        self._ways = ways
        self._begun_ns = 0
        self.now = ""  # The step that is in trouble, until its outcome; of who is dead also afterwards.
        self.struck: list[str] = []
        self.waited: dict[str, str] = {}
        s.stage.history.listeners.append(self._listen)

    def _listen(self, line: Line) -> None:
        what = line.what
        if not isinstance(what, Journaled) or what.entry.is_undo or what.goal is not self._doing.goal:
            return
        step = what.entry.step
        if what.entry.kind is Kind.INTENT and step in self._ways and step not in self.struck:
            self.struck.append(step)
            self.now, self._begun_ns = step, line.at_ns
            self._begin(what.conversation, self._doing.plan.step(step), self._ways[step])
        elif what.entry.kind in {Kind.DONE, Kind.REFUSED} and step == self.now and self._ways[step] is not Way.DEAD:
            self.end()

    def end(self) -> None:
        """End it, whatever it is."""
        self.now = ""
        self._s.heal()

    def look(self) -> None:
        """End what has lasted long; note that, and for what, a conversation has waited for it."""
        if self.now and self._s.stage.history.now_ns() - self._begun_ns >= self.long_s * NS_PER_S:
            assert reason(self._s)
            mapping = self._s.truth.mapping(SERVER)
            self.waited[self.now] = "owed" if mapping is not None and mapping.debt else "waits"
            self.end()

    def _begin(self, conversation: str, step: Step, way: Way) -> None:
        stage = self._s.stage
        entries = entries_of(stage.history, conversation)
        story = Story(Journal(conversation=conversation, server=SERVER, goal=self._doing.goal, entries=entries), 1)
        owner, method = str(step.at(story)), type(step.run(story)).METHOD.name
        match way:
            case Way.REFUSED_ONCE | Way.REFUSED | Way.DIRTY:
                how = DIRTY if way is Way.DIRTY else REFUSES
                times = 1 if way is Way.REFUSED_ONCE else FOR_EVER
                stage.refuse(Refusal(process=owner, call=step.name, how=how, times=times))
            case Way.SILENT | Way.UNHEARD_ONCE | Way.UNHEARD:
                where = CONDUCTOR if way is Way.SILENT else owner
                times = 1 if way is Way.UNHEARD_ONCE else FOR_EVER
                self._add(FaultKind.LOSE, where, point=method, times=times)
            case Way.STORE:
                self._add(FaultKind.STORE_ERROR, owner, times=FOR_EVER)
            case Way.DEAD:
                stage.kill(owner, down_s=2 * self.long_s)
            case Way.OUTSIDE | Way.OUTSIDE_DIRTY:
                for partner, call in CALLS[method]:
                    kind = FaultKind.PARTNER_REFUSES if partner else OUTSIDE[way]
                    self._add(kind, partner or owner, point=call, times=FOR_EVER)

    def _add(self, kind: FaultKind, where: str, *, times: int, point: str = "") -> None:
        name = f"{kind}-{point}-{len(self.struck)}"
        self._s.inject(Fault(kind=kind, name=name, where=where, point=point, times=times))


def reason(s: Scenario) -> str:
    """Tell what the conversation says that it waits for."""
    waits_for = [each.waits_for for each in s.truth.conversations(SERVER) if not each.is_closed]
    assert waits_for, "it is over"
    assert waits_for[0], "it goes on, and says nothing of any trouble"
    return waits_for[0]


async def go_through(s: Scenario, doing: Doing, ways: dict[str, Way], *, long_s: float = LONG_S) -> dict[str, Failed]:
    """Do the operation while these steps fail; insist on one of the ends that there may be."""
    before, known = shape(s.truth), {row.id for row in s.truth.faults(SERVER)}
    s.is_calm = False
    trouble = Trouble(s, doing, ways, long_s=long_s)
    move = await begin(s, doing)
    # One who was not answered in time does not know: what he asked for may go on.
    while not move.ended or any(not each.is_closed for each in s.truth.conversations(SERVER)):
        await s.wait(long_s / LOOKS)
        trouble.look()
    s.stage.history.listeners.remove(trouble._listen)  # noqa: SLF001 - of this module
    s.heal()
    await s.quiet()
    assert set(trouble.struck) == set(ways), f"no trouble came to {set(ways) - set(trouble.struck)}"
    # Once it is accepted a delete is never given up, whatever its user was told in the meantime.
    is_done = s.truth.mapping(SERVER) is None if doing.goal is Goal.DELETE else not move.error
    if doing.goal is Goal.REPAIR:
        # What it has removed it does not bring back, and what it has not seen it has not removed: so once more.
        await (await begin(s, doing)).done()
        await s.quiet()
        before = fine(doing).end
    s.check()
    assert shape(s.truth) == (fine(doing).end if is_done else before)
    faults = [row.code for row in s.truth.faults(SERVER) if row.id not in known]
    assert faults in ([], [move.error]), "at most one fault, with the first cause"
    end = "done" if is_done else "undone" if move.conversation else "refused"
    return {step: Failed(end=end, waits=trouble.waited.get(step, ""), error=move.error) for step in ways}


@cache
def undone(doing: Doing, step: Step, *, on: Callable[..., Any] = InnerStage) -> dict[Way, Failed]:
    """Have a step before the settling one's success fail in each way, one after the other in one world."""
    ways = sorted(ways_of(doing, step), key=lambda way: way is Way.UNHEARD_ONCE)

    async def story(s: Scenario, these: list[Way]) -> dict[Way, Failed]:
        await prepare(s, doing)
        return {way: (await go_through(s, doing, {step.name: way}))[step.name] for way in these}

    # Whether a guest ran that is undone, nobody may know; what it wrote on a volume is no loss to the next.  And no
    # server is ever made that has the id of an earlier one.
    is_alone = step.settles or doing.goal in {Goal.CREATE, Goal.DELETE, Goal.REPAIR}
    worlds = [[way] for way in ways] if is_alone else [ways]
    found: dict[Way, Failed] = {}
    for these in worlds:
        found |= Scenario.run(partial(story, these=these), hosts=doing.hosts, on=on)
    return found


@cache
def forward(
    doing: Doing, turn: int, *, on: Callable[..., Any] = InnerStage, long_s: float = LONG_S
) -> dict[str, tuple[Way, Failed]]:
    """Have each step after the settling one's success fail, each in another way; with all turns, each in every way."""
    ways: dict[str, Way] = {}
    for number, step in enumerate(doing.forward()):
        possible = ways_of(doing, step)
        ways[step.name] = possible[(number + turn) % len(possible)]

    async def story(s: Scenario) -> dict[str, tuple[Way, Failed]]:
        await prepare(s, doing)
        return {
            step: (ways[step], failed) for step, failed in (await go_through(s, doing, ways, long_s=long_s)).items()
        }

    return Scenario.run(story, hosts=doing.hosts, on=on)
