"""Resize and cold migrate: a server goes to another host, and waits there for confirm or revert.

It goes to another cell, or stays in its own: the choice of its host decides, anew in each attempt.  What differs is
the record: one that crosses is copied, sealed and hidden, and the mapping turns; of one that stays there is one record,
in which one transaction of its cell (`finish_inside`) makes the other host its own, and notes what a revert gives back.
All that guests, permits, disks, volumes, ports, places and specs go through is the same.

Read the steps top down; each stands beside its undo.  Source is the cell and host that the server leaves, target the
ones that it goes to.  `row` is the row of Nova's tables that a step serves; docs/reference/steps.md says what each row
is, and what the world holds after each step.  What a step reads off the journal is in `resize_story` (`told`) when it
is of a resize alone, in `parties` when other plans share it.
"""

from protocol.messages import hosts, inside, moves, partners, root
from protocol.messages.capacity import AllocateHost, FreeHost
from protocol.messages.servers import ServerBundle
from protocol.moves import parties
from protocol.moves import resize_story as told
from protocol.moves.parties import at_chosen_cell, at_chosen_host, at_home, at_root, chosen
from protocol.saga import Step
from protocol.states import TaskState

ACQUIRE = (
    # Its undo only forbids a late take: the server is let go last, after every receiver has closed (`parties.plan`).
    Step(
        name="take", row="A0", at=at_root(),
        run=lambda story: root.TakeServer(
            server=story.server, conversation=story.conversation, goal=told.goal(story),
            flavor=told.order(story).flavor, host=told.order(story).host,
        ),
    ),
    # Whoever is to give the server away must be there; asked before anything is written, so that nothing was begun.
    Step(
        name="prove_source", row="A0", at=told.at_holder, is_read=True, when=told.has_live_holder,
        patience_s=parties.DOOR_PROOF_S, unanswered=parties.host_down(told.at_holder),
        run=lambda story: hosts.ShowGuest(server=story.server),
    ),
    Step(
        name="begin_move", row="A0", at=at_home,
        run=lambda story: moves.BeginMove(
            server=story.server, goal=told.goal(story), action=parties.action(story), flavor=told.order(story).flavor,
            origin=told.order(story).origin, host=told.order(story).host, is_host_fenced=told.is_holder_fenced(story),
        ),
        undo=lambda story: moves.AbortMove(server=story.server, action=parties.action(story), cause=story.cause),
    ),
    Step(
        name="hold_source", row="A1", at=at_home,
        run=lambda story: moves.HoldSource(
            server=story.server, migration=told.migration(story), goal=told.goal(story), source=parties.home(story),
            new_flavor=told.flavor(story),
        ),
        undo=lambda story: moves.ReturnSource(server=story.server, migration=told.migration(story)),
    ),
)  # fmt: skip

# One choice of target.  A refusal in here undoes only this attempt; the next one asks for room anew.  Nothing of the
# server's life is touched yet, which is why trying again costs its user nothing.
ATTEMPT = (
    Step(
        name="choose_target", row="A2", at=at_root(), in_attempt=True, is_read=True,
        run=lambda story: parties.ask_for_room(
            story, told.flavor(story), is_volume_backed=not told.is_image_backed(story),
            bandwidth_kbps=told.bandwidth(story),
        ),
        objection=parties.nothing_to_choose,
    ),
    # What was chosen from may have changed: who is first at the root has the place, and the other tries elsewhere.
    parties.take_place("A2"),
    Step(
        name="allocate_target", row="A2", at=at_chosen_cell, in_attempt=True,
        run=lambda story: AllocateHost(
            server=story.server, consumer=story.server, host=chosen(story).host, flavor=told.flavor(story),
            is_volume_backed=not told.is_image_backed(story), bandwidth_kbps=told.bandwidth(story),
        ),
        undo=lambda story: FreeHost(server=story.server, consumer=story.server, host=chosen(story).host),
    ),
    # It also gives the record as it is now: what the next step copies.
    Step(
        name="mark_cross_cell", row="A3", at=at_home, in_attempt=True, when=told.crosses,
        run=lambda story: moves.MarkCrossCell(server=story.server, migration=told.migration(story)),
    ),
    Step(
        name="copy_records", row="A5", at=at_chosen_cell, in_attempt=True, when=told.crosses,
        run=lambda story: moves.CopyServer(
            bundle=story.reply("mark_cross_cell", ServerBundle), server=story.server, migration=told.migration(story),
            generation=parties.taken(story).mapping.generation + 1,
        ),
        undo=lambda story: moves.DestroyServer(server=story.server, migration=told.migration(story)),
    ),
    Step(
        name="bind_ports", row="A6", at=at_root("network"), in_attempt=True,
        run=lambda story: partners.BindPorts(server=story.server, host=chosen(story).host),
        undo=lambda story: partners.UnbindPorts(server=story.server, host=chosen(story).host),
    ),
    Step(
        name="reserve_attachments", row="A7", at=at_root("volume"), in_attempt=True, when=told.has_volumes,
        run=told.reserve_attachments,
        undo=lambda story: partners.DeleteAttachments(
            server=story.server, attachments=tuple(told.new_attachments(story).values())
        ),
    ),
    Step(
        name="record_target_attachments", row="A7", at=at_chosen_cell, in_attempt=True, when=told.crosses_with_volumes,
        run=lambda story: moves.RecordAttachments(server=story.server, attachments=told.new_attachments(story)),
    ),
    # After the copy, for the claim is written into it; and the proof last before the claim, to be as fresh as can be.
    # A read, so that a host that does not answer costs this attempt and no more: nothing waits for it.
    Step(
        name="prove_target", row="A8", at=at_chosen_host, in_attempt=True, is_read=True, patience_s=parties.PROOF_S,
        run=lambda story: hosts.ProveTarget(
            server=story.server, volumes=parties.places(told.begun(story).block_devices, told.new_attachments(story))
        ),
    ),
    Step(
        name="claim_target", row="A8, A9", at=at_chosen_cell, in_attempt=True, when=told.crosses,
        run=lambda story: moves.ClaimTarget(
            server=story.server, migration=told.migration(story), cell=at_chosen_cell(story).cell,
            host=chosen(story).host, new_flavor=told.flavor(story), action=parties.action(story),
        ),
        undo=lambda story: moves.ReleaseTarget(server=story.server, host=chosen(story).host),
    ),
    Step(
        name="claim_inside", row="A8, A9", at=at_home, in_attempt=True, when=told.stays,
        run=lambda story: inside.ClaimInside(
            server=story.server, migration=told.migration(story), host=chosen(story).host,
            action=parties.action(story),
        ),
        undo=lambda story: moves.ReleaseTarget(server=story.server, host=chosen(story).host),
    ),
)  # fmt: skip

