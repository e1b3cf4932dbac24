"""A rebuild makes the root disk anew and keeps all else; until the new one runs, the old one comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.errors import InvalidValue, NotFound, VolumeBacked
from protocol.messages.changes import ServerChange
from protocol.messages.orders import RebuildServer
from protocol.messages.servers import Origin
from protocol.records import OwedAct, Permit
from protocol.states import Owed, PowerState, VmState
from sim import Scenario
from sim.stages.facts import Facts
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
ORIGIN: Final = Origin(request_id="r", user="u", project="project")
#: So far a guest of the simulator counts in ten seconds.
TEN_SECONDS: Final = 500


def kept(facts: Facts) -> tuple[object, ...]:
    """Tell what a rebuild does not touch."""
    home = facts.home("web")
    assert home is not None
    return (
        home.uuid, home.host, home.vm_state, home.power_state, home.flavor, home.task_state, facts.ports("web"),
        facts.bindings("web"), facts.attachments("web"), facts.block_devices("web"), facts.rows(Permit),
    )  # fmt: skip


@STAGES
def test_a_server_is_rebuilt_where_it_is_and_runs_on_a_new_disk(on: Callable[..., Any]) -> None:
    """It keeps its host, ports, volumes and permit; its disk begins anew, and knows of the server's starts."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await s.wait(10)
        before = kept(s.truth)
        await (await s.rebuild("web")).done()
        assert kept(s.truth) == before
        disk = s.truth.disks("web")["h1"]
        assert disk.counter < TEN_SECONDS
        assert [(boot.permit, boot.number) for boot in disk.boots] == [(1, 1), (1, 2)]
        assert {row.action for row in s.truth.actions("web")} == {"create", "rebuild"}
        await at_rest(s)

    Scenario.run(story, on=on)


@STAGES
def test_a_server_that_is_stopped_stays_so_and_starts_from_the_new_disk(on: Callable[..., Any]) -> None:
    """Here from a snapshot of its own, of an earlier day: the record names it, and what was on it is there."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.wait(10)
        await (await s.snapshot("web")).done()
        await (await s.rebuild("web")).done()
        await (await s.stop("web")).done()
        await (await s.rebuild("web", image="image-snapshot-web")).done()
        home = s.truth.home("web")
        assert home is not None
        expected = (VmState.STOPPED, PowerState.SHUTDOWN, "image-snapshot-web")
        assert (home.vm_state, home.power_state, home.image) == expected
        assert s.truth.disks("web")["h1"].counter >= TEN_SECONDS
        await (await s.start("web")).done()
        await (await s.resize("web", host="h2")).done()
        await (await s.confirm("web")).done()
        await at_rest(s)

    Scenario.run(story, on=on)


@STAGES
@pytest.mark.parametrize("call", ["prepare_disk", "power_off", "replace_disk", "power_on"])
@pytest.mark.parametrize("how", ["refuses", "dirty"])
def test_a_rebuild_that_fails_leaves_the_old_disk_running(call: str, how: str, on: Callable[..., Any]) -> None:
    """At whichever step before the new one runs; and no other disk is left beside it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.wait(10)
        before = kept(s.truth)
        s.fail("h1", call, how=how)
        assert (await (await s.rebuild("web")).over()).error in {"hypervisor_failed", "guest_busy"}
        assert kept(s.truth) == before
        assert s.truth.disks("web")["h1"].counter >= TEN_SECONDS
        assert s.truth.disks("web")["h1"].image == "cirros"
        await at_rest(s)

    Scenario.run(story, on=on)


def test_what_cannot_be_rebuilt_or_from_what_is_not_there_is_refused() -> None:
    """A root disk that is a volume, an image that nobody has, a move that waits."""

    async def story(s: Scenario) -> None:
        await s.create("big", host="h1", is_volume_backed=True)
        assert (await s.rebuild("big")).error == VolumeBacked.code
        await s.create("web", host="h2")
        assert (await (await s.rebuild("web", image="nothing")).over()).error == NotFound.code
        await (await s.resize("web", host="h1")).done()
        assert (await s.rebuild("web")).error == "invalid_state"
        await (await s.revert("web")).done()
        await at_rest(s)

    Scenario.run(story)


def test_a_rebuild_changes_what_its_user_wants_changed_when_it_is_done() -> None:
    """Name and metadata; a lock is no part of it, and what fails changes nothing."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        assert isinstance(s.stage, LoopStage)
        change = ServerChange(name="shop", metadata={"tier": "front"})
        order = RebuildServer(server="web", image="cirros", origin=ORIGIN, change=change)
        await s.stage.world.client.finish(order)
        home = s.truth.home("web")
        assert home is not None
        assert (home.name, home.metadata) == ("shop", {"tier": "front"})
        await at_rest(s)

    Scenario.run(story)
    with pytest.raises(InvalidValue):
        RebuildServer(server="web", image="cirros", origin=ORIGIN, change=ServerChange(is_locked=True))


@pytest.mark.parametrize(
    ("point", "owed", "error"),
    [
        ("replace_disk/do/before_send", {Owed.RESTORE_DISK}, "host_fenced"),
        ("power/do/before_send", {Owed.OFF, Owed.RESTORE_DISK}, "host_fenced"),
        ("keep_disk/do/before_send", {Owed.KEEP_DISK}, ""),
    ],
)
def test_a_rebuild_on_a_host_that_is_fenced_waits_for_nothing(point: str, owed: set[Owed], error: str) -> None:
    """What is to be done to its disks is owed; when the fence is lifted there is one, the old or the new."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h1", at=point, down_s=1e6)
        move = await s.rebuild("web")
        await s.wait(20)
        s.lose_machine("h1", down_s=1e6)
        await s.fence("h1")
        await move.over()
        assert move.error == error
        assert {row.act for row in s.truth.rows(OwedAct)} == owed
        s.heal()
        await s.unfence("h1")
        await s.wait(60)  # So that the host has found its guest off.
        await s.quiet()
        s.check()

    Scenario.run(story)
