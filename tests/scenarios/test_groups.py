"""Servers of a group are on different hosts: when they are made, when they move at the same moment, on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.records import GroupPlace
from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
#: By room: h1 is chosen first, then h2, h3, h4.
HOSTS: Final = {"h1": "api!c1", "h2": "api!c2", "h3": "api!c3", "h4": "api!c3"}
ROOM_MB: Final = {"h2": 16_000, "h3": 14_000, "h4": 9_000}


def kept(s: Scenario, server: str) -> set[str]:
    return {place.host for place in s.truth.rows(GroupPlace) if place.server == server}


async def settled(s: Scenario, server: str, settle: str) -> None:
    """Confirm or revert."""
    await (await getattr(s, settle)(server)).done()


def play(story: Any, on: Callable[..., Any], **fields: Any) -> None:
    Scenario.run(story, hosts=HOSTS, memory_mb=ROOM_MB, on=on, **fields)


@STAGES
def test_servers_of_a_group_are_made_on_different_hosts_also_at_the_same_moment(on: Callable[..., Any]) -> None:
    """As long as there are hosts; the one too many is refused, and leaves nothing."""

    async def story(s: Scenario) -> None:
        names = ("a", "b", "c", "d", "e")
        made = await s.at_once(*(s.create(name, group="g", wait=False) for name in names))
        for each in made:
            await each.over()
        assert sorted(each.error for each in made)[:-1] == [""] * 4
        assert max(each.error for each in made) in {"no_valid_host", "host_of_group"}
        good = [each.server for each in made if not each.error]
        assert sorted(s.truth.running(name) for name in good) == [("h1",), ("h2",), ("h3",), ("h4",)]
        refused = next(each.server for each in made if each.error)
        assert kept(s, refused) == set()
        await at_rest(s)

    play(story, on)


@STAGES
def test_of_two_moves_to_one_host_at_the_same_moment_one_wins_and_the_other_takes_the_next(
    on: Callable[..., Any],
) -> None:
    """Both have chosen the emptiest host before either has it; the root decides, and the loser's attempt is undone."""

    async def story(s: Scenario) -> None:
        await s.create("a", host="h3", group="g")
        await s.create("b", host="h4", group="g")
        moves = await s.at_once(s.migrate("a"), s.migrate("b"))
        for move in moves:
            await move.done()
        assert sorted((s.truth.running("a"), s.truth.running("b"))) == [("h1",), ("h2",)]
        lost = [
            each.outcome for move in moves for each in move.journal if each.step == "take_place" and not each.is_undo
        ]
        assert sorted(lost) == ["done", "done", "host_of_group"]
        await at_rest(s)

    play(story, on)


@STAGES
def test_of_two_moves_to_one_named_host_at_the_same_moment_one_is_refused(on: Callable[..., Any]) -> None:
    """There is no other host to try; the refused server is as it was, and may go elsewhere."""

    async def story(s: Scenario) -> None:
        await s.create("a", host="h3", group="g")
        await s.create("b", host="h4", group="g")
        moves = await s.at_once(s.resize("a", host="h1"), s.resize("b", host="h1"))
        for move in moves:
            await move.over()
        assert sorted(move.error for move in moves) == ["", "host_of_group"]
        winner, loser = sorted(moves, key=lambda move: move.error)
        assert s.truth.running(winner.server) == ("h1",)
        assert s.truth.running(loser.server) in {("h3",), ("h4",)}
        late = await (await s.resize(loser.server, host="h1")).over()
        assert "another server of its group" in str(late.cause)
        await (await s.resize(loser.server, host="h2")).done()
        await at_rest(s)

    play(story, on)


@STAGES
@pytest.mark.parametrize("settle", ["confirm", "revert"])
def test_the_host_that_a_move_has_left_is_kept_until_its_user_has_decided(on: Callable[..., Any], settle: str) -> None:
    """Only then another member may go there, or else to where the move had gone."""

    async def story(s: Scenario) -> None:
        await s.create("a", host="h3", group="g")
        await s.create("b", host="h1", group="g")
        await (await s.resize("a", host="h2")).done()
        assert kept(s, "a") == {"h2", "h3"}
        assert (await (await s.resize("b", host="h3")).over()).error == "no_valid_host"
        await settled(s, "a", settle)
        stays, left = ("h2", "h3") if settle == "confirm" else ("h3", "h2")
        assert kept(s, "a") == {stays}
        assert (await (await s.resize("b", host=stays)).over()).error == "no_valid_host"
        await (await s.resize("b", host=left)).done()
        assert s.truth.running("b") == (left,)
        await at_rest(s)

    play(story, on)


@STAGES
def test_a_move_that_fails_and_a_server_that_is_deleted_keep_no_host(on: Callable[..., Any]) -> None:
    """The target of the first is free for another member at once, and all hosts of the second are."""

    async def story(s: Scenario) -> None:
        await s.create("a", host="h3", group="g")
        await s.create("b", host="h4", group="g")
        s.fail("h1", "spawn")
        assert (await (await s.resize("a", host="h1")).over()).error == "hypervisor_failed"
        assert kept(s, "a") == {"h3"}
        await (await s.resize("a", host="h2")).done()
        await (await s.delete("a")).done()
        assert kept(s, "a") == set()
        await (await s.resize("b", host="h2")).done()
        await at_rest(s)

    play(story, on)


@STAGES
def test_who_is_in_no_group_or_in_another_goes_anywhere(on: Callable[..., Any]) -> None:
    """Only members of one group avoid each other; and a group that is not there has no members."""

    async def story(s: Scenario) -> None:
        await s.create("a", host="h1", group="g")
        await s.create("b", host="h1", group="other")
        await s.create("c", host="h1")
        assert [s.truth.running(name) for name in "abc"] == [("h1",)] * 3
        await at_rest(s)

    play(story, on)
