"""Builds that a cell is asked for: several at once, in it or below it, each exactly once, whatever dies meanwhile."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from protocol.cell_path import CellPath
from protocol.errors import InvalidValue
from protocol.messages.building import BuildInstances, NewServer
from protocol.messages.handing import PassBuild
from protocol.moves.crossing import Crossing
from sim import Scenario
from sim.cases.workload import IMAGE, TINY
from tests.scenarios.endings import at_rest
from tests.scenarios.every_method import CELLS, HOSTS
from tests.scenarios.methods_building import ORIGIN

NAMES: Final = ("one", "two", "three")
MIDDLE: Final = "api!eu"


def asked(*names: str) -> BuildInstances:
    """Ask for servers of these names."""
    return BuildInstances(
        servers=tuple(NewServer(server=name, name=name) for name in names), flavor=TINY, image=IMAGE, origin=ORIGIN
    )


@pytest.mark.proves("R27", "R121", "R139")
@pytest.mark.parametrize("is_scheduled", [False, True])
@pytest.mark.parametrize("cell", [MIDDLE, "api!us", "api!eu!eu-2"])
def test_what_a_cell_is_asked_to_build_is_built_in_it_or_below(cell: str, *, is_scheduled: bool) -> None:
    """All of it, wherever there would be more room; the root may be asked too: that is the whole tree."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        await s.call(f"{cell}/cell", asked(*NAMES), key="asker:1")
        await s.quiet()
        below = {host for host, its_cell in HOSTS.items() if its_cell.startswith(cell)}
        assert {s.truth.running(name)[0] for name in NAMES} <= below
        await s.call("api/cell", asked("four"), key="asker:2")
        await s.quiet()
        assert len(s.truth.running("four")) == 1
        await at_rest(s)

    Scenario.run(
        story, cells=CELLS, hosts=HOSTS, crossing=Crossing(is_scheduled=is_scheduled),
        arrange=lambda layout: layout.advertising(announce_s=10.0),
    )  # fmt: skip


@pytest.mark.proves("R26", "R27")
def test_a_build_is_carried_out_once_however_often_it_is_asked_and_whoever_dies() -> None:
    """The same key is the same conversations, over the deaths of the cell, of the root and of the conductor."""

    async def story(s: Scenario) -> None:
        first = await s.call(f"{MIDDLE}/cell", asked(*NAMES), key="asker:1")
        for actor in (f"{MIDDLE}/cell", "api/cell", "api/conductor"):
            s.kill(actor, down_s=1.0)
        await s.wait(5.0)
        again = await s.call(f"{MIDDLE}/cell", asked(*NAMES), key="asker:1")
        assert again == first
        await s.quiet()
        for name in NAMES:
            assert len(s.truth.running(name)) == 1

    Scenario.run(story, cells=CELLS, hosts=HOSTS)


def test_a_build_without_a_key_or_without_servers_is_refused() -> None:
    """It could not be told from another one like it."""

    async def story(s: Scenario) -> None:
        with pytest.raises(InvalidValue, match="taken once"):
            await s.call(f"{MIDDLE}/cell", asked("one"))
        for names in ((), ("one", "one")):
            with pytest.raises(InvalidValue, match="each once"):
                asked(*names)
        await at_rest(s)

    Scenario.run(story, cells=CELLS, hosts=HOSTS)


def test_a_cell_passes_on_no_build_for_another() -> None:
    """Nor one that is for no cell: what a visitor of it says is not its own word either."""

    async def story(s: Scenario) -> None:
        (order,) = asked("one").orders()
        forged = attrs.evolve(order, within=CellPath.parse("api!us"))
        for each in (order, forged):
            await s.cast("api/cell", PassBuild(asked="asker:1", order=each), at=MIDDLE)
        await s.quiet()
        assert s.dead_letters("api") == ("forbidden", "forbidden")
        assert s.truth.home("one") is None
        s.check()

    Scenario.run(story, cells=CELLS, hosts=HOSTS)
