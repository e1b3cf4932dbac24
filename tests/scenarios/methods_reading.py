"""What cells are asked about services, nodes, histories, consoles and usage: each request through a deep tree."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import attrs
import pytest

from protocol.cell_path import Address, CellPath
from protocol.errors import CallTimeout, ComputeHostNotFound, NotFound, UnknownCell
from protocol.messages.capacity import ShowHosts
from protocol.messages.consoles import CheckConsole, OpenConsole
from protocol.messages.histories import AuditUsage, FindAction, ListActions, ListEvents, ListTaskLog
from protocol.messages.hosts import FindGuest, StartAnew
from protocol.messages.nodes import AskHost, FindNode, ListNodes, NodeStats, ShowNodeStats, ShowUptime
from protocol.messages.servers import ListMigrations
from protocol.messages.services import DeleteService, FindService, ListServices, UpdateService
from protocol.messages.top import DeleteConsoleTokens, FindConsole, ListBandwidth, UpdateBandwidth
from protocol.messages.usage import Reading, ReportTraffic
from protocol.records import (
    ActionEvent,
    Bandwidth,
    ConsoleGrant,
    Host,
    HostMapping,
    Migration,
    ServerAction,
    Service,
    TaskLog,
)
from protocol.requests import Done
from protocol.states import MigrationStatus
from sim.stages.loop import WorldStage
from tests.scenarios.every_method import CELLS, DEEP, HOSTS, shows

if TYPE_CHECKING:
    from sim import Scenario


@shows(ShowHosts)
async def show_hosts(s: Scenario) -> None:
    answers = await s.gather(ShowHosts())
    assert sorted(answer.cell for answer in answers) == sorted(CELLS)
    assert {use.host: answer.cell for answer in answers if answer.reply for use in answer.reply.hosts} == HOSTS


@shows(FindService, pytest.mark.proves("R35"))
async def find_service(s: Scenario) -> None:
    found = await s.call(DEEP, FindService(host="h1"))
    assert found in s.truth.rows(Service)
    assert (found.host, found.version, found.report_count) == ("h1", 1, 1)
    with pytest.raises(ComputeHostNotFound):
        await s.call(DEEP, FindService(host="h4"))


@shows(UpdateService, pytest.mark.proves("R36"))
async def update_service(s: Scenario) -> None:
    disabled = await s.call(DEEP, UpdateService(host="h1", is_enabled=False, reason="new disks"))
    assert disabled in s.truth.rows(Service)
    assert (disabled.is_enabled, disabled.disabled_reason) == (False, "new disks")
    assert [host.name for host in s.truth.rows(Host) if not host.is_enabled] == ["h1"]
    enabled = await s.call(DEEP, UpdateService(host="h1", is_enabled=True))
    assert (enabled.is_enabled, enabled.disabled_reason) == (True, "")
    assert all(host.is_enabled for host in s.truth.rows(Host))


@shows(DeleteService, pytest.mark.proves("R37"))
async def delete_service(s: Scenario) -> None:
    service = await s.call(DEEP, FindService(host="h1"))
    await s.call(DEEP, DeleteService(id=service.id))
    await s.quiet()
    assert "h1" not in {row.host for row in s.truth.rows(Service)} | {row.name for row in s.truth.rows(Host)}
    assert "h1" not in {row.host for row in s.truth.rows(HostMapping)}
    with pytest.raises(NotFound):
        await s.call(DEEP, DeleteService(id=service.id))


@shows(ListServices, pytest.mark.proves("R85", "R86"))
async def list_services(s: Scenario) -> None:
    await s.call(DEEP, UpdateService(host="h2", is_enabled=False))
    answers = await s.gather(ListServices())
    # Deepest first, the source last; an answer a cell, also of one that has no hosts.
    assert [answer.cell for answer in answers] == ["api!eu!eu-1", "api!eu!eu-2", "api!eu", "api!us", "api"]
    assert {line.service.host for answer in answers if answer.reply for line in answer.reply.services} == set(HOSTS)
    for disabled in (True, False):
        answers = await s.gather(ListServices(is_enabled=not disabled))
        found = {line.service.host for answer in answers if answer.reply for line in answer.reply.services}
        assert found == ({"h2"} if disabled else set(HOSTS) - {"h2"})


@shows(FindNode, pytest.mark.proves("R41", "R101"))
async def find_node(s: Scenario) -> None:
    await s.create("web", host="h1")
    found = await s.call(DEEP, FindNode(node="h1"))
    assert (found.host, found.running_servers, found.vcpus_used) == ("h1", 1, 1)
    assert await s.call(DEEP, FindNode(node=found.id)) == found
    with pytest.raises(NotFound):
        await s.call("api!us", FindNode(node=found.id))


@shows(ListNodes, pytest.mark.proves("R88", "R89"))
async def list_nodes(s: Scenario) -> None:
    everywhere = await s.gather(ListNodes())
    assert [answer.cell for answer in everywhere] == ["api!eu!eu-1", "api!eu!eu-2", "api!eu", "api!us", "api"]
    assert {node.host: node.cell for answer in everywhere if answer.reply for node in answer.reply.nodes} == HOSTS
    matching = await s.gather(ListNodes(match="4"))
    assert [node.host for answer in matching if answer.reply for node in answer.reply.nodes] == ["h4"]


@shows(ShowNodeStats, pytest.mark.proves("R90", "R133"))
async def show_node_stats(s: Scenario) -> None:
    await s.create("web", host="h1")
    await s.create("shop", host="h4")
    answers = await s.gather(ShowNodeStats())
    stats = [answer.reply for answer in answers if answer.reply]
    total = reduce(NodeStats.plus, stats)
    assert (len(stats), total.nodes, total.running_servers, total.busy_servers) == (len(CELLS), len(HOSTS), 2, 0)
    used = sum(row.memory_mb for name in ("web", "shop") for row in s.truth.allocations(name))
    assert total.memory_mb_used == used > 0


@shows(ShowUptime, pytest.mark.proves("R58", "R136"))
async def show_uptime(s: Scenario) -> None:
    first = await s.call(f"{DEEP}/host:h1", ShowUptime())
    await s.wait(5)
    later = await s.call(f"{DEEP}/host:h1", ShowUptime())
    assert first.host == "h1"
    assert later.up_s - first.up_s == pytest.approx(5, abs=2)


@shows(AskHost, pytest.mark.proves("R38", "R39"))
async def ask_host(s: Scenario) -> None:
    await s.create("web", host="h1")
    found = (await s.call(DEEP, AskHost(host="h1", question=FindGuest(server="web")))).answer
    assert found == await s.call(f"{DEEP}/host:h1", FindGuest(server="web"))
    told = await s.call(DEEP, AskHost(host="h1", question=StartAnew(), wants_answer=False))
    assert told.answer == Done()
    with pytest.raises(ComputeHostNotFound):
        await s.call(DEEP, AskHost(host="h4", question=ShowUptime()), budget_s=0.5)


@shows(ListActions, pytest.mark.proves("R42"))
async def list_actions(s: Scenario) -> None:
    await s.create("web", host="h1")
    await (await s.stop("web")).done()
    listed = (await s.call(DEEP, ListActions(server="web"))).actions
    assert [row.action for row in listed] == ["stop", "create"]
    assert {row.id for row in listed} == {row.id for row in s.truth.rows(ServerAction)}
    with pytest.raises(NotFound):
        await s.call("api!us", ListActions(server="web"))


@shows(FindAction, pytest.mark.proves("R43"))
async def find_action(s: Scenario) -> None:
    await s.create("web", host="h1")
    [made] = s.truth.rows(ServerAction)
    assert await s.call(DEEP, FindAction(server="web", request_id=made.request_id)) == made
    with pytest.raises(NotFound):
        await s.call(DEEP, FindAction(server="web", request_id="req-none"))


@shows(ListEvents, pytest.mark.proves("R44"))
async def list_events(s: Scenario) -> None:
    await s.create("web", host="h1")
    [made] = s.truth.rows(ServerAction)
    listed = (await s.call(DEEP, ListEvents(action=made.id))).events
    assert {row.id for row in listed} == {row.id for row in s.truth.rows(ActionEvent)}
    assert [(row.host, row.result) for row in listed] == [("h1", "Success")]
    with pytest.raises(NotFound):
        await s.call(DEEP, ListEvents(action="none"))


@shows(ListMigrations, pytest.mark.proves("R46", "R47", "R98", "R135"))
async def list_migrations(s: Scenario) -> None:
    await s.create("web", host="h4")
    await (await s.migrate("web", host="h1")).done()
    [there] = (await s.call(DEEP, ListMigrations(host="h1", status=MigrationStatus.FINISHED))).migrations
    assert there in s.truth.rows(Migration)
    assert (await s.call(DEEP, ListMigrations(host="h2"))).migrations == ()
    assert (await s.call(DEEP, ListMigrations(status=MigrationStatus.ERROR))).migrations == ()
    # Of all cells below, and not of the source itself.
    answers = await s.gather(ListMigrations(server="web"), include_self=False)
    found = {answer.cell: [row.uuid for row in answer.reply.migrations] for answer in answers if answer.reply}
    assert found == {cell: [there.uuid] if cell in {DEEP, "api!us"} else [] for cell in CELLS if cell != "api"}
    # Otherwise than Nova, which answers with an empty list: a cell that is not there is an error.
    assert isinstance(s.stage, WorldStage)
    post = s.stage.posts[CellPath.parse("api")]
    with pytest.raises(UnknownCell):
        await post.call(Address.parse("api!eu!eu-9/cell"), ListMigrations())


@shows(ListTaskLog, pytest.mark.proves("R40", "R87", "R134"))
async def list_task_log(s: Scenario) -> None:
    await s.create("web", host="h1")
    for cell in CELLS:
        # Periods of any length; each audited once, however often that is asked for.
        for begin_us in (0, 0, 2**61):
            await s.call(cell, AuditUsage(begin_us=begin_us, end_us=begin_us + 2**60), at=cell)
    one = await s.call(DEEP, ListTaskLog(host="h1"))
    assert [(row.host, row.items, row.errors, row.state) for row in one.entries] == [("h1", 1, 0, "done")] * 2
    assert set(one.entries) <= set(s.truth.rows(TaskLog))
    assert len((await s.call(DEEP, ListTaskLog(end_us=2**60))).entries) == 2
    answers = await s.gather(ListTaskLog(begin_us=2**61))
    assert [answer.cell for answer in answers] == ["api!eu!eu-1", "api!eu!eu-2", "api!eu", "api!us", "api"]
    assert {row.host: answer.cell for answer in answers if answer.reply for row in answer.reply.entries} == HOSTS


@shows(CheckConsole, pytest.mark.proves("R45", "R137"))
async def check_console(s: Scenario) -> None:
    await s.create("web", host="h1")
    console = await s.call(DEEP, OpenConsole(server="web"), key="visitor:1")
    good = CheckConsole(server="web", port=console.port, kind=console.kind)
    assert (await s.call(DEEP, good)).is_valid
    assert not (await s.call(DEEP, attrs.evolve(good, port=console.port + 1))).is_valid
    with pytest.raises(NotFound):
        await s.call("api!us", good)


@shows(DeleteConsoleTokens, pytest.mark.proves("R91"))
async def delete_console_tokens(s: Scenario) -> None:
    await s.create("web", host="h1")
    console = await s.call(DEEP, OpenConsole(server="web"), key="visitor:1")
    await s.quiet()
    assert (await s.call("api", FindConsole(token=console.token))).cell == DEEP
    # In the name of a cell only that cell's own actor may ask for it: from others it becomes a dead letter.
    with pytest.raises(CallTimeout):
        await s.call("api", DeleteConsoleTokens(server="web", cell=DEEP), at=DEEP)
    assert s.truth.rows(ConsoleGrant)
    await (await s.stop("web")).done()
    await s.quiet()
    assert not s.truth.rows(ConsoleGrant)
    with pytest.raises(NotFound):
        await s.call("api", FindConsole(token=console.token))


@shows(UpdateBandwidth, pytest.mark.proves("R83"))
async def update_bandwidth(s: Scenario) -> None:
    await s.create("web", host="h1")
    for number, count in enumerate((100, 250), start=1):
        reading = Reading(server="web", boot=1, bytes_in=count, bytes_out=2 * count)
        await s.call(DEEP, ReportTraffic(host="h1", readings=(reading,)), at=DEEP)
        await s.quiet()
        rows = s.truth.rows(Bandwidth)
        assert [(row.cell, row.bytes_in, row.bytes_out, row.version) for row in rows] == [
            (DEEP, count, 2 * count, number)
        ]
    [told] = s.truth.rows(Bandwidth)
    # Old news changes nothing, and whoever is not the cell's own actor brings none at all.
    await s.call("api", UpdateBandwidth(bandwidth=attrs.evolve(told, bytes_in=1, version=1)))
    with pytest.raises(CallTimeout):
        await s.call("api", UpdateBandwidth(bandwidth=attrs.evolve(told, bytes_in=1, version=9)), at=DEEP)
    assert (await s.call("api", ListBandwidth(server="web"))).rows == (told,)
