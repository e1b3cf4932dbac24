"""Images of servers: made while the guest runs, whole or not at all, and backups that are rotated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol.errors import AlreadyExists, InvalidValue, VolumeBacked
from protocol.messages.orders import CreateServer, ImageServer
from protocol.messages.servers import Origin
from protocol.states import Goal, TaskState
from sim import Scenario
from sim.cases.workload import TINY
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
ORIGIN: Final = Origin(request_id="r", user="u", project="project")


def active(s: Scenario) -> list[str]:
    """Name the images that users may use, with the bytes that are kept, and nothing else that there is."""
    images = s.truth.images()
    assert {image.id for image in images} == set(s.truth.image_files())
    assert {(image.status, image.server) for image in images} == {("active", None)}
    return sorted(image.id for image in images if image.source)


async def finish(s: Scenario, order: CreateServer | ImageServer) -> None:
    """Carry out an order that no scenario has a word for."""
    assert isinstance(s.stage, LoopStage)
    await s.stage.world.client.finish(order)


def backup(server: str, image: str, *, of: str = "daily", rotation: int = 1) -> ImageServer:
    """Order a backup."""
    return ImageServer(
        server=server, goal=Goal.BACKUP, image=image, name=image, origin=ORIGIN, backup_type=of, rotation=rotation
    )


@STAGES
@pytest.mark.proves("R69")
def test_a_snapshot_is_made_of_a_server_that_runs_on(on: Callable[..., Any]) -> None:
    """Its guest has not stopped; the image has what was written by then, and belongs to its user."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.snapshot("web")).done()
        assert active(s) == ["image-snapshot-web"]
        [guest] = s.truth.guests("web")
        assert (guest.is_running, len(guest.boots)) == (True, 1)
        assert {row.action for row in s.truth.actions("web")} == {"create", "createImage"}
        await (await s.stop("web")).done()
        await (await s.snapshot("web")).done()
        await (await s.delete("web")).done()
        assert active(s) == ["image-snapshot-web", "image-snapshot-web-2"], "an image outlives its server"
        await at_rest(s)

    Scenario.run(story, on=on)


@pytest.mark.proves("R69")
def test_a_snapshot_begins_as_pending_and_is_only_made_of_what_does_nothing_else() -> None:
    """The task is `image_snapshot_pending` at first, and is written only over none."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        held = s.hold("image", at="register_snapshot/do/after_effect")
        first = await s.snapshot("web")
        await held.reached()
        home = s.truth.home("web")
        assert home is not None
        assert home.task_state is TaskState.IMAGE_SNAPSHOT_PENDING
        assert (await s.backup("web")).error == "conflict"
        held.let_go()
        await first.done()
        await at_rest(s)

    Scenario.run(story)


def test_a_server_is_made_of_a_snapshot_with_what_was_on_it_and_starts_of_its_own() -> None:
    """What the first guest had counted is there; of its starts, and of its permits, the disk knows nothing."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.wait(10)
        await (await s.snapshot("web")).done()
        order = CreateServer(
            server="copy", name="copy", flavor=TINY, image="image-snapshot-web", volumes=(), host="h2", origin=ORIGIN
        )
        await finish(s, order)
        [disk] = s.truth.disks("copy").values()
        assert disk.counter >= 500
        assert [(boot.host, boot.permit, boot.number) for boot in disk.boots] == [("h2", 1, 1)]
        await (await s.resize("copy", host="h1")).done()
        await at_rest(s)

    Scenario.run(story)


@pytest.mark.proves("R70")
def test_backups_beyond_the_rotation_go_the_oldest_first_and_only_those_of_the_type_and_the_server() -> None:
    """Another type's, another server's and snapshots stay; with rotation 0 all of the type go, the new one too."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.create("db", host="h2")
        await (await s.snapshot("web")).done()
        await finish(s, backup("db", "db-1"))
        await finish(s, backup("web", "week-1", of="weekly"))
        for number in (1, 2, 3, 4):
            await finish(s, backup("web", f"day-{number}", rotation=2))
        others = ["db-1", "image-snapshot-web", "week-1"]
        assert active(s) == sorted(["day-3", "day-4", *others])
        await finish(s, backup("web", "day-5", rotation=1))
        assert active(s) == sorted(["day-5", *others])
        await finish(s, backup("web", "day-6", rotation=0))
        assert active(s) == sorted(others)
        assert "createBackup" in {row.action for row in s.truth.actions("web")}
        await at_rest(s)

    Scenario.run(story)


@STAGES
@pytest.mark.parametrize(
    ("where", "call"), [("h1", "live_snapshot"), ("h1", "capture_disk"), ("image", "publish_snapshot")]
)
def test_a_backup_that_fails_leaves_those_that_there_were(where: str, call: str, on: Callable[..., Any]) -> None:
    """Nothing is rotated before the new one is whole, and nothing is left of what is not."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.backup("web")).done()
        s.fail(where, call)
        move = await (await s.backup("web")).over()
        assert move.error in {"hypervisor_failed", "guest_busy", "conflict"}
        s.heal()
        await s.quiet()
        assert active(s) == ["image-backup-web"]
        assert s.truth.running("web") == ("h1",)
        await at_rest(s)

    Scenario.run(story, on=on)


def test_an_image_that_is_there_is_not_made_again_and_stays() -> None:
    """Whoever names one that another made is refused by name, and its undo deletes nobody's image."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await finish(s, backup("web", "mine"))
        for image in ("mine", "cirros"):
            with pytest.raises(AlreadyExists):
                await finish(s, backup("web", image))
        assert active(s) == ["mine"]
        assert "cirros" in s.truth.image_files()
        await at_rest(s)

    Scenario.run(story)


@STAGES
def test_a_server_whose_root_disk_is_a_volume_has_no_image_made_of_it(on: Callable[..., Any]) -> None:
    """It is refused at the door, by name."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", is_volume_backed=True)
        assert (await s.snapshot("web")).error == VolumeBacked.code
        assert (await s.backup("web")).error == VolumeBacked.code
        await at_rest(s)

    Scenario.run(story, on=on)


@pytest.mark.parametrize(
    ("goal", "image", "backup_type", "rotation"),
    [
        (Goal.SNAPSHOT, "../away", "", 0), (Goal.SNAPSHOT, "", "", 0), (Goal.SNAPSHOT, "a", "daily", 0),
        (Goal.SNAPSHOT, "a", "", 1), (Goal.BACKUP, "a", "", 1), (Goal.BACKUP, "a", "daily", -1),
        (Goal.BACKUP, "a", "daily", 1001), (Goal.STOP, "a", "", 0),
    ],
)  # fmt: skip
def test_what_is_no_snapshot_and_no_backup_cannot_be_ordered(
    goal: Goal, image: str, backup_type: str, rotation: int
) -> None:
    """A name that is no file's, a snapshot with a rotation, a backup without a type."""
    with pytest.raises(InvalidValue):
        ImageServer(
            server="web", goal=goal, image=image, name="n", origin=ORIGIN, backup_type=backup_type, rotation=rotation
        )
