"""The network has lost what it knew of a server's ports: it can be deleted, and nothing else is done by halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.messages import instances
from protocol.messages.servers import Origin
from protocol.states import VmState
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!eu", "h2": "api!us", "h3": "api!us", "h4": "api!eu"}
USER: Final = Origin(request_id="r", user="u", project="project")


async def lost(s: Scenario) -> None:
    """Create a server, and lose its ports, with the bindings or without."""
    await s.create("web", host="h1", volume="data")
    await s.quiet()
    s.stage.unplant("api/network", *s.truth.ports("web"), *s.truth.bindings("web"))
    s.is_calm = False


def record(s: Scenario) -> tuple[Any, ...]:
    """Give what the order must not have changed."""
    servers = {
        cell: (row.vm_state, row.task_state, row.host, row.flavor) for cell, row in s.truth.servers("web").items()
    }
    return (
        servers,
        s.truth.running("web"),
        s.truth.allocations("web"),
        s.truth.claims("web"),
        s.truth.attachments("web"),
    )


@STAGES
@pytest.mark.parametrize("is_resized", [False, True])
@pytest.mark.proves("R102")
def test_a_server_whose_ports_are_gone_is_deleted(is_resized: bool, on: Callable[..., Any]) -> None:
    """Also when a move of it waits, so that it goes from two hosts; nothing is left."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        if is_resized:
            await (await s.resize("web", host="h2")).done()
        await s.quiet()
        s.is_calm = False
        s.stage.unplant("api/network", *s.truth.ports("web"), *s.truth.bindings("web"))
        await (await s.delete("web")).done()
        assert (s.truth.servers("web"), s.truth.guests("web"), s.truth.mapping("web")) == ({}, (), None)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@pytest.mark.proves("R102")
def test_its_own_cell_may_be_asked_to_delete_it() -> None:
    """As Nova's cells are."""

    async def story(s: Scenario) -> None:
        await lost(s)
        await s.call("api!eu", instances.AskDelete(server="web", origin=USER), server="web", key="asker:1")
        await at_rest(s)
        assert s.truth.mapping("web") is None

    Scenario.run(story, hosts=HOSTS)


@STAGES
@pytest.mark.parametrize("act", [Act.RESIZE, Act.MIGRATE, Act.LIVE_MIGRATE, Act.RESET_NETWORK, Act.INJECT_NETWORK_INFO])
@pytest.mark.proves("R103")
def test_what_would_do_something_with_its_ports_ends_with_a_named_error(act: Act, on: Callable[..., Any]) -> None:
    """The server runs on where it is, as it was, and is free for the next order."""

    async def story(s: Scenario) -> None:
        await lost(s)
        before = record(s)
        order = await (await s.order(Op(name="asked", act=act, server="web"))).over()
        assert (order.error, str(order.cause)) == ("not_found", "there is no port of server web")
        await s.quiet()
        assert record(s) == before
        await (await s.stop("web")).done()
        assert s.truth.servers("web")["api!eu"].vm_state is VmState.STOPPED
        await (await s.delete("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)
