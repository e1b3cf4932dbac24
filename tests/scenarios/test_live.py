"""A server moves to another host of its cell while it runs: its guest goes on there, and is never in two places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.records import Migration, Permit
from protocol.states import MigrationStatus, VmState
from sim import Scenario
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
BACKINGS: Final = pytest.mark.parametrize("is_volume_backed", [False, True], ids=["image", "volume"])
#: Two hosts in a cell, and one elsewhere.
HOSTS: Final = {"h1": "api!eu", "h2": "api!eu", "h3": "api!us"}
#: So far a guest of the simulator counts in ten seconds.
TEN_SECONDS: Final = 500


def boots(s: Scenario, host: str) -> list[tuple[str, int]]:
    """Tell where, and by which permit, the guest whose disk is there was started."""
    return [(boot.host, boot.permit) for boot in s.truth.disks("web")[host].boots]


@STAGES
@BACKINGS
@pytest.mark.proves("R64")
def test_a_guest_goes_on_at_another_host_of_its_cell(is_volume_backed: bool, on: Callable[..., Any]) -> None:
    """It counts on, not started anew, nothing is left. Otherwise than Nova: its disk always travels, unasked."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data", is_volume_backed=is_volume_backed, group="apart")
        await s.wait(10)
        await (await s.live_migrate("web")).done()
        home = s.truth.home("web")
        assert home is not None
        assert (home.vm_state, home.host, home.task_state) == (VmState.ACTIVE, "h2", None)
        assert s.truth.running("web") == ("h2",)
        assert s.truth.disks("web")["h2"].counter >= TEN_SECONDS
        assert boots(s, "h2") == [("h1", 1)], "it was started once, where it came from"
        assert [guest.host for guest in s.truth.guests("web")] == ["h2"]
        assert [(row.number, row.holder) for row in s.truth.rows(Permit)] == [(2, "api!eu/host:h2")]
        assert [row.status for row in s.truth.rows(Migration)] == [MigrationStatus.COMPLETED]
        assert "live-migration" in {row.action for row in s.truth.actions("web")}
        await (await s.live_migrate("web", host="h1")).done()
        await (await s.reboot("web")).done()
        assert boots(s, "h1") == [("h1", 1), ("h1", 3)]
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
@BACKINGS
@pytest.mark.parametrize(
    ("where", "call"), [("h1", "live_snapshot"), ("h2", "spawn"), ("h1", "save"), ("h2", "receive")]
)
def test_a_live_migration_that_fails_leaves_the_guest_as_if_nothing_had_been(
    where: str, call: str, is_volume_backed: bool, on: Callable[..., Any]
) -> None:
    """It goes on at the source, from where it was: it was not started there again."""
    if is_volume_backed and call in {"live_snapshot", "spawn"}:
        return  # What is no host's own does not travel.

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data", is_volume_backed=is_volume_backed)
        await s.wait(10)
        s.fail(where, call)
        assert (await (await s.live_migrate("web")).over()).error in {"hypervisor_failed", "guest_busy"}
        assert s.truth.running("web") == ("h1",)
        assert boots(s, "h1") == [("h1", 1)]
        await s.wait(10)
        assert s.truth.disks("web")["h1"].counter >= 2 * TEN_SECONDS
        await (await s.live_migrate("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
@BACKINGS
def test_a_guest_that_has_run_at_the_target_does_not_go_on_from_an_older_memory(
    is_volume_backed: bool, on: Callable[..., Any]
) -> None:
    """A target that fails after the guest has run there: over a shared root disk the source starts it anew."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", is_volume_backed=is_volume_backed)
        s.fail("h2", "receive", how="dirty")
        assert (await (await s.live_migrate("web")).over()).error == "hypervisor_failed"
        assert s.truth.running("web") == ("h1",)
        starts = boots(s, "h1")
        assert len(starts) == (2 if is_volume_backed else 1)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
@pytest.mark.parametrize("point", ["save_guest/do/after_effect", "receive_guest/do/after_effect"])
@pytest.mark.parametrize("host", ["h1", "h2"])
def test_a_host_that_dies_in_the_midst_of_a_hand_over_goes_on_with_it(
    point: str, host: str, on: Callable[..., Any]
) -> None:
    """Whoever it is, and whether it was at it or not."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.kill(host, at=point)
        await (await s.live_migrate("web")).done()
        assert s.truth.running("web") == ("h2",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@pytest.mark.parametrize("point", ["receive_disk/do/before_send", "save_guest/do/before_send"])
def test_what_a_fenced_host_has_in_its_memory_is_not_handed_over(point: str) -> None:
    """It is refused by name, and nothing waits; the server is off at its host until that comes back."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h1", at=point, down_s=1e6)
        move = await s.live_migrate("web")
        await s.wait(20)
        s.lose_machine("h1", down_s=1e6)
        await s.fence("h1")
        await move.over()
        assert move.error == "host_fenced"
        assert (await s.live_migrate("web")).error == "host_fenced"
        s.heal()
        await s.unfence("h1")
        await s.wait(60)  # So that the host has found its guest off.
        await (await s.start("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_a_live_migration_whose_source_dies_when_it_is_done_is_owed() -> None:
    """The server is its user's at once; what the dead host has of it goes when it is back."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h1", at="finish_live/do/before_send", down_s=300)
        await s.live_migrate("web")
        await s.wait(60)
        mapping = s.truth.mapping("web")
        assert mapping is not None
        assert (mapping.conversation, mapping.debt_at) == (None, "api!eu/host:h1")
        await (await s.reboot("web")).done()
        assert (await s.live_migrate("web")).error == "conflict"
        await s.wait(400)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@STAGES
def test_only_what_runs_moves_so_and_only_inside_its_cell(on: Callable[..., Any]) -> None:
    """Refused by name: a server that is stopped or resized, its own host, a host of another cell or of nobody."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        assert (await s.live_migrate("web", host="h1")).error == "cannot_migrate_to_same_host"
        assert (await (await s.live_migrate("web", host="h3")).over()).error == "no_valid_host"
        assert (await s.live_migrate("web", host="h9")).error == "compute_host_not_found"
        await (await s.stop("web")).done()
        assert (await s.live_migrate("web")).error == "invalid_state"
        await s.create("alone", host="h3")
        assert (await (await s.live_migrate("alone")).over()).error == "no_valid_host"
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)
