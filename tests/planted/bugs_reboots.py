"""Planted bugs in reboots: records follow a guest's power, so that none of them tells of these."""

from __future__ import annotations

from protocol.messages import hosts
from protocol.moves import parties
from protocol.saga import Story
from protocol.states import Goal, PowerState
from sim.cases.portfolio import CALM, UNSWITCHED
from tests.planted.planting import Patch, altered, bug, replan


@bug("reboots_boot", mix=UNSWITCHED, since=14)
def leaves_off_what_it_could_not_reboot(patch: Patch) -> None:
    """A reboot that fails after it has switched the guest off does not switch it on again."""
    replan(patch, (Goal.REBOOT,), altered("switch_off", undo=None))


@bug("reboots_boot", mix=CALM, since=13)
def reboots_what_runs_on(patch: Patch) -> None:
    """A reboot does not switch the guest off first: to start one that runs does nothing."""
    replan(patch, (Goal.REBOOT,), altered("switch_off", run=_keep_on))


def _keep_on(story: Story) -> hosts.PowerGuest:
    return hosts.PowerGuest(server=story.server, permit=parties.held_permit(story), state=PowerState.RUNNING)


@bug("healthy_succeeds", mix=CALM, since=13)
def gives_its_permit_back_to_reboot(patch: Patch) -> None:
    """A reboot has the guest stopped as a move does: the host keeps no permit to start it by."""

    def stop(story: Story) -> hosts.StopGuest:
        return hosts.StopGuest(server=story.server, permit=parties.held_permit(story))

    replan(patch, (Goal.REBOOT,), altered("switch_off", run=stop))
