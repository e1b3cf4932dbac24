"""A server can be deleted at every moment, and then it is gone, with all that was its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from protocol.states import Goal
from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage

Play = Callable[[Scenario], Coroutine[Any, Any, None]]
EACH_LEVEL: Final = pytest.mark.parametrize("on", [InnerStage, LoopStage])


def play(story: Play, on: Any, **cloud: Any) -> None:
    """Play a story, after which nothing is left of its server."""

    async def whole(s: Scenario) -> None:
        await story(s)
        await s.quiet()
        s.check()
        left = (s.truth.guests("web"), s.truth.attachments("web"), s.truth.listing("web"), s.truth.bindings("web"))
        assert (left, s.truth.servers("web"), s.truth.mapping("web")) == (((), (), (), ()), {}, None)

    Scenario.run(whole, cells=4, hosts=4, on=on, **cloud)


@EACH_LEVEL
def test_a_server_is_deleted_with_all_that_is_its_own(on: Any) -> None:
    """Guest, disk, ports, attachments, place, record, mapping; a second delete finds no such server."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await (await s.delete("web")).done()
        again = await (await s.delete("web")).over()
        assert again.error == "not_found"

    play(story, on)


@EACH_LEVEL
def test_a_delete_in_verify_resize_clears_both_ends(on: Any) -> None:
    """The move is confirmed on the way: of neither the source nor the target anything is left."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await (await s.resize("web", host="h2")).done()
        await (await s.delete("web")).done()

    play(story, on)


@EACH_LEVEL
def test_a_delete_ends_the_move_that_can_still_be_undone(on: Any) -> None:
    """The move fails for that reason, the delete has its turn, and whoever comes later is turned away."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.fail("h2", "spawn", times=0)
        move = await s.resize("web", host="h2")
        delete = await s.delete("web")
        late = await (await s.confirm("web")).over()
        assert late.error in {"conflict", "not_found"}
        await delete.done()
        await move.over()
        assert move.error in {"conflict", "hypervisor_failed"}

    play(story, on)


@EACH_LEVEL
def test_a_move_hears_of_a_delete_with_its_next_step(on: Any) -> None:
    """Nothing fails and nobody is slow: the move is undone all the same, for the delete's sake."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        move, delete = await s.resize("web", host="h2"), await s.delete("web")
        await delete.done()
        await move.over()
        assert move.error == "conflict"
        assert s.truth.executions("web", "spawn_target") == 0

    play(story, on)


@EACH_LEVEL
def test_a_delete_waits_for_a_revert_that_only_goes_forward(on: Any) -> None:
    """The server goes home, and is deleted there; it never comes back."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await (await s.resize("web", host="h2")).done()
        s.fail("h1", "define", times=0)
        revert = await s.revert("web")
        await s.wait(20.0)
        delete = await s.delete("web")
        await s.wait(20.0)
        assert not revert.ended
        assert not delete.ended
        s.heal()
        await revert.done()
        await delete.done()

    play(story, on)


@EACH_LEVEL
def test_of_two_deletes_one_is_carried_out(on: Any) -> None:
    """The other is told who deletes it, or that it is gone."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        first, second = await s.delete("web"), await s.delete("web")
        await first.done()
        await second.over()
        assert second.error in {"conflict", "not_found"}

    play(story, on)


@EACH_LEVEL
def test_a_server_is_deleted_while_it_is_made(on: Any) -> None:
    """Whether the create is undone or comes to its end first: nothing is left of it."""

    async def story(s: Scenario) -> None:
        s.fail("h1", "spawn", times=0)
        create = await s.create("web", host="h1", volume="data", wait=False)
        delete = await s.delete("web")
        await create.over()
        await delete.done()

    play(story, on)


@EACH_LEVEL
def test_a_delete_waits_for_a_host_that_is_away_and_goes_on_when_it_is_back(on: Any) -> None:
    """It says what it waits for meanwhile; the server is shown as being deleted, and not forgotten."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h1", down_s=90.0)
        delete = await s.delete("web")
        await s.wait(60.0)
        assert not delete.ended
        reasons = [each.waits_for or "" for each in s.truth.conversations("web") if each.goal is Goal.DELETE]
        assert "destroy_guest" in reasons[0]
        await delete.done()

    play(story, on)


@EACH_LEVEL
def test_a_move_hears_of_a_delete_while_a_dead_host_owes_it_an_answer(on: Any) -> None:
    """It asks again and again, and hears between two tries: what the host would have done is undone when it is back."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.kill("h2", at="issue_permit/do/after_record", down_s=100.0)
        move = await s.resize("web", host="h2")
        await s.wait(20.0)
        delete = await s.delete("web")
        await delete.done()
        assert move.error == "conflict"

    play(story, on)


@EACH_LEVEL
def test_a_conductor_that_dies_knows_of_a_delete_when_it_is_back(on: Any) -> None:
    """It is in the journals that the move is to end: it is not asked once more for what would settle it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        held = s.hold("h2", at="spawn_target/do/after_send")
        move = await s.resize("web", host="h2")
        await held.reached()
        delete = await s.delete("web")
        s.kill("conductor", down_s=10.0)
        held.let_go()
        await delete.done()
        assert move.error == "conflict"

    play(story, on)
