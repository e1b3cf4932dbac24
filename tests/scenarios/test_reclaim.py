"""A server that was softly deleted is deleted for good after a while: once, whoever looks, and never one restored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest

from protocol.journal import Kind
from protocol.moves.chores import LOOK_S, RECLAIM
from protocol.records import CellFreeze
from protocol.states import Goal, VmState
from sim import Scenario
from sim.faults import Fault, FaultKind
from sim.history import Journaled
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOME: Final = "api!c1"
HOSTS: Final = {"h1": HOME, "h2": "api!c2"}
AFTER_S: Final = 100
#: When a server is reclaimed at the latest that nothing hinders.
BY_S: Final = AFTER_S + LOOK_S + 5


def deletes(s: Scenario) -> list[str]:
    """Name the conversations that delete the server, in the order in which they began."""
    lines = (line.what for line in s.stage.history.lines if isinstance(line.what, Journaled))
    return [what.conversation for what in lines if what.goal is Goal.DELETE and what.entry.kind is Kind.BEGIN]


async def softly_deleted(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.soft_delete("web")).done()


def is_gone(s: Scenario) -> bool:
    """Tell whether nothing is left of the server but its volume."""
    return not (s.truth.servers("web") or s.truth.guests("web") or s.truth.ports("web") or s.truth.mapping("web"))


def play(story: Any, on: Callable[..., Any], *, after_s: int = AFTER_S) -> None:
    Scenario.run(story, hosts=HOSTS, on=on, reclaim_after_s=after_s, conductors=2)


@STAGES
def test_a_server_is_reclaimed_when_it_was_softly_deleted_for_so_long_and_not_before(on: Callable[..., Any]) -> None:
    """Once, though two conductors look; its volume stays, as with every delete."""

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        await s.wait(AFTER_S - 2)
        home = s.truth.home("web")
        assert home is not None
        assert home.vm_state is VmState.SOFT_DELETED
        await s.wait(BY_S - AFTER_S + 2)
        assert is_gone(s)
        assert len(deletes(s)) == 1
        assert [volume.volume for volume in s.truth.volumes()] == ["data"]
        await at_rest(s)

    play(story, on)


@STAGES
def test_what_was_softly_deleted_stays_for_ever_where_no_time_is_set(on: Callable[..., Any]) -> None:
    """And comes back whenever its user wants it."""

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        await s.wait(10 * BY_S)
        assert deletes(s) == []
        await (await s.restore("web")).done()
        assert s.truth.running("web") == ("h1",)
        await at_rest(s)

    play(story, on, after_s=0)


@STAGES
def test_what_was_restored_is_left_alone_and_has_all_its_time_when_it_is_softly_deleted_again(
    on: Callable[..., Any],
) -> None:
    """Each soft delete has its own time, also of the same server."""

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        await s.wait(AFTER_S - 20)
        await (await s.restore("web")).done()
        await s.wait(BY_S)
        assert s.truth.running("web") == ("h1",)
        await (await s.soft_delete("web")).done()
        await s.wait(AFTER_S - 2)
        assert deletes(s) == []
        await s.wait(BY_S - AFTER_S + 2)
        assert is_gone(s)
        await at_rest(s)

    play(story, on)


# --- races -------------------------------------------------------------------------------------------------


def when_reclaimed(on: Callable[..., Any]) -> float:
    """Tell when a server is reclaimed, in seconds of its world: the same in every world until somebody steps in."""
    begun: list[float] = []

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        await s.wait(BY_S)
        lines = s.stage.history.lines
        begun.append(next(line.at_ns for line in lines if getattr(line.what, "goal", None) is Goal.DELETE) / 1e9)

    play(story, on)
    return begun[0]


def met(at_s: float) -> str:
    """Restore at an instant; tell who wins."""
    won: list[str] = []

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        await s.wait(at_s - s.stage.history.now_ns() / 1e9)
        restore = await (await s.restore("web")).over()
        await s.wait(BY_S)
        won.append("reclaimed" if restore.error else "restored")
        assert restore.error in {"", "conflict", "not_found"}
        assert is_gone(s) is bool(restore.error)
        assert s.truth.running("web") == (() if restore.error else ("h1",))
        await at_rest(s)

    play(story, InnerStage)
    return won[0]


def test_of_a_restore_and_the_reclaim_at_the_same_moment_one_wins_and_the_other_hears_it() -> None:
    """At whichever instant around that at which it is reclaimed: never both, and the user knows which."""
    about_s = when_reclaimed(InnerStage)
    ends = [met(about_s + each_ms / 1000) for each_ms in range(-30, 31, 3)]
    assert set(ends) == {"reclaimed", "restored"}


@STAGES
def test_a_user_who_restores_first_wins_though_the_root_has_not_heard_of_it_yet(on: Callable[..., Any]) -> None:
    """The conductor that has his order stands still before it asks the root; the other one looks, and sees that."""
    at_s = when_reclaimed(on)

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        s.inject(Fault(kind=FaultKind.PAUSE_AT, name="still", point="take/do/before_send", for_s=20.0))
        await s.wait(at_s - 0.5 - s.stage.history.now_ns() / 1e9)
        restore = await s.restore("web")
        await restore.done()
        assert deletes(s) == []
        s.heal()
        await at_rest(s)

    play(story, on)


@STAGES
@pytest.mark.parametrize("point", ["take/do/before_send", "begin_delete/do/after_send", "erase/do/after_send"])
def test_a_conductor_that_dies_while_it_reclaims_is_followed_by_the_other(on: Callable[..., Any], point: str) -> None:
    """Which then looks for itself, too; and still it is done once."""

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        s.inject(Fault(kind=FaultKind.CRASH_AT, name="dies", point=point, for_s=3600.0))
        await s.wait(BY_S + 20)
        assert is_gone(s)
        assert len(deletes(s)) == 1
        s.heal()
        await at_rest(s)

    play(story, on)


# --- what stands in the way --------------------------------------------------------------------------------


@STAGES
def test_a_locked_server_and_one_of_a_frozen_cell_are_reclaimed_when_that_is_over(on: Callable[..., Any]) -> None:
    """Each try leaves a journal that says why; a lock is the way to keep what may not go."""

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        await (await s.lock("web")).done()
        await s.wait(BY_S)
        assert not is_gone(s)
        freeze = CellFreeze(cell=HOME)
        s.plant(f"{HOME}/cell", freeze)
        await s.wait(60 + LOOK_S + 5)
        s.stage.unplant(f"{HOME}/cell", freeze)
        assert not is_gone(s)
        await (await s.unlock("web")).done()
        await s.wait(60 + LOOK_S + 5)
        assert is_gone(s)
        assert len(set(deletes(s))) >= 3
        await at_rest(s)

    play(story, on)


@STAGES
def test_a_server_that_an_administrator_has_reset_is_not_reclaimed(on: Callable[..., Any]) -> None:
    """The root still thinks that it is softly deleted; its own record says otherwise, and decides."""

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        await s.quiet()
        record = s.truth.servers("web")[HOME]
        s.plant(f"{HOME}/cell", attrs.evolve(record, vm_state=VmState.STOPPED, version=record.version + 1))
        await s.wait(BY_S)
        assert deletes(s)
        home = s.truth.home("web")
        assert home is not None
        assert (home.vm_state, home.task_state) == (VmState.STOPPED, None)
        await (await s.start("web")).done()
        assert s.truth.running("web") == ("h1",)
        await s.quiet()

    play(story, on)


def test_who_reclaims_is_told_by_the_delete_s_own_history() -> None:
    """While it is under way: its action is there under a name that is no user's."""

    async def story(s: Scenario) -> None:
        await softly_deleted(s)
        s.fail("h1", "destroy", how="late", late_s=30.0)
        await s.wait(BY_S)
        assert ("delete", RECLAIM.user) in [(row.action, row.user) for row in s.truth.actions("web")]
        s.heal()
        await s.wait(60.0)
        assert is_gone(s)
        await at_rest(s)

    play(story, InnerStage)
