"""Twenty stories that every stage can play: operations, named hosts, and calls of the world outside that fail."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

import attrs

from sim import Scenario

Play = Callable[[Scenario], Coroutine[Any, Any, None]]


@attrs.frozen(kw_only=True)
class Story:
    """A story, and what its cloud has that is not the usual: four cells, and h1 to h4 in c1, c2, c3 and c1."""

    name: str
    play: Play
    memory_mb: dict[str, int] = attrs.field(factory=dict)


STORIES: Final[list[Story]] = []


def story(**memory_mb: int) -> Callable[[Play], Play]:
    """Enter a story into the list."""

    def enter(play: Play) -> Play:
        STORIES.append(Story(name=play.__name__, play=play, memory_mb=memory_mb))
        return play

    return enter


# --- all goes well -----------------------------------------------------------------------------------------


@story()
async def a_resize_is_confirmed(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h2")).done()
    await (await s.confirm("web")).done()
    assert s.truth.running("web") == ("h2",)


@story()
async def a_resize_is_reverted(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h2")).done()
    await (await s.revert("web")).done()
    assert s.truth.running("web") == ("h1",)


@story()
async def a_stopped_server_is_migrated(s: Scenario) -> None:
    await s.create("web", host="h1")
    await (await s.stop("web")).done()
    await (await s.migrate("web", host="h3")).done()
    await (await s.confirm("web")).done()
    assert s.truth.running("web") == ()
    await (await s.start("web")).done()
    assert s.truth.running("web") == ("h3",)


@story()
async def a_server_on_a_volume_is_resized(s: Scenario) -> None:
    await s.create("db", host="h1", is_volume_backed=True)
    await (await s.resize("db", host="h2")).done()
    await (await s.confirm("db")).done()
    assert s.truth.running("db") == ("h2",)


@story()
async def what_was_attached_at_the_target_comes_home(s: Scenario) -> None:
    await s.create("db", host="h1", volume="data", is_volume_backed=True)
    await (await s.resize("db", host="h2")).done()
    await (await s.attach("db", "extra")).done()
    await (await s.revert("db")).done()
    assert [guest.volumes for guest in s.truth.guests("db")] == [("data", "extra", "root-db")]


@story()
async def what_was_detached_stays_away(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.detach("web", "data")).done()
    await (await s.migrate("web", host="h2")).done()
    await (await s.confirm("web")).done()
    assert s.truth.attachments("web") == ()


@story()
async def two_servers_change_places(s: Scenario) -> None:
    await s.create("web", host="h1")
    await s.create("db", host="h2", volume="data")
    first, second = await s.migrate("web", host="h2"), await s.migrate("db", host="h1")
    await first.done()
    await second.done()
    await (await s.confirm("web")).done()
    await (await s.revert("db")).done()
    assert s.truth.running("web") == s.truth.running("db") == ("h2",)


@story()
async def one_move_follows_another(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    for host in ("h2", "h3", "h1"):
        await (await s.migrate("web", host=host)).done()
        await (await s.confirm("web")).done()
    await (await s.resize("web", host="h2")).done()
    await (await s.revert("web")).done()
    assert s.truth.running("web") == ("h1",)


# --- what is refused at once -------------------------------------------------------------------------------


@story(h2=1024)
async def a_host_that_is_too_small_is_not_taken(s: Scenario) -> None:
    await s.create("web", host="h1")
    move = await (await s.resize("web", host="h2")).over()
    assert move.error == "no_valid_host"
    await (await s.migrate("web", host="h2")).done()


@story()
async def a_move_to_a_host_of_its_own_cell_stays_at_home(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h4")).done()
    assert list(s.truth.servers("web")) == ["api!c1"]
    await (await s.swap("web", "data", "spare")).done()
    await (await s.attach("web", "extra")).done()
    await (await s.swap("web", "spare", "data")).done()
    await (await s.detach("web", "data")).done()
    await (await s.revert("web")).done()
    assert s.truth.running("web") == ("h1",)
    await (await s.migrate("web", host="h4")).done()
    await (await s.confirm("web")).done()
    assert s.truth.running("web") == ("h4",)


@story()
async def what_comes_too_early_or_twice_is_refused(s: Scenario) -> None:
    await s.create("web", host="h1")
    early = await (await s.confirm("web")).over()
    await (await s.resize("web", host="h2")).done()
    twice = await (await s.resize("web", host="h3")).over()
    await (await s.confirm("web")).done()
    late = await (await s.revert("web")).over()
    assert {early.error, twice.error, late.error} == {"invalid_state"}


# --- hypervisors that fail ---------------------------------------------------------------------------------


@story()
async def a_refused_spawn_is_undone_and_the_next_move_goes_well(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    s.fail("h2", "spawn")
    move = await (await s.resize("web", host="h2")).over()
    assert move.error == "hypervisor_failed"
    assert s.truth.running("web") == ("h1",)
    await (await s.resize("web", host="h2")).done()


@story()
async def a_spawn_that_breaks_off_leaves_nothing(s: Scenario) -> None:
    await s.create("web", host="h1")
    s.fail("h2", "spawn", how="dirty")
    move = await (await s.resize("web", host="h2")).over()
    assert move.error == "hypervisor_failed"
    assert [guest.host for guest in s.truth.guests("web")] == ["h1"]


@story()
async def a_spawn_whose_answer_is_lost_is_done_once(s: Scenario) -> None:
    await s.create("web", host="h1")
    s.fail("h2", "spawn", how="answer_lost")
    await (await s.resize("web", host="h2")).done()
    assert s.truth.asked("web", "spawn_target") > s.truth.executions("web", "spawn_target") == 1


@story()
async def a_guest_that_cannot_be_stopped_stays(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    s.fail("h1", "power_off", times=0)
    move = await (await s.migrate("web", host="h2")).over()
    assert move.error == "hypervisor_failed"
    assert s.truth.running("web") == ("h1",)


@story()
async def a_disk_that_cannot_be_read_stays(s: Scenario) -> None:
    await s.create("web", host="h1")
    s.fail("h1", "snapshot")
    move = await (await s.resize("web", host="h3")).over()
    assert move.error == "hypervisor_failed"
    assert s.truth.image_files() == ("cirros",)


@story()
async def a_server_that_cannot_be_built_can_be_built_again(s: Scenario) -> None:
    s.fail("h1", "spawn")
    failed = await (await s.create("web", host="h1", volume="data", wait=False)).over()
    assert failed.error == "hypervisor_failed"
    assert s.truth.guests() == ()
    await s.create("db", host="h1", volume="data")


@story()
async def a_revert_insists_until_the_source_starts(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h2")).done()
    s.fail("h1", "define", times=2)
    await (await s.revert("web")).done()
    assert s.truth.running("web") == ("h1",)


# --- stores of images and volumes that fail ----------------------------------------------------------------


@story()
async def an_image_store_that_is_away_is_asked_again(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    s.fail("image", "write")
    s.fail("volume", "exists")
    await (await s.resize("web", host="h2")).done()
    assert s.truth.running("web") == ("h2",)


@story()
async def a_snapshot_that_is_kept_and_not_told_of_is_taken_once(s: Scenario) -> None:
    await s.create("web", host="h1")
    s.fail("image", "write", how="answer_lost")
    await (await s.resize("web", host="h2")).done()
    await (await s.confirm("web")).done()
    assert s.truth.image_files() == ("cirros",)


@story()
async def a_confirm_whose_answers_are_lost_leaves_nothing(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h2")).done()
    s.fail("h1", "destroy", how="answer_lost")
    await (await s.confirm("web")).done()
    assert [guest.host for guest in s.truth.guests("web")] == ["h2"]
