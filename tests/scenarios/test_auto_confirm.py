"""A move that nobody settles is confirmed after a while: once, whoever looks, and never besides the user's own word."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from protocol.journal import Kind
from protocol.moves.chores import CONFIRM, LOOK_S, NEVER, Waits
from protocol.moves.crossing import FREELY
from protocol.states import Goal, VmState
from sim import Scenario
from sim.faults import Fault, FaultKind
from sim.history import Journaled
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage, WorldStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!c1", "h2": "api!c2"}
AFTER_S: Final = 100
#: When a move is confirmed at the latest that nothing hinders.
BY_S: Final = AFTER_S + LOOK_S + 5


def confirms(s: Scenario, kind: Kind = Kind.BEGIN) -> list[str]:
    """Name the conversations that confirm, once each for every entry of a kind."""
    return [
        what.conversation
        for what in (line.what for line in s.stage.history.lines)
        if isinstance(what, Journaled) and what.goal is Goal.CONFIRM and what.entry.kind is kind
    ]


def users(s: Scenario) -> list[tuple[str, str]]:
    """Tell what was done to the server, and who did it, as its users read it."""
    cell = s.truth.mapping("web").cell or ""  # type: ignore[union-attr]  # it is there
    return [(row.action, row.user) for row in s.truth.actions("web") if row in s.truth.in_cell(cell, type(row), "web")]


async def moved(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h2")).done()


def state(s: Scenario) -> VmState:
    home = s.truth.home("web")
    assert home is not None
    return home.vm_state


def play(story: Any, on: Callable[..., Any], *, after_s: int = AFTER_S, conductors: int = 2) -> None:
    Scenario.run(story, hosts=HOSTS, on=on, confirm_after_s=after_s, conductors=conductors)


@STAGES
def test_a_move_is_confirmed_when_it_has_waited_for_so_long_and_not_before(on: Callable[..., Any]) -> None:
    """Once, though two conductors look; its history says that no user did it."""

    async def story(s: Scenario) -> None:
        await moved(s)
        await s.wait(AFTER_S - 2)
        assert state(s) is VmState.RESIZED
        await s.wait(BY_S - AFTER_S + 2)
        assert state(s) is VmState.ACTIVE
        assert len(confirms(s)) == 1
        assert ("confirmResize", CONFIRM.user) in users(s)
        await at_rest(s)

    play(story, on)


@STAGES
def test_nobody_is_hurried_where_no_time_is_set(on: Callable[..., Any]) -> None:
    """Without the setting a move waits for its user for ever."""

    async def story(s: Scenario) -> None:
        await moved(s)
        await s.wait(10 * BY_S)
        assert state(s) is VmState.RESIZED
        assert confirms(s) == []
        await at_rest(s)

    play(story, on, after_s=0)


def test_a_time_that_is_set_while_conductors_run_holds_from_then_on() -> None:
    """Also of moves that wait already; taken away again, nobody is hurried any more."""

    async def story(s: Scenario) -> None:
        assert isinstance(s.stage, WorldStage)
        tune = partial(s.stage.world.machines.tune, "conductor", crossing=FREELY)
        await moved(s)
        await s.wait(2 * BY_S)
        assert state(s) is VmState.RESIZED
        tune(waits=Waits(confirm_after_s=AFTER_S))
        await s.wait(LOOK_S + 5)
        assert state(s) is VmState.ACTIVE
        assert len(confirms(s)) == 1
        tune(waits=NEVER)
        await (await s.migrate("web", host="h1")).done()
        await s.wait(2 * BY_S)
        assert state(s) is VmState.RESIZED
        await at_rest(s)

    play(story, LoopStage, after_s=0)


@STAGES
def test_a_move_that_its_user_has_settled_is_left_alone_and_the_next_one_waits_as_long(on: Callable[..., Any]) -> None:
    """Each move's time counts from its own end, also for the same server."""

    async def story(s: Scenario) -> None:
        await moved(s)
        await (await s.revert("web")).done()
        await s.wait(AFTER_S - 20)
        await (await s.resize("web", host="h2")).done()
        await s.wait(AFTER_S - 10)
        assert state(s) is VmState.RESIZED
        assert confirms(s) == []
        await s.wait(BY_S - AFTER_S + 10)
        assert state(s) is VmState.ACTIVE
        await at_rest(s)

    play(story, on)


