"""What cells and hosts report by themselves: audits, and what goes over ports; never twice, never backwards."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from protocol.messages.histories import ListTaskLog
from protocol.messages.top import ListBandwidth
from protocol.records import Bandwidth, BandwidthUse, TaskLog
from sim import Scenario
from sim.cases.layout import Layout
from tests.scenarios.endings import at_rest

HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!eu!eu-1", "h4": "api!us"}
DEEP: Final = "api!eu!eu-1"


def reporting(**settings: Any) -> Any:
    def arrange(layout: Layout) -> Layout:
        return attrs.evolve(layout, **settings)

    return arrange


@pytest.mark.proves("R87")
def test_each_period_is_audited_once_for_each_host_though_cells_die() -> None:
    """Periods begin where the clock says: whoever comes after a crash audits the last one that is over."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("api!us", down_s=130)
        await s.wait(400)
        await s.quiet()
        rows = s.truth.rows(TaskLog)
        assert len(rows) == len({(row.host, row.period) for row in rows})
        assert {row.end_us - row.begin_us for row in rows} == {60_000_000}
        counts = {host: sum(row.host == host for row in rows) for host in HOSTS}
        assert counts["h1"] == counts["h2"] >= 6
        assert 3 <= counts["h4"] < counts["h1"]
        newest = (await s.call(DEEP, ListTaskLog(host="h1", limit=1))).entries[0]
        assert (newest.items, newest.end_us) == (1, max(row.end_us for row in rows))
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, arrange=reporting(audit_s=60))


@pytest.mark.proves("R83")
def test_what_goes_over_a_port_adds_up_at_the_root_wherever_the_server_was() -> None:
    """A row for each cell; it only grows; a reboot begins the counters anew, and not the count."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.wait(100)
        before = (await s.call("api", ListBandwidth(server="web"))).rows
        assert [row.cell for row in before] == [DEEP]
        assert 0 < before[0].bytes_in < before[0].bytes_out
        await (await s.reboot("web")).done()
        await s.wait(25)
        assert s.truth.rows(Bandwidth)[0].bytes_in >= before[0].bytes_in
        await (await s.migrate("web", host="h4")).done()
        await s.wait(100)
        await s.quiet()
        rows = {row.cell: row for row in s.truth.rows(Bandwidth)}
        assert rows.keys() == {DEEP, "api!us"}
        assert rows[DEEP].bytes_in > before[0].bytes_in
        await (await s.delete("web")).done()
        assert not s.truth.rows(BandwidthUse)
        assert {row.cell: row for row in s.truth.rows(Bandwidth)}.keys() == rows.keys()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, arrange=reporting(usage_s=20))
