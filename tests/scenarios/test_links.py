"""A neighbour's broker that is away: noticed, named, tried again; what goes there is bounded and ends by name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from protocol.cell_path import CellPath
from protocol.errors import CallTimeout, Unreachable
from protocol.messages.tree import CellState, ShowCell
from protocol.records import Bandwidth, BandwidthUse
from sim import Scenario
from sim.faults import Fault, FaultKind
from sim.history import Handed, Noted
from tests.scenarios.endings import at_rest

if TYPE_CHECKING:
    from sim.cases.layout import Layout

CELLS: Final = ("api", "api!eu", "api!eu!eu-1", "api!us")
HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!us"}
ROOT, EU, EU1, US = (CellPath.parse(path) for path in CELLS)
#: A wire waits so long for a connection, and may take as long to notice that it can be made again.
PATIENCE_S: Final = 5.0
BUDGET_S: Final = 10.0
USAGE_S: Final = 20.0


def lose_broker(s: Scenario, cell: CellPath) -> None:
    """Stop a cell's broker, which keeps what it has."""
    s.inject(Fault(name="away", kind=FaultKind.BROKER_RESTART, where=str(cell)))


async def shown(s: Scenario, cell: CellPath) -> CellState:
    return await s.call(f"{cell}/cell", ShowCell(), at=str(cell))


async def down_of(s: Scenario, cell: CellPath) -> dict[CellPath, tuple[float, str]]:
    """Tell which links of a cell are down, for how long and why."""
    links = (await shown(s, cell)).links
    assert links is not None
    return {link.cell: (link.down_s, link.reason) for link in links if link.down_s is not None}


def noted(s: Scenario, event: str) -> list[str]:
    lines = (line.what for line in s.stage.history.lines if isinstance(line.what, Noted))
    return [f"{note.process} {note.detail}" for note in lines if note.event == event]


def now_s(s: Scenario) -> float:
    return s.stage.history.lines[-1].at_ns / 1e9


def using(layout: Layout) -> Layout:
    """Have hosts tell often what goes over ports, of which cells tell the root in turn."""
    return attrs.evolve(layout, usage_s=USAGE_S)


def test_a_link_that_is_down_is_noticed_named_and_shown_until_it_is_up_again() -> None:
    """Its cell says since when and why, once in its log and to whoever looks; the other edges notice nothing."""

    async def story(s: Scenario) -> None:
        assert await down_of(s, ROOT) == {}
        lose_broker(s, US)
        await s.wait(7.0)
        (us, (down_s, reason)), *others = (await down_of(s, ROOT)).items()
        assert (us, others) == (US, [])
        assert 7.0 <= down_s < 8.0
        assert reason == "it went away"
        for _again in range(3):
            with pytest.raises(Unreachable):
                await s.call(f"{US}/cell", ShowCell(), budget_s=BUDGET_S)
        (line,) = noted(s, "link_down")
        assert all(part in line for part in (f"{ROOT}/link", f"neighbour={US}", reason)), line
        assert await down_of(s, EU) == {}
        await s.create("web", host="h1")
        s.heal()
        await s.wait(PATIENCE_S + 1.0)
        assert await down_of(s, ROOT) == {}
        assert (await s.call(f"{US}/cell", ShowCell(), budget_s=BUDGET_S)).cell == US
        assert len(noted(s, "link_up")) == 1
        await at_rest(s)

    Scenario.run(story, cells=CELLS, hosts=HOSTS)


def test_what_goes_over_a_link_that_is_down_ends_by_name_within_its_budget() -> None:
    """A call into the cell, or through it, is answered by the last cell that is reached; a gather names it once."""

    async def story(s: Scenario) -> None:
        lose_broker(s, EU)
        for target in (EU, EU1):
            began_s = now_s(s)
            with pytest.raises(Unreachable, match=r"api!eu cannot be reached: .* it went away") as caught:
                await s.call(f"{target}/cell", ShowCell(), budget_s=BUDGET_S)
            assert (caught.value.cell, caught.value.remote_cell) == (str(EU), str(ROOT))
            assert now_s(s) - began_s < BUDGET_S
        answers = {answer.cell: answer.error for answer in await s.gather(ShowCell(), budget_s=BUDGET_S)}
        assert answers.keys() == {str(ROOT), str(EU), str(US)}
        assert {cell for cell, error in answers.items() if isinstance(error, Unreachable)} == {str(EU)}
        with pytest.raises(CallTimeout):
            await s.call(f"{EU}/cell", ShowCell(), budget_s=1.0)  # Less than it takes to be sure.
        s.heal()
        await at_rest(s)

    Scenario.run(story, cells=CELLS, hosts=HOSTS)


def test_news_for_a_cell_whose_broker_is_away_are_bounded_and_told_once_when_it_is_back() -> None:
    """The newest of each thing waits in the outbox, however long it takes; then each goes once, and is the last."""

    async def story(s: Scenario) -> None:
        for server, host in (("web", "h2"), ("db", "h2")):
            await s.create(server, host=host)
        await s.wait(4 * USAGE_S)
        lose_broker(s, ROOT)
        await s.wait(10 * USAGE_S)
        early = s.truth.waiting()[f"{US}/cell"]
        seen = {row.server: row.version for row in s.truth.in_cell(str(US), BandwidthUse)}
        await s.wait(40 * USAGE_S)
        late = {row.server: row.version for row in s.truth.in_cell(str(US), BandwidthUse)}
        assert all(late[server] >= seen[server] + 30 for server in ("web", "db"))
        assert s.truth.waiting()[f"{US}/cell"] == early == len(late)
        (up, (down_s, _reason)), *others = (await down_of(s, US)).items()
        assert (up, others, down_s > 49 * USAGE_S) == (ROOT, [], True)
        begun = len(s.stage.history.lines)
        s.heal()
        await s.wait(3 * PATIENCE_S)
        assert f"{US}/cell" not in s.truth.waiting()
        told = {row.server: row.version for row in s.truth.in_cell(str(ROOT), Bandwidth) if row.cell == str(US)}
        assert all(told[server] >= late[server] for server in late)
        lines = (line.what for line in s.stage.history.lines[begun:] if isinstance(line.what, Handed))
        handed = Counter(
            note.id
            for each in lines
            for note in each.notes
            if note.method == "update_bandwidth" and each.queue == f"{ROOT}/cell"
        )
        assert len(handed) >= len(late)
        assert set(handed.values()) == {1}
        await at_rest(s)

    Scenario.run(story, cells=CELLS, hosts=HOSTS, arrange=using)
