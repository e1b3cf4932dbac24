"""The ports of a server, applied again by its host and told to its guest: what was done can be read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.messages.wiring import AppliedNetwork, AppliedPorts, FindNetwork, PortAddress
from protocol.records import PortBinding
from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
NOTHING: Final = AppliedNetwork(reset=AppliedPorts(), injected=AppliedPorts())


async def applied(s: Scenario, host: str) -> AppliedNetwork:
    """Ask a host what it has done about the network of the server's guest."""
    return await s.call(host, FindNetwork(server="web"), server="web")


def ports(s: Scenario) -> tuple[PortAddress, ...]:
    """Tell of the server's ports, as the network has them."""
    return tuple(PortAddress(port=port.id, address=port.address) for port in s.truth.ports("web"))


@pytest.mark.proves("R67")
def test_a_host_applies_the_ports_of_a_server_again() -> None:
    """It says which, and by which conversation; a guest that runs does so undisturbed."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        assert await applied(s, "h1") == NOTHING
        move = await (await s.reset_network("web")).done()
        found = await applied(s, "h1")
        assert found == AppliedNetwork(
            reset=AppliedPorts(by=move.conversation, ports=ports(s)), injected=AppliedPorts()
        )
        assert "resetNetwork" in {row.action for row in s.truth.actions("web")}
        [guest] = s.truth.guests("web")
        assert (guest.is_running, len(guest.boots)) == (True, 1)
        await at_rest(s)

    Scenario.run(story)


@pytest.mark.proves("R68")
def test_a_host_tells_a_guest_of_its_ports() -> None:
    """It says of which; the ports are not touched, and what was applied before stands beside it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.stop("web")).done()
        first = await (await s.reset_network("web")).done()
        second = await (await s.inject_network_info("web")).done()
        assert await applied(s, "h1") == AppliedNetwork(
            reset=AppliedPorts(by=first.conversation, ports=ports(s)),
            injected=AppliedPorts(by=second.conversation, ports=ports(s)),
        )
        assert "injectNetworkInfo" in {row.action for row in s.truth.actions("web")}
        await at_rest(s)

    Scenario.run(story)


@STAGES
def test_a_reset_sends_traffic_to_where_the_server_is(on: Callable[..., Any]) -> None:
    """Also while a move waits, whose source keeps its bindings inactive; a binding that somebody took away is back."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        [port] = s.truth.ports("web")
        s.plant("network", PortBinding(port=port.id, host="h2", server="web", is_active=False))
        s.plant("network", PortBinding(port=port.id, host="h1", server="web", is_active=True))
        await (await s.reset_network("web")).done()
        assert {(row.host, row.is_active) for row in s.truth.bindings("web")} == {("h1", False), ("h2", True)}
        await (await s.revert("web")).done()
        await at_rest(s)

    Scenario.run(story, on=on)


@STAGES
def test_what_a_host_refuses_changes_nothing(on: Callable[..., Any]) -> None:
    """And the server's history has the reason."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h1", "apply_network")
        assert (await (await s.reset_network("web")).over()).error == "hypervisor_failed"
        assert [fault.code for fault in s.truth.faults("web")] == ["hypervisor_failed"]
        await (await s.reset_network("web")).done()
        await at_rest(s)

    Scenario.run(story, on=on)


def test_what_was_applied_goes_with_the_guest() -> None:
    """Where the server comes to, nothing was applied yet; where it was, nothing of it is left."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.reset_network("web")).done()
        await (await s.resize("web", host="h2")).done()
        assert await applied(s, "h2") == NOTHING
        assert await applied(s, "h1") == NOTHING
        await (await s.confirm("web")).done()
        await at_rest(s)

    Scenario.run(story)
