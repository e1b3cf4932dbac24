"""Planted bugs in moves inside of a cell, and in their confirms and reverts: two hosts, and one record for both."""

from __future__ import annotations

import attrs

from protocol.draft import Draft
from protocol.effects.registry import Moment
from protocol.messages import inside
from protocol.messages.servers import ServerBundle
from protocol.moves import confirm
from protocol.moves import resize_story as told
from protocol.records import Server
from protocol.requests import Done
from protocol.saga import Story
from protocol.states import Goal
from sim.cases.portfolio import HOMELY, HOMELY_BROKEN_OFF
from tests.planted.planting import MOVES, Patch, altered, bug, new_effect, old_effect, replan, without


@bug("no_leaks", "accounting", mix=HOMELY)
def holds_the_first_host_for_ever(patch: Patch) -> None:
    """A confirm inside of a cell does not give back the room on the host that the server has left."""
    replan(patch, (Goal.CONFIRM,), without("leave_source"))


@bug("no_leaks", "accounting", mix=HOMELY)
def holds_the_second_host_for_ever(patch: Patch) -> None:
    """A revert inside of a cell does not give back the room on the host that the server has left."""
    replan(patch, (Goal.REVERT,), without("leave_target"))


@bug("no_leaks", mix=HOMELY_BROKEN_OFF)
def leaves_a_claim_inside_of_a_cell(patch: Patch) -> None:
    """A failed move inside of a cell leaves its claim: there is no copy whose end would take it along."""
    replan(patch, MOVES, altered("claim_inside", undo=None))


@bug("records_agree", "accounting", mix=HOMELY, since=7)
def comes_back_with_the_new_flavor(patch: Patch) -> None:
    """A revert inside of a cell leaves the record with what it was resized to."""

    def keep(draft: Draft, command: inside.ReturnInside, moment: Moment) -> Done:
        flavor = draft.one(Server, uuid=command.server).flavor
        done: Done = back(draft, command, moment)
        draft.put(attrs.evolve(draft.one(Server, uuid=command.server), flavor=flavor))
        return done

    back = old_effect(inside.ReturnInside)
    new_effect(patch, inside.ReturnInside, keep)


@bug("one_host", "one_guest", mix=HOMELY, since=4)
def has_both_hosts_run_the_guest(patch: Patch) -> None:
    """A move inside of a cell leaves the guest that it makes again on the other host alone."""
    for step in ("stop_guest", "detach_guest"):
        replan(patch, MOVES, altered(step, when=told.crosses))


@bug("no_leaks", mix=HOMELY)
def forgets_what_a_revert_gives_back(patch: Patch) -> None:
    """A move inside of a cell does not note the attachments that keep the volumes for the first host."""

    def forget(draft: Draft, command: inside.FinishInside, moment: Moment) -> Server:
        server: Server = finish(draft, command, moment)
        assert server.migration_context is not None, "a move is open"
        return draft.put(attrs.evolve(server, migration_context=attrs.evolve(server.migration_context, kept={})))

    finish = old_effect(inside.FinishInside)
    new_effect(patch, inside.FinishInside, forget)


@bug("attachments", mix=HOMELY, since=6)
def takes_the_only_record_for_the_source_s(patch: Patch) -> None:
    """A confirm inside of a cell deletes the attachments of the record, which are those that the guest uses."""

    def of_the_record(story: Story) -> tuple[str, ...]:
        begun = story.reply("begin_confirm", ServerBundle)
        return tuple(device.attachment for device in begun.block_devices)

    patch.setattr(confirm, "_left_behind", of_the_record)


@bug("one_home", mix=HOMELY)
def hides_the_only_record(patch: Patch) -> None:
    """A move inside of a cell hides the record, as one that crosses hides the source's."""

    def hide(draft: Draft, command: inside.FinishInside, moment: Moment) -> Server:
        server: Server = finish(draft, command, moment)
        return draft.put(attrs.evolve(server, is_hidden=True))

    finish = old_effect(inside.FinishInside)
    new_effect(patch, inside.FinishInside, hide)