# The server goes down.  The disk travels as an image that is checked before anything of the source is let go; the
# new empty attachments stand before the connected ones go, so that no volume is ever free for others; and traffic
# turns to the target only when no guest is left that could answer it.
LEAVE = (
    Step(
        name="note_target", row="A9", at=at_home,
        run=lambda story: moves.NoteTarget(
            server=story.server, migration=told.migration(story), cell=at_chosen_cell(story).cell,
            host=chosen(story).host,
        ),
        undo=lambda story: moves.ForgetTarget(server=story.server, migration=told.migration(story)),
    ),
    Step(
        name="prepare_source", row="A10", at=at_home,
        run=lambda story: moves.PrepareSource(
            server=story.server, migration=told.migration(story), new_flavor=told.flavor(story),
            action=parties.action(story),
        ),
        undo=lambda story: moves.UnprepareSource(server=story.server, migration=told.migration(story)),
    ),
    Step(
        name="create_snapshot", row="A10", at=at_root("image"), when=told.is_image_backed,
        run=lambda story: partners.CreateSnapshot(
            image=told.image(story), name=f"{told.server(story).name}-resize-temp", server=story.server
        ),
        undo=lambda story: partners.DeleteImage(image=told.image(story), server=story.server),
    ),
    Step(
        name="stop_guest", row="A11", at=told.at_source_host,
        run=lambda story: hosts.StopGuest(server=story.server, permit=parties.held_permit(story)),
        undo=told.resume_source,
    ),
    Step(
        name="return_permit", row="A11", at=at_root(),
        run=lambda story: root.ReturnPermit(
            server=story.server, number=parties.held_permit(story), holder=told.source_holder(story)
        ),
        undo=lambda story: root.RestorePermit(server=story.server, holder=told.source_holder(story)),
    ),
    Step(
        name="snapshot", row="A11", at=told.at_source_host, when=told.is_image_backed,
        run=lambda story: hosts.SnapshotGuest(server=story.server, image=told.image(story)),
    ),
    Step(name="verify_snapshot", row="A11", at=at_root("image"), when=told.is_image_backed, run=told.verify_snapshot),
    Step(
        name="detach_guest", row="A11", at=told.at_source_host,
        run=lambda story: hosts.DetachGuest(server=story.server),
        undo=told.reattach_source,
    ),
    Step(
        name="empty_attachments", row="A11", at=at_root("volume"), when=told.has_volumes,
        run=lambda story: partners.EmptyAttachments(server=story.server, swaps=told.swaps(story)),
        undo=lambda story: partners.RefillAttachments(
            server=story.server, swaps=told.swaps(story), host=told.source_holder(story)
        ),
    ),
    Step(
        name="record_source_attachments", row="A11", at=at_home, when=told.has_volumes,
        run=lambda story: moves.RecordAttachments(server=story.server, attachments=told.empty_attachments(story)),
        undo=lambda story: moves.RecordAttachments(server=story.server, attachments=told.old_attachments(story)),
    ),
    Step(
        name="activate_target_bindings", row="A11", at=at_root("network"),
        run=lambda story: partners.ActivateBindings(server=story.server, host=chosen(story).host),
        undo=lambda story: partners.ActivateBindings(server=story.server, host=told.source(story)),
    ),
    Step(
        name="mark_migrated", row="A11", at=at_home,
        run=lambda story: moves.MarkMigrated(
            server=story.server, migration=told.migration(story), action=parties.action(story)
        ),
        undo=lambda story: moves.UnmarkMigrated(
            server=story.server, migration=told.migration(story), power_state=told.server(story).power_state
        ),
    ),
)  # fmt: skip

