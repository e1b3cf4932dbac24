"""Planted bugs in plans, and in the engine that reads them: order, undo, direction."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs

from actors.compute.drivers.counting import Counting
from protocol import saga
from protocol.bodies import decode_body
from protocol.errors import CallTimeout, ErrorReport
from protocol.journal import Entry, Journal, Kind
from protocol.messages import root
from protocol.moves import resize_story as told
from protocol.records import Permit
from protocol.saga import Plan
from protocol.states import Goal
from sim.cases.portfolio import BROKEN_OFF, CALM, LOST, REFUSED
from sim.inner.hypervisor import Hypervisor
from tests.planted.planting import MOVES, Level, Patch, altered, bug, earlier, new_effect, replan, without

ToUndo = Any


def _undo_as(patch: Patch, change: Any) -> None:
    patch.setattr(saga, "_to_undo", partial(change, saga.__dict__["_to_undo"]))


@bug("undo_whole", number="5", mix=BROKEN_OFF)
def undoes_only_what_is_done(patch: Patch) -> None:
    """A step that was refused is not undone, although it may have left half of its work."""
    _undo_only_done(patch)


# The inner level's hypervisors never make a guest whole and fail then: there it only shows in the journal.
@bug("one_host", "one_guest", number="5", mix=BROKEN_OFF, levels=(Level.LOOP,), since=2)
def lets_the_source_run_beside_what_was_refused(patch: Patch) -> None:
    """A guest that was made and not told of is not undone, and the source's is started again."""
    _undo_only_done(patch)


def _undo_only_done(patch: Patch) -> None:
    def only_done(to_undo: ToUndo, plan: Plan, journal: Journal) -> Iterator[Entry]:
        done = {(each.step, each.attempt) for each in journal.entries if each.kind is Kind.DONE and not each.is_undo}
        return (entry for entry in to_undo(plan, journal) if (entry.step, entry.attempt) in done)

    _undo_as(patch, only_done)


@bug("undo_order", number="6", mix=BROKEN_OFF)
def undoes_in_the_order_of_the_steps(patch: Patch) -> None:
    """What was done first is undone first."""
    _undo_as(patch, lambda to_undo, plan, journal: reversed(tuple(to_undo(plan, journal))))


@bug("one_direction", mix=REFUSED, since=4)
def forgets_that_it_is_settled(patch: Patch) -> None:
    """A refusal after the settling step undoes what users may have seen already."""
    patch.setattr(saga, "is_settled", lambda _plan, _journal: False)


@bug("one_home", number="14", mix=CALM)
def leaves_the_source_visible(patch: Patch) -> None:
    """The source's record is not hidden when the mapping has turned."""
    replan(patch, MOVES, without("hide_source"))


@bug("one_home", number="14", mix=BROKEN_OFF)
def turns_the_mapping_too_early(patch: Patch) -> None:
    """The mapping names the target before the guest was made there."""
    replan(patch, MOVES, earlier("commit", before="spawn_target"))


@bug("let_go_first", mix=CALM)
def gives_a_volume_away_before_the_guest_has_let_go(patch: Patch) -> None:
    """A swap deletes the old volume's attachment while the guest still writes to it."""
    replan(patch, (Goal.SWAP,), earlier("delete_attachment", before="copy_volume"))


@bug("copies_whole", mix=CALM, levels=(Level.LOOP,))
def swaps_a_volume_for_an_empty_one(patch: Patch) -> None:
    """The other volume takes the place of the old one, and nothing is copied to it."""
    patch.setattr(Counting, "copy", lambda _self, _original, _copy: None)


@bug("copies_whole", mix=CALM, levels=(Level.INNER,))
def swaps_a_volume_for_an_empty_one_on_the_inner_level(patch: Patch) -> None:
    """The other volume takes the place of the old one, and nothing is copied to it."""

    def connect_only(self: Any, server: str, _volume: str, connection: Any) -> None:
        self.connect_volume(server, connection)

    patch.setattr(Hypervisor, "copy_volume", connect_only)


@bug("destroy_last", mix=CALM)
def destroys_the_target_before_the_source_runs(patch: Patch) -> None:
    """A revert destroys the target's guest before the source has its own back."""
    replan(patch, (Goal.REVERT,), earlier("destroy_target_guest", before="start_source"))


@bug("snapshot_kept", mix=CALM)
def deletes_the_snapshot_before_it_is_used(patch: Patch) -> None:
    """The travelled image goes before a guest was made of it."""
    replan(patch, MOVES, earlier("delete_snapshot", before="spawn_target"))


@bug("no_loss", "disk_travels", mix=CALM, since=5)
def makes_the_guest_of_the_old_image(patch: Patch) -> None:
    """The target's disk is made of the image that the server was created from."""

    def spawn(story: saga.Story) -> Any:
        asked = told.spawn_target(story)
        return attrs.evolve(asked, image=told.server(story).image) if asked.image else asked

    replan(patch, MOVES, altered("spawn_target", run=spawn))


@bug("permit_held", "one_guest", mix=CALM)
def starts_the_guest_under_the_old_permit(patch: Patch) -> None:
    """The target starts the guest by the permit that the source has given back."""

    def spawn(story: saga.Story) -> Any:
        asked = told.spawn_target(story)
        return attrs.evolve(asked, permit=asked.permit - 1)

    replan(patch, MOVES, altered("spawn_target", run=spawn))


@bug("permits_rise", number="16", mix=CALM)
def issues_a_permit_that_is_held(patch: Patch) -> None:
    """The ledger gives the next permit out while the last one is held."""

    def issue(draft: Any, command: root.IssuePermit, _moment: Any) -> Any:
        permit = draft.find(Permit, server=command.server)
        number = permit.number + 1 if permit else 1
        return draft.put(Permit(server=command.server, number=number, holder=command.holder))

    new_effect(patch, root.IssuePermit, issue)
    replan(patch, MOVES, without("return_permit"))


@bug("healthy_succeeds", mix=CALM)
def moves_nothing_at_all(patch: Patch) -> None:
    """A move that skips a step is refused at the next one, and undone each time, without a trace."""
    replan(patch, MOVES, without("target_migrated"))


@bug("parked_truly", mix=CALM)
def asks_for_what_is_refused_for_ever(patch: Patch) -> None:
    """A revert asks for the next permit without having given the last one back, and has no way back itself."""
    replan(patch, (Goal.REVERT,), without("return_permit"))


@bug("undo_whole", "one_host", number="23", mix=LOST, levels=(Level.LOOP,), since=32)
def reads_a_deadline_as_nothing_happened(patch: Patch) -> None:
    """A step that was not answered in time is given up, and not undone: it did not happen, did it."""
    patch.setattr("actors.kernel.conversation.PATIENCE_S", 0.0)

    def but_late(to_undo: ToUndo, plan: Plan, journal: Journal) -> Iterator[Entry]:
        late = {
            (each.step, each.attempt)
            for each in journal.entries
            if each.kind is Kind.REFUSED and decode_body(each.payload, ErrorReport).code == CallTimeout.code
        }
        return (entry for entry in to_undo(plan, journal) if (entry.step, entry.attempt) not in late)

    _undo_as(patch, but_late)