def when_confirmed(on: Callable[..., Any]) -> float:
    """Tell when a move is confirmed, in seconds of its world: the same in every world until somebody steps in."""
    begun: list[float] = []

    async def story(s: Scenario) -> None:
        await moved(s)
        await s.wait(BY_S)
        lines = s.stage.history.lines
        begun.append(next(line.at_ns for line in lines if getattr(line.what, "goal", None) is Goal.CONFIRM) / 1e9)

    play(story, on)
    return begun[0]


def met(at_s: float) -> str:
    """Revert at an instant; tell who wins."""
    won: list[str] = []

    async def story(s: Scenario) -> None:
        await moved(s)
        await s.wait(at_s - s.stage.history.now_ns() / 1e9)
        revert = await (await s.revert("web")).over()
        await s.wait(BY_S)
        won.append("confirmed" if revert.error else "reverted")
        assert revert.error in {"", "conflict", "invalid_state"}
        assert s.truth.running("web") == (("h2",) if revert.error else ("h1",))
        assert {each.status.value for each in s.truth.migrations("web")} == set(won)
        await at_rest(s)

    play(story, InnerStage)
    return won[0]


def test_of_a_revert_and_the_confirm_at_the_same_moment_one_wins_and_the_other_hears_it() -> None:
    """At whichever instant around that at which the move is confirmed: never both, and the user knows which."""
    about_s = when_confirmed(InnerStage)
    ends = [met(about_s + each_ms / 1000) for each_ms in range(-30, 31, 2)]
    assert set(ends) == {"confirmed", "reverted"}


@STAGES
def test_a_user_who_was_first_wins_though_the_root_has_not_heard_of_it_yet(on: Callable[..., Any]) -> None:
    """The conductor that has his order stands still before it asks the root; the other one looks, and sees that."""
    at_s = when_confirmed(on)

    async def story(s: Scenario) -> None:
        await moved(s)
        s.inject(Fault(kind=FaultKind.PAUSE_AT, name="still", point="take/do/before_send", for_s=20.0))
        await s.wait(at_s - 0.5 - s.stage.history.now_ns() / 1e9)
        revert = await s.revert("web")
        await revert.done()
        assert confirms(s) == []
        s.heal()
        await at_rest(s)

    play(story, on)


@STAGES
@pytest.mark.parametrize("point", ["take/do/before_send", "begin_confirm/do/after_send", "owe/do/after_send"])
def test_a_conductor_that_dies_while_it_confirms_by_itself_is_followed_by_the_other(
    on: Callable[..., Any], point: str
) -> None:
    """Which then looks for itself, too; and still it is confirmed once."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.inject(Fault(kind=FaultKind.CRASH_AT, name="dies", point=point, for_s=3600.0))
        await s.wait(BY_S + 10)
        assert state(s) is VmState.ACTIVE
        assert len(confirms(s)) == 1
        s.heal()
        await at_rest(s)

    play(story, on)


@STAGES
def test_a_confirm_that_comes_to_nothing_is_tried_again_under_another_conversation(on: Callable[..., Any]) -> None:
    """Its cell refuses it twice; the third one does it, each a minute after the last."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.fail("api!c2", "begin_confirm", times=2)
        await s.wait(BY_S + 2 * (60 + LOOK_S) + 5)
        assert state(s) is VmState.ACTIVE
        assert len(set(confirms(s))) == 3
        s.heal()
        await at_rest(s)

    play(story, on)


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
def test_a_clock_that_jumps_makes_it_sooner_or_later_and_harms_nothing(by_s: float) -> None:
    """Forward, the root thinks that the move has waited; back, that it has just begun to."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.jump_clock("api/cell", by_s)
        s.jump_clock("conductor", -by_s)
        await s.wait(LOOK_S + 5)
        assert state(s) is (VmState.ACTIVE if by_s > 0 else VmState.RESIZED)
        await s.wait(BY_S)
        assert state(s) is (VmState.ACTIVE if by_s > 0 else VmState.RESIZED)
        await s.wait(3700)
        assert state(s) is VmState.ACTIVE
        assert len(confirms(s)) == 1
        s.heal()
        await at_rest(s)

    play(story, LoopStage)


@STAGES
def test_a_delete_goes_before_a_confirm(on: Callable[..., Any]) -> None:
    """What is being deleted when its time is over is deleted, and nobody begins anything else with it."""

    async def story(s: Scenario) -> None:
        await moved(s)
        await s.wait(AFTER_S - 2)
        s.kill("h2", down_s=120.0)
        deleted = await s.delete("web")
        await s.wait(BY_S)
        await deleted.done()
        assert confirms(s) == []
        assert s.truth.servers("web") == {}
        await at_rest(s)

    play(story, on)
