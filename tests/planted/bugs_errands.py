"""Planted bugs in what servers are had to do beside moves: live migrations, rebuilds, images, holding, soft deletes."""

from __future__ import annotations

from typing import Any

import attrs

from actors.compute.drivers.memory import MemoryDriver
from protocol.draft import Draft
from protocol.effects import imaging as images
from protocol.effects.registry import Moment
from protocol.messages import hosts, imaging, live, rebuilding
from protocol.messages.servers import ServerBundle
from protocol.moves import parties
from protocol.moves.plans import PLANS
from protocol.records import Image
from protocol.requests import Done
from protocol.saga import Story
from protocol.states import Goal, PowerState
from sim.cases.portfolio import ERRANDS, ERRANDS_REFUSED, NOT_RECEIVED, REBUILT_IN_VAIN
from sim.inner.hypervisor import Hypervisor
from tests.planted.planting import Patch, altered, bug, earlier, new_effect, old_effect, replan, without

LIVE = (Goal.LIVE_MIGRATE,)
REBUILD = (Goal.REBUILD,)
IMAGED = (Goal.SNAPSHOT, Goal.BACKUP)


def _run_of(goal: Goal, name: str) -> Any:
    """Give what a step commands."""
    return next(step for step in PLANS[goal].steps if step.name == name).run


# --- live migration ------------------------------------------------------------------------------------------


@bug("one_host", "permit_held", mix=ERRANDS)
def starts_what_is_to_wait_for_its_memory(patch: Patch) -> None:
    """A live migration starts the guest at the target as soon as its disk is there; the source has not handed over."""
    receive = _run_of(Goal.LIVE_MIGRATE, "receive_disk")

    def started(story: Story) -> Any:
        return attrs.evolve(receive(story), is_powered_on=True)

    replan(patch, LIVE, altered("receive_disk", run=started))


@bug("disk_travels", "goes_on", mix=ERRANDS)
def goes_on_without_its_memory(patch: Patch) -> None:
    """A live migration has the guest go on from its disk as it was copied, without what it has done since."""
    receive = _run_of(Goal.LIVE_MIGRATE, "receive_guest")

    def blank(story: Story) -> Any:
        return attrs.evolve(receive(story), memory=live.SavedGuest(counter=0, starts=()))

    replan(patch, LIVE, altered("receive_guest", run=blank))


@bug("destroy_last", mix=ERRANDS)
def destroys_the_source_before_the_other_goes_on(patch: Patch) -> None:
    """A live migration destroys the source's guest when it has its memory, and not when that goes on elsewhere."""
    replan(patch, LIVE, earlier("destroy_source_guest", before="receive_guest"))


@bug("left_running", mix=NOT_RECEIVED)
def leaves_off_what_it_could_not_hand_over(patch: Patch) -> None:
    """A live migration that fails has the guest stay where it was, and does not let it go on there."""
    replan(patch, LIVE, altered("save_guest", undo=None))


# --- rebuild -------------------------------------------------------------------------------------------------


@bug("exchanged_off", mix=ERRANDS)
def exchanges_the_disk_of_a_running_guest(patch: Patch) -> None:
    """A rebuild replaces the disk while the guest still writes to it, and no hypervisor minds."""
    for driver in (MemoryDriver, Hypervisor):
        patch.setattr(driver, "_off", lambda self, server: self._defined(server)[0])
    replan(patch, REBUILD, without("switch_off"))


@bug("disk_of_image", mix=ERRANDS, since=32)
def rebuilds_from_the_image_of_old(patch: Patch) -> None:
    """A rebuild makes the disk from the image that the record names, which is not changed yet."""

    def prepare(story: Story) -> rebuilding.PrepareDisk:
        image = story.reply("begin", ServerBundle).server.image
        return rebuilding.PrepareDisk(server=story.server, image=image)

    replan(patch, REBUILD, altered("prepare_disk", run=prepare))


@bug("disk_of_image", mix=ERRANDS, since=9)
def names_the_image_of_old(patch: Patch) -> None:
    """A rebuild does not write down which image the disk was made from."""
    new_effect(patch, rebuilding.WriteImage, lambda _draft, _command, _moment: Done())


@bug("no_leaks", mix=ERRANDS)
def keeps_what_it_has_set_aside(patch: Patch) -> None:
    """A rebuild leaves the old disk beside the new one for ever."""
    replan(patch, REBUILD, without("keep_disk"))


@bug("disk_of_image", mix=REBUILT_IN_VAIN, since=32)
def keeps_the_new_disk_of_a_rebuild_in_vain(patch: Patch) -> None:
    """A rebuild whose guest does not start puts nothing back: what was on the old disk is not to be had."""
    for step in ("prepare_disk", "replace_disk"):
        replan(patch, REBUILD, altered(step, undo=None))


# --- snapshot and backup -------------------------------------------------------------------------------------


@bug("no_leaks", mix=ERRANDS_REFUSED)
def leaves_a_half_made_image(patch: Patch) -> None:
    """A snapshot that fails leaves its image, which is never whole."""
    for step in ("register_snapshot", "publish_snapshot"):
        replan(patch, IMAGED, altered(step, undo=None))


@bug("images_kept", mix=ERRANDS)
def rotates_whatever_it_finds(patch: Patch) -> None:
    """A backup of one type counts all images of its server, and deletes snapshots and backups of other types."""

    def surplus(rows: tuple[Image, ...], command: imaging.RotateBackups) -> tuple[Image, ...]:
        return old(tuple(attrs.evolve(row, backup_type=command.backup_type) for row in rows), command)

    old = images.surplus
    patch.setattr(images, "surplus", surplus)


@bug("images_kept", mix=ERRANDS)
def keeps_the_oldest_backups(patch: Patch) -> None:
    """A backup deletes the newest of its type, itself among them."""

    def surplus(rows: tuple[Image, ...], command: imaging.RotateBackups) -> tuple[Image, ...]:
        return old(tuple(attrs.evolve(row, number=-row.number) for row in rows), command)

    old = images.surplus
    patch.setattr(images, "surplus", surplus)


@bug("images_kept", mix=ERRANDS)
def makes_an_image_for_each_try(patch: Patch) -> None:
    """Whoever publishes an image publishes another one of the same bytes: a retry would have called it so."""

    def publish(draft: Draft, command: imaging.PublishSnapshot, moment: Moment) -> Image:
        image: Image = old(draft, command, moment)
        draft.put(attrs.evolve(image, id=f"{image.id}-again"))
        return image

    old = old_effect(imaging.PublishSnapshot)
    new_effect(patch, imaging.PublishSnapshot, publish)


# --- holding, and soft deletes -------------------------------------------------------------------------------


@bug("goes_on", mix=ERRANDS)
def suspends_by_switching_off(patch: Patch) -> None:
    """A guest that is to be suspended is switched off: what it had in its memory is gone."""

    def switch_off(story: Story) -> hosts.PowerGuest:
        return hosts.PowerGuest(server=story.server, permit=parties.held_permit(story), state=PowerState.SHUTDOWN)

    replan(patch, (Goal.SUSPEND,), altered("power", run=switch_off))


@bug("destroy_last", mix=ERRANDS)
def deletes_softly_for_good(patch: Patch) -> None:
    """A soft delete destroys the guest and its disk: there is nothing to restore."""
    replan(
        patch, (Goal.SOFT_DELETE,),
        altered("power", run=lambda story: hosts.DestroyGuest(server=story.server)),
    )  # fmt: skip
