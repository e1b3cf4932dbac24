"""Two conductors at once: what one leaves that dies or stands still, the other carries on, and nobody waits in vain."""

from __future__ import annotations

from typing import Any, Final

import pytest

from actors.kernel.leases import LEASE_S
from actors.store.journal import SqlJournals
from protocol.journal import Kind
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.faults import Fault, FaultKind
from sim.history import Crashed, Happening, Journaled, Line, Noted, Paused, Resumed, TakenOver
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage

JOURNALS: Final = SqlJournals()
HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
BOTH: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage], ids=["loop", "inner"])
#: Until the story heals it.
FOR_GOOD_S: Final = 3600.0
LOST: Final = "conversation_lost"


def befalls(s: Scenario, kind: FaultKind, point: str, *, for_s: float = FOR_GOOD_S) -> None:
    """Have something befall whichever conductor passes a point."""
    s.inject(Fault(kind=kind, name=f"{kind} at {point}", point=point, for_s=for_s))


def first(s: Scenario, kind: type[Happening], *, after: int = 0) -> Line:
    """Give the first line of a kind."""
    return next(line for line in s.stage.history.lines if line.number >= after and isinstance(line.what, kind))


def takers(s: Scenario) -> list[str]:
    """Name who took a conversation over that was another's."""
    owners: dict[str, str] = {}
    found = []
    for what in (line.what for line in s.stage.history.lines):
        if isinstance(what, Journaled) and what.entry.kind is Kind.BEGIN:
            owners[what.conversation] = what.process
        elif isinstance(what, TakenOver):
            if owners[what.conversation] != what.process:
                found.append(what.process)
            owners[what.conversation] = what.process
    return found


def lost(s: Scenario) -> int:
    """Count the conversations that a conductor found to be another's by now."""
    return sum(isinstance(line.what, Noted) and line.what.event == LOST for line in s.stage.history.lines)


def play(story: Any, **fields: Any) -> None:
    """Play in a small cloud with two conductors."""
    Scenario.run(story, hosts=HOSTS, conductors=2, **fields)


@BOTH
@pytest.mark.parametrize("point", ["take/do/before_send", "spawn_target/do/before_send", "closed/do/after_record"])
def test_a_move_whose_conductor_dies_is_ended_by_the_other_within_the_lease_and_a_second(on: Any, point: str) -> None:
    """The dead one does not come back; the move ends as if nothing had happened, and nothing was carried out twice."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        befalls(s, FaultKind.CRASH_AT, point)
        await (await s.resize("web", host="h2")).done()
        died, taken = first(s, Crashed), first(s, TakenOver, after=first(s, Crashed).number)
        assert died.what.process != taken.what.process
        assert taken.at_ns - died.at_ns <= (LEASE_S + 1) * 1e9
        assert s.truth.running("web") == ("h2",)
        s.heal()
        await s.quiet()
        s.check()

    play(story, on=on)


@BOTH
def test_a_conductor_that_stood_still_past_its_lease_finds_out_and_lets_go(on: Any) -> None:
    """No clock tells it, but its epoch: it writes nothing more, and the other's move goes on."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        # Its answer is long there when it goes on, and the other is at work on the same step.
        s.fail("h2", "spawn", how="late", late_s=20)
        befalls(s, FaultKind.PAUSE_AT, "spawn_target/do/after_send", for_s=15.0)
        await (await s.resize("web", host="h2")).done()
        stood = first(s, Paused).what.process
        assert takers(s) == [name for name in ("api/conductor", "api/conductor~1") if name != stood]
        s.heal()
        await s.quiet()
        assert first(s, Resumed).what.process == stood
        assert lost(s) == 1
        assert s.truth.executed("web")["spawn_target"] == 1
        s.check()

    play(story, on=on)


@BOTH
def test_two_conductors_that_die_one_after_the_other_leave_nothing(on: Any) -> None:
    """Each time somebody is there or comes back, the move goes on."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        for step in ("copy_records", "stop_guest", "spawn_target", "commit"):
            befalls(s, FaultKind.CRASH_AT, f"{step}/do/after_record", for_s=8.0)
        await (await s.resize("web", host="h2")).done()
        await (await s.revert("web")).done()
        await s.quiet()
        assert len(takers(s)) >= 3
        s.check()

    play(story, on=on)


@pytest.mark.parametrize("by_s", [-3600.0, 3600.0])
def test_clocks_that_jump_or_drift_start_no_takeover_and_keep_none_back(by_s: float) -> None:
    """Leases are counted by each replica's own patience: while both live nothing changes hands; a death is noticed."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h2", "spawn", how="late", late_s=25)
        move = await s.resize("web", host="h2")
        s.jump_clock("conductor", by_s)
        drifts = Fault(kind=FaultKind.CLOCK_DRIFT, name="drift", where="api/conductor~1", amount_s=-0.2)
        s.inject(drifts)
        await move.done()
        assert takers(s) == []
        befalls(s, FaultKind.CRASH_AT, "destroy_source/do/before_send")
        await (await s.confirm("web")).done()
        assert len(takers(s)) == 1
        s.heal()
        await s.quiet()
        s.check()

    play(story)


@BOTH
def test_an_order_whose_conductor_dies_before_it_is_decided_is_answered_by_the_other(on: Any) -> None:
    """The user asks again under the same key, and hears yes once, of one conversation."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        befalls(s, FaultKind.CRASH_AT, "take/do/before_send")
        move = await s.resize("web", host="h2")
        assert move.error == ""
        await move.done()
        goals = [each.goal for each in s.truth.conversations("web")]
        assert sorted(goals) == ["create", "resize"]
        s.heal()
        await s.quiet()
        s.check()

    play(story, on=on)


def test_who_follows_a_move_hears_of_each_step_whichever_conductor_he_asks() -> None:
    """His watches go to both in turn, and one of the two dies meanwhile."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h2", "spawn", how="late", late_s=15)
        assert isinstance(s.stage, LoopStage)
        client = s.stage.world.client
        accepted = await client.order(Op(name="move", act=Act.RESIZE, server="web", host="h2").order())
        befalls(s, FaultKind.CRASH_AT, "seal_source/do/before_send", for_s=10.0)
        told = [news async for news in client.follow(accepted)]
        [(journal, _waits_for)] = [await s.stage.world.conductor.transact(JOURNALS.standing, accepted.conversation)]
        assert [each.entry for each in told[:-1] if hasattr(each, "entry")] == list(journal.entries)
        await s.quiet()
        s.check()

    play(story)
