"""A project has no more than it may, whoever asks at the same moment; a server counts once, wherever it is and goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.records import Mapping, Quota
from sim import Scenario
from sim.cases.workload import SMALL, TINY
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
PROJECT: Final = "project"


def limit(s: Scenario, **limits: int) -> None:
    s.plant("api", Quota(project=PROJECT, **limits))


def used(s: Scenario) -> tuple[int, int]:
    """Tell how many servers count, and how much memory of them."""
    counted = [row for row in s.truth.rows(Mapping) if row.project == PROJECT]
    return len(counted), sum(row.memory_mb for row in counted)


@STAGES
def test_of_several_creates_at_once_so_many_succeed_as_the_quota_has_room_for(on: Callable[..., Any]) -> None:
    """The others hear at once what is used up; and when one server goes there is room for another."""

    async def story(s: Scenario) -> None:
        limit(s, servers=2)
        names = ("a", "b", "c")
        made = await s.at_once(*(s.create(name, wait=False) for name in names))
        for each in made:
            await each.over()
        assert sorted(each.error for each in made) == ["", "", "quota_exceeded"]
        assert used(s) == (2, 2 * TINY.memory_mb)
        (gone, *_) = [each.server for each in made if not each.error]
        await (await s.delete(gone)).done()
        await s.create("d")
        assert used(s) == (2, 2 * TINY.memory_mb)
        await at_rest(s)

    Scenario.run(story, on=on)


@STAGES
def test_a_server_counts_once_while_two_cells_have_it_and_its_revert_is_never_refused(on: Callable[..., Any]) -> None:
    """With no room for a second server at all; the larger size counts until the user has decided."""

    async def story(s: Scenario) -> None:
        limit(s, servers=1, memory_mb=SMALL.memory_mb)
        await s.create("web")
        await (await s.resize("web")).done()
        assert used(s) == (1, SMALL.memory_mb)
        assert (await (await s.create("other", wait=False)).over()).error == "quota_exceeded"
        await (await s.revert("web")).done()
        assert used(s) == (1, TINY.memory_mb)
        await (await s.resize("web")).done()
        await (await s.confirm("web")).done()
        assert used(s) == (1, SMALL.memory_mb)
        await at_rest(s)

    Scenario.run(story, on=on)


@STAGES
def test_a_resize_beyond_the_quota_is_refused_at_the_door_and_one_that_fails_gives_back_what_it_asked_for(
    on: Callable[..., Any],
) -> None:
    """Nothing of the server is touched by the first, nothing is left of the second."""

    async def story(s: Scenario) -> None:
        limit(s, memory_mb=SMALL.memory_mb - 1)
        await s.create("web", host="h1")
        assert (await (await s.resize("web")).over()).error == "quota_exceeded"
        assert len(s.truth.actions("web")) == 1
        limit(s, memory_mb=SMALL.memory_mb)
        s.fail("h2", "spawn")
        assert (await (await s.resize("web", host="h2")).over()).error == "hypervisor_failed"
        assert used(s) == (1, TINY.memory_mb)
        await at_rest(s)

    Scenario.run(story, on=on)
