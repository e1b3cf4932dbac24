"""Services announce themselves, are disabled with a reason, and are forgotten; nothing that goes wrong is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest

from protocol.errors import ComputeHostNotFound, HostSilent, InvalidState, NotFound
from protocol.messages.nodes import AskHost, ShowUptime
from protocol.messages.services import DeleteService, FindService, ListServices, ReportService, UpdateService
from protocol.records import Host, HostMapping, Service
from sim import Scenario
from sim.cases.layout import Layout
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!eu!eu-1", "h4": "api!us"}
DEEP: Final = "api!eu!eu-1"


def reporting(layout: Layout) -> Layout:
    return attrs.evolve(layout, report_s=10)


def service_of(s: Scenario, host: str) -> Service:
    [found] = [row for row in s.truth.rows(Service) if row.host == host]
    return found


@pytest.mark.proves("R35")
def test_a_host_is_heard_of_again_and_again_and_how_long_it_is_silent_can_be_seen() -> None:
    """By its cell's own clock; a host that died is not heard of any more, and one that lives is."""

    async def story(s: Scenario) -> None:
        await s.wait(35)
        assert service_of(s, "h1").report_count == 4
        s.kill("h1", down_s=100)
        await s.wait(60)
        answers = await s.gather(ListServices())
        ago = {line.service.host: line.heard_ago_us for each in answers if each.reply for line in each.reply.services}
        assert ago["h1"] > 50_000_000
        assert max(ago["h2"], ago["h4"]) < 11_000_000
        await s.wait(60)
        assert service_of(s, "h1").report_count > 4
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, arrange=reporting)


@pytest.mark.proves("R36")
def test_a_disabled_host_gets_no_new_servers_and_keeps_those_that_it_has() -> None:
    """Neither by choice nor by name; a revert leads back to it all the same, and enabled it takes new ones."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        for host in ("h1", "h2"):
            await s.call(DEEP, UpdateService(host=host, is_enabled=False, reason="new disks"))
        for name, host, error, runs in (("mail", "", "", ("h4",)), ("shop", "h1", "no_valid_host", ())):
            made = await (await s.create(name, host=host, wait=False)).over()
            assert (made.error, s.truth.running(name)) == (error, runs)
        await (await s.migrate("web")).done()
        assert s.truth.running("web") == ("h4",)
        await (await s.revert("web")).done()
        assert s.truth.running("web") == ("h1",)
        await s.call(DEEP, UpdateService(host="h1", is_enabled=True))
        await s.create("shop2", host="h1")
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.proves("R37", "Q20")
def test_what_a_delete_of_a_service_is_refused_with_is_told() -> None:
    """Otherwise than Nova: there the answer is waited for and thrown away, so that errors are lost."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        service = await s.call(DEEP, FindService(host="h1"))
        with pytest.raises(InvalidState, match="servers is 1, but must be none"):
            await s.call(DEEP, DeleteService(id=service.id))
        with pytest.raises(NotFound):
            await s.call("api!us", DeleteService(id=service.id))
        assert service_of(s, "h1") == service
        await (await s.delete("web")).done()
        await s.call(DEEP, DeleteService(id=service.id))
        await at_rest(s)
        assert (await (await s.create("web", host="h1", wait=False)).over()).error == "compute_host_not_found"

    Scenario.run(story, hosts=HOSTS)


def test_a_host_that_was_forgotten_comes_back_only_when_it_starts_anew() -> None:
    """Its reports are refused meanwhile; then it is where it was, enabled, and takes servers."""

    async def story(s: Scenario) -> None:
        await s.call(DEEP, DeleteService(id=service_of(s, "h1").id))
        with pytest.raises(ComputeHostNotFound):
            await s.call(DEEP, ReportService(host="h1"), at=DEEP)
        await s.wait(30)
        assert "h1" not in {row.name for row in s.truth.rows(Host)}
        s.kill("h1", down_s=1)
        await s.wait(10)
        await s.quiet()
        assert ("h1", DEEP) in {(row.host, row.cell) for row in s.truth.rows(HostMapping)}
        await s.create("web", host="h1")
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, arrange=reporting)


@pytest.mark.proves("R38", "R39", "R58")
def test_a_host_that_does_not_answer_its_cell_is_named_and_one_that_is_none_is_refused_at_once() -> None:
    """Otherwise than Nova: no method is found by a name off the wire, and an unknown host is no time-out."""

    async def story(s: Scenario) -> None:
        s.kill("h1", down_s=60)
        with pytest.raises(HostSilent, match="host h1 of cell api!eu!eu-1"):
            await s.call(DEEP, AskHost(host="h1", question=ShowUptime()))
        with pytest.raises(ComputeHostNotFound):
            await s.call(DEEP, AskHost(host="nowhere", question=ShowUptime()), budget_s=0.5)
        told = await s.call(DEEP, AskHost(host="h2", question=ShowUptime()))
        assert told.answer == await s.call(f"{DEEP}/host:h2", ShowUptime()) or told.host == "h2"

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.proves("R132")
def test_one_cell_that_is_away_costs_only_its_own_answer() -> None:
    """Otherwise than Nova: there any failed answer fails the whole call."""

    async def story(s: Scenario) -> None:
        s.mute("api!us")
        answers = await s.gather(ListServices(), budget_s=5)
        assert {answer.cell: answer.error.code if answer.error else "" for answer in answers} == {
            "api!eu!eu-1": "", "api!eu": "", "api!us": "cell_timeout", "api": "",
        }  # fmt: skip
        s.heal()

    Scenario.run(story, hosts=HOSTS)


@STAGES
def test_servers_avoid_a_disabled_host_on_the_pure_cores_too(on: Callable[..., Any]) -> None:
    """The same effect decides at both levels."""

    async def story(s: Scenario) -> None:
        [host] = [row for row in s.truth.rows(Host) if row.name == "h4"]
        s.plant(
            "api!us",
            Host(name="h4", vcpus=16, memory_mb=host.memory_mb, disk_gb=200, availability_zone="", is_enabled=False),
        )
        for name in ("a", "b"):
            await s.create(name)
            assert s.truth.running(name) != ("h4",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)
