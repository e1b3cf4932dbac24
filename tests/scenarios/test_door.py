"""At the door: what cannot be is refused at once, by name, with nothing changed, and the server is ready to move."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from protocol.records import KeyPair, Server
from sim import Scenario
from sim.faults import Fault, FaultKind
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOUR_S: Final = 3600.0
NS_PER_S: Final = 1_000_000_000
HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
KEY: Final = KeyPair(name="laptop", public_key="ssh-ed25519 AAAA")


def record(s: Scenario) -> tuple[Any, ...]:
    """Give all that the cells and the root have of the server."""
    return (
        s.truth.servers("web"), s.truth.migrations("web"), s.truth.actions("web"), s.truth.faults("web"),
        s.truth.allocations("web"), s.truth.mapping("web"), s.truth.notifications("web"),
    )  # fmt: skip


@STAGES
@pytest.mark.parametrize(
    ("host", "error"), [("nowhere", "compute_host_not_found"), ("h1", "cannot_migrate_to_same_host")]
)
def test_a_host_that_is_not_there_or_the_servers_own_is_refused_at_once(host: str, error: str, on: Any) -> None:
    """No trace of the order is left in the server's record, and the next one is carried out."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.quiet()
        before = record(s)
        move = await s.migrate("web", host=host)
        assert (move.conversation, move.error) == ("", error)
        assert record(s) == before
        await (await s.migrate("web", host="h2")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
@pytest.mark.parametrize("order", ["resize", "migrate"])
def test_a_move_whose_source_host_is_down_is_refused_at_once(order: str, on: Any) -> None:
    """Its user waits for seconds; no trace of the order is left, and once the host is back the server goes."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await s.quiet()
        before = record(s)
        s.kill("h1", down_s=HOUR_S)
        since_ns = s.stage.history.now_ns()
        move = await getattr(s, order)("web", host="h2")
        assert (move.conversation, move.error) == ("", "host_down")
        assert s.stage.history.now_ns() - since_ns < 25 * NS_PER_S
        assert record(s) == before
        assert (await s.stop("web")).conversation, "the server is free for the next order"
        s.heal()
        await s.quiet()
        await (await getattr(s, order)("web", host="h2")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


def test_a_source_host_that_is_slow_is_waited_for() -> None:
    """It stands still for a quarter of a minute: the order is accepted when it goes on, and carried out."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.quiet()
        s.inject(Fault(kind=FaultKind.PAUSE, name="slow", where="api!eu/host:h1", for_s=15))
        since_ns = s.stage.history.now_ns()
        move = await s.migrate("web", host="h2")
        assert s.stage.history.now_ns() - since_ns >= 14 * NS_PER_S
        await move.done()
        assert s.truth.running("web") == ("h2",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.parametrize("is_volume_backed", [False, True])
def test_of_a_fenced_host_only_what_needs_nothing_of_it_goes(is_volume_backed: bool) -> None:
    """A disk of the host's own stays with it, which is said at the door; a server on a volume leaves."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", is_volume_backed=is_volume_backed)
        await s.quiet()
        s.lose_machine("h1", down_s=HOUR_S)
        await s.fence("h1")
        before = record(s)
        move = await s.migrate("web", host="h2")
        if is_volume_backed:
            await move.done()
            assert s.truth.running("web") == ("h2",)
            return
        assert (move.conversation, move.error) == ("", "host_fenced")
        assert record(s) == before

    Scenario.run(story, hosts=HOSTS)


@STAGES
def test_a_revert_says_that_its_source_host_is_down(on: Any) -> None:
    """It is given up with nothing changed, by the same name as a move is refused."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        s.kill("h1", down_s=HOUR_S)
        revert = await (await s.revert("web")).over()
        assert revert.error == "host_down"
        assert "host h1 of server web does not answer" in str(revert.cause)
        assert s.truth.running("web") == ("h2",)
        s.heal()
        await s.quiet()
        await (await s.revert("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
def test_a_create_on_a_host_that_is_not_there_leaves_nothing(on: Any) -> None:
    """The name is refused before anything is made, and the server can be created elsewhere."""

    async def story(s: Scenario) -> None:
        create = await s.create("web", host="nowhere", wait=False)
        assert (create.conversation, create.error) == ("", "compute_host_not_found")
        await s.create("web", host="h1")
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
def test_a_revert_goes_home_although_others_have_filled_its_host(on: Any) -> None:
    """The move keeps its old place: what comes meanwhile is refused, and the revert never lacks room."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        await s.create("db", host="h1")
        full = await (await s.create("cache", host="h1", wait=False)).over()
        assert full.error == "no_valid_host"
        await (await s.revert("web")).done()
        assert s.truth.running("web") == s.truth.running("db") == ("h1",)
        await at_rest(s)

    # Two servers of the first flavor fill it.
    Scenario.run(story, hosts=HOSTS, memory_mb={"h1": 1024}, on=on)


@STAGES
@pytest.mark.parametrize("end", ["confirm", "revert"])
def test_a_key_travels_with_its_server(end: str, on: Any) -> None:
    """Both cells have it while the move waits, and whichever is the home afterwards."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        home: Server | None = s.truth.home("web")
        assert home is not None
        s.plant("api!eu", attrs.evolve(home, key_pair=KEY))
        await (await s.resize("web", host="h2")).done()
        assert {each.key_pair for each in s.truth.servers("web").values()} == {KEY}
        await (await getattr(s, end)("web")).done()
        settled: Server | None = s.truth.home("web")
        assert settled is not None
        assert settled.key_pair == KEY
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)