ARRIVE = (
    Step(
        name="target_migrated", row="A12", at=at_chosen_cell, when=told.crosses,
        run=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.RESIZE_PREP, task_state=TaskState.RESIZE_MIGRATED
        ),
    ),
    Step(
        name="begin_finish", row="A13", at=at_chosen_cell,
        run=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.RESIZE_MIGRATED, task_state=TaskState.RESIZE_FINISH
        ),
        undo=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.RESIZE_FINISH, task_state=TaskState.RESIZE_MIGRATED
        ),
    ),
    Step(
        name="connect_target", row="A13", at=at_root("volume"), when=told.has_volumes,
        run=lambda story: partners.ConnectAttachments(
            server=story.server, attachments=tuple(told.new_attachments(story).values()), host=told.target_holder(story)
        ),
        undo=lambda story: partners.DisconnectAttachments(
            server=story.server, attachments=tuple(told.new_attachments(story).values())
        ),
    ),
    # The next permit can only be issued because the last one came back from a guest that is durably stopped.
    Step(
        name="issue_permit", row="A13", at=at_root(),
        run=lambda story: root.IssuePermit(server=story.server, holder=told.target_holder(story)),
        undo=lambda story: root.WithdrawPermit(server=story.server, holder=told.target_holder(story)),
    ),
    # From its success users may be writing at the target: whatever comes, there is no way back but theirs (revert).
    Step(
        name="spawn_target", row="A13", at=at_chosen_host, settles=True,
        run=told.spawn_target,
        undo=lambda story: hosts.DestroyGuest(server=story.server),
    ),
)  # fmt: skip

# Seal, apply, commit: the source's record can no longer change when it is read for the last time, the target's is
# complete before it becomes the server, and the mapping decides, alone and at once, which of the two that is.
COMMIT = (
    Step(
        name="seal_source", row="A14", at=at_home, when=told.crosses,
        run=lambda story: moves.SealServer(server=story.server),
    ),
    Step(
        name="finish_target", row="A13", at=at_chosen_cell, when=told.crosses,
        run=lambda story: moves.FinishTarget(
            server=story.server, migration=told.migration(story), sealed=story.reply("seal_source", ServerBundle),
            host=chosen(story).host, power_state=story.reply("spawn_target", hosts.GuestReport).power_state,
            action=parties.action(story),
        ),
    ),
    Step(
        name="commit", row="A14", at=at_root(), when=told.crosses,
        run=lambda story: root.CommitHome(
            server=story.server, conversation=story.conversation, source=parties.home(story),
            target=at_chosen_cell(story).cell, generation=parties.taken(story).mapping.generation,
        ),
    ),
    # Of a server that stays there is one record, so one transaction of its cell is all of it.
    Step(
        name="finish_inside", row="A13, A14", at=at_home, when=told.stays,
        run=lambda story: inside.FinishInside(
            server=story.server, migration=told.migration(story), host=chosen(story).host,
            power_state=story.reply("spawn_target", hosts.GuestReport).power_state,
            attachments=told.new_attachments(story), action=parties.action(story),
        ),
    ),
)  # fmt: skip

TIDY = (
    Step(
        name="show_target", row="A14", at=at_chosen_cell, when=told.crosses,
        run=lambda story: moves.ShowCopy(server=story.server),
    ),
    Step(
        name="hide_source", row="A14", at=at_home, when=told.crosses,
        run=lambda story: moves.HideSource(
            server=story.server, action=parties.action(story), target_host=chosen(story).host
        ),
    ),
    Step(
        name="delete_snapshot", row="A13", at=at_root("image"), when=told.is_image_backed,
        run=lambda story: partners.DeleteImage(image=told.image(story), server=story.server),
    ),
    Step(
        name="save_spec", row="A15", at=at_root(),
        run=lambda story: root.SaveSpec(server=story.server, spec=told.new_spec(story)),
    ),
)  # fmt: skip

RESIZE = parties.plan("resize", (*ACQUIRE, *ATTEMPT, *LEAVE, *ARRIVE, *COMMIT, *TIDY))
