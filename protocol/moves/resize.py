"""Resize and cold migrate: a server goes to a host in another cell, and waits there for confirm or revert.

Read the steps top down; each stands beside its undo.  `row` is the row of the reference table that a step serves.
Source is the cell and host that the server leaves, target the ones that it goes to.
"""

from typing import Any

from protocol.cell_path import Address, host_mailbox
from protocol.ids import derived_id
from protocol.messages import hosts, moves, partners, root
from protocol.messages.capacity import AllocateHost, FreeHost
from protocol.messages.orders import MoveServer
from protocol.messages.partners import NewAttachment, Swap
from protocol.messages.servers import ServerBundle
from protocol.moves import parties
from protocol.moves.parties import at_chosen_cell, at_chosen_host, at_home, at_root, brief, chosen
from protocol.records import Flavor, Permit, RequestSpec, Server
from protocol.requests import Request
from protocol.saga import Plan, Step, Story
from protocol.states import Goal, PowerState, TaskState, VmState


def order(story: Story) -> MoveServer:
    """Give what the user asked for."""
    asked = brief(story).order
    assert isinstance(asked, MoveServer)
    return asked


def goal(story: Story) -> Goal:
    """Tell a resize from a cold migration."""
    return Goal.MIGRATE if order(story).flavor is None else Goal.RESIZE


def at_source_host(story: Story) -> Address:
    """Address the host that the server leaves."""
    return Address(parties.home(story), host_mailbox(source(story)))


def begun(story: Story) -> ServerBundle:
    """Give the server's record as it was when the move began."""
    return story.reply("begin_move", ServerBundle)


def server(story: Story) -> Server:
    """Give the server as it was when the move began."""
    return begun(story).server


def source(story: Story) -> str:
    """Name the host that the server leaves."""
    host = server(story).host
    assert host is not None
    return host


def flavor(story: Story) -> Flavor:
    """Give the flavor that the server is to have."""
    return order(story).flavor or server(story).flavor


def is_image_backed(story: Story) -> bool:
    """Tell whether the root disk is the host's own, so that it must travel as an image."""
    return bool(server(story).image)


def has_volumes(story: Story) -> bool:
    """Tell whether there are attachments to care for."""
    return parties.has_volumes(begun(story))


def migration(story: Story) -> str:
    """Name the migration's record: one for the whole conversation, in both cells."""
    return story.conversation


def action(story: Story) -> str:
    """Name the user's action in the server's history."""
    return derived_id(story.conversation, "action")


def image(story: Story) -> str:
    """Name the image that the root disk travels as."""
    return derived_id(story.conversation, "snapshot")


def new_attachments(story: Story) -> dict[str, str]:
    """Name the target's attachments, by volume."""
    return {device.volume: story.id_of("target", device.volume) for device in begun(story).block_devices}


def old_attachments(story: Story) -> dict[str, str]:
    """Name the attachments with which the source's record began, by volume."""
    return {device.volume: device.attachment for device in begun(story).block_devices}


def empty_attachments(story: Story) -> dict[str, str]:
    """Name the empty attachments that keep the volumes for the source while the server is away."""
    empties = ((device.volume, "kept", device.volume) for device in begun(story).block_devices)
    return {volume: derived_id(story.conversation, *parts) for volume, *parts in empties}


def swaps(story: Story) -> tuple[Swap, ...]:
    """Pair each of the source's connected attachments with the empty one that takes its place."""
    return tuple(
        Swap(
            volume=device.volume,
            device=device.device,
            connected=device.attachment,
            empty=empty_attachments(story)[device.volume],
        )
        for device in begun(story).block_devices
    )


def _reserve(story: Story) -> partners.ReserveAttachments:
    ids = new_attachments(story)
    return partners.ReserveAttachments(
        server=story.server,
        attachments=tuple(
            NewAttachment(id=ids[device.volume], volume=device.volume, device=device.device)
            for device in begun(story).block_devices
        ),
    )


def _resume(story: Story) -> Request[Any]:
    # Which permit: the ledger's answer to taking the return back, or the old one if it never was returned.
    again = story.find("return_permit", Permit, is_undo=True)
    stopped = story.find("stop_guest", hosts.GuestReport)
    former = stopped.power_state if stopped else server(story).power_state
    return hosts.ResumeGuest(
        server=story.server,
        permit=again.number if again else parties.held_permit(story),
        is_powered_on=former is PowerState.RUNNING,
    )


def _reattach(story: Story) -> hosts.ReattachGuest:
    record = server(story)
    return hosts.ReattachGuest(
        server=story.server,
        name=record.name,
        flavor=record.flavor,
        image=record.image,
        volumes=parties.places(begun(story).block_devices),
        permit=parties.held_permit(story),
        holds_permit=False,
        is_powered_on=False,
    )


def _spawn(story: Story) -> hosts.SpawnGuest:
    record = server(story)
    return hosts.SpawnGuest(
        server=story.server,
        name=record.name,
        flavor=flavor(story),
        image=image(story) if record.image else "",
        volumes=parties.places(begun(story).block_devices, new_attachments(story)),
        permit=story.reply("issue_permit", Permit).number,
        is_powered_on=record.vm_state is VmState.ACTIVE,
    )


def _verify(story: Story) -> partners.VerifyImage:
    taken = story.reply("snapshot", hosts.SnapshotTaken)
    return partners.VerifyImage(
        image=image(story), server=story.server, size_bytes=taken.size_bytes, sha256=taken.sha256
    )


def _spec(story: Story) -> RequestSpec:
    return RequestSpec(
        server=story.server, flavor=flavor(story), availability_zone=chosen(story).availability_zone
    )


def _target_holder(story: Story) -> str:
    return str(at_chosen_host(story))


def _source_holder(story: Story) -> str:
    return str(at_source_host(story))


ACQUIRE = (
    Step(
        name="take", row="A0", at=at_root(),
        run=lambda story: root.TakeServer(server=story.server, conversation=story.conversation, goal=goal(story)),
        undo=lambda story: root.ReleaseServer(server=story.server, conversation=story.conversation),
    ),
    Step(
        name="begin_move", row="A0", at=at_home,
        run=lambda story: moves.BeginMove(
            server=story.server, goal=goal(story), action=action(story), flavor=order(story).flavor,
            origin=order(story).origin,
        ),
        undo=lambda story: moves.AbortMove(server=story.server, action=action(story), cause=story.cause),
    ),
    Step(
        name="hold_source", row="A1", at=at_home,
        run=lambda story: moves.HoldSource(
            server=story.server, migration=migration(story), goal=goal(story), source=parties.home(story),
            new_flavor=flavor(story),
        ),
        undo=lambda story: moves.ReturnSource(server=story.server, migration=migration(story)),
    ),
)  # fmt: skip

# One choice of target.  A refusal in here undoes only this attempt; the next one asks for room anew.  Nothing of the
# server's life is touched yet, which is why trying again costs its user nothing.
ATTEMPT = (
    Step(
        name="choose_target", row="A2", at=at_root(), in_attempt=True, is_read=True,
        run=lambda story: parties.find_room(flavor(story), is_volume_backed=not is_image_backed(story)),
        objection=parties.nothing_to_choose,
    ),
    Step(
        name="allocate_target", row="A2", at=at_chosen_cell, in_attempt=True,
        run=lambda story: AllocateHost(
            server=story.server, consumer=story.server, host=chosen(story).host, flavor=flavor(story),
            is_volume_backed=not is_image_backed(story),
        ),
        undo=lambda story: FreeHost(server=story.server, consumer=story.server, host=chosen(story).host),
    ),
    Step(
        name="mark_cross_cell", row="A3", at=at_home, in_attempt=True,
        run=lambda story: moves.MarkCrossCell(server=story.server, migration=migration(story)),
    ),
    Step(
        name="copy_records", row="A5", at=at_chosen_cell, in_attempt=True,
        run=lambda story: moves.CopyServer(
            bundle=story.reply("mark_cross_cell", ServerBundle), server=story.server, migration=migration(story),
            generation=parties.taken(story).mapping.generation + 1,
        ),
        undo=lambda story: moves.DestroyServer(server=story.server, migration=migration(story)),
    ),
    Step(
        name="bind_ports", row="A6", at=at_root("network"), in_attempt=True,
        run=lambda story: partners.BindPorts(server=story.server, host=chosen(story).host),
        undo=lambda story: partners.UnbindPorts(server=story.server, host=chosen(story).host),
    ),
    Step(
        name="reserve_attachments", row="A7", at=at_root("volume"), in_attempt=True, when=has_volumes,
        run=_reserve,
        undo=lambda story: partners.DeleteAttachments(
            server=story.server, attachments=tuple(new_attachments(story).values())
        ),
    ),
    Step(
        name="record_target_attachments", row="A7", at=at_chosen_cell, in_attempt=True, when=has_volumes,
        run=lambda story: moves.RecordAttachments(server=story.server, attachments=new_attachments(story)),
    ),
    Step(
        name="prove_target", row="A8", at=at_chosen_host, in_attempt=True,
        run=lambda story: hosts.ProveTarget(
            server=story.server, volumes=parties.places(begun(story).block_devices, new_attachments(story))
        ),
    ),
    Step(
        name="claim_target", row="A8, A9", at=at_chosen_cell, in_attempt=True,
        run=lambda story: moves.ClaimTarget(
            server=story.server, migration=migration(story), cell=at_chosen_cell(story).cell,
            host=chosen(story).host, new_flavor=flavor(story), action=action(story),
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
            server=story.server, migration=migration(story), cell=at_chosen_cell(story).cell, host=chosen(story).host
        ),
        undo=lambda story: moves.ForgetTarget(server=story.server, migration=migration(story)),
    ),
    Step(
        name="prepare_source", row="A10", at=at_home,
        run=lambda story: moves.PrepareSource(
            server=story.server, migration=migration(story), new_flavor=flavor(story), action=action(story)
        ),
        undo=lambda story: moves.UnprepareSource(server=story.server, migration=migration(story)),
    ),
    Step(
        name="create_snapshot", row="A10", at=at_root("image"), when=is_image_backed,
        run=lambda story: partners.CreateSnapshot(
            image=image(story), name=f"{server(story).name}-resize-temp", server=story.server
        ),
        undo=lambda story: partners.DeleteImage(image=image(story), server=story.server),
    ),
    Step(
        name="stop_guest", row="A11", at=at_source_host,
        run=lambda story: hosts.StopGuest(server=story.server, permit=parties.held_permit(story)),
        undo=_resume,
    ),
    Step(
        name="return_permit", row="A11", at=at_root(),
        run=lambda story: root.ReturnPermit(
            server=story.server, number=parties.held_permit(story), holder=_source_holder(story)
        ),
        undo=lambda story: root.RestorePermit(server=story.server, holder=_source_holder(story)),
    ),
    Step(
        name="snapshot", row="A11", at=at_source_host, when=is_image_backed,
        run=lambda story: hosts.SnapshotGuest(server=story.server, image=image(story)),
    ),
    Step(name="verify_snapshot", row="A11", at=at_root("image"), when=is_image_backed, run=_verify),
    Step(
        name="detach_guest", row="A11", at=at_source_host,
        run=lambda story: hosts.DetachGuest(server=story.server),
        undo=_reattach,
    ),
    Step(
        name="empty_attachments", row="A11", at=at_root("volume"), when=has_volumes,
        run=lambda story: partners.EmptyAttachments(server=story.server, swaps=swaps(story)),
        undo=lambda story: partners.RefillAttachments(
            server=story.server, swaps=swaps(story), host=_source_holder(story)
        ),
    ),
    Step(
        name="record_source_attachments", row="A11", at=at_home, when=has_volumes,
        run=lambda story: moves.RecordAttachments(server=story.server, attachments=empty_attachments(story)),
        undo=lambda story: moves.RecordAttachments(server=story.server, attachments=old_attachments(story)),
    ),
    Step(
        name="activate_target_bindings", row="A11", at=at_root("network"),
        run=lambda story: partners.ActivateBindings(server=story.server, host=chosen(story).host),
        undo=lambda story: partners.ActivateBindings(server=story.server, host=source(story)),
    ),
    Step(
        name="mark_migrated", row="A11", at=at_home,
        run=lambda story: moves.MarkMigrated(
            server=story.server, migration=migration(story), action=action(story)
        ),
        undo=lambda story: moves.UnmarkMigrated(
            server=story.server, migration=migration(story), power_state=server(story).power_state
        ),
    ),
)  # fmt: skip

ARRIVE = (
    Step(
        name="target_migrated", row="A12", at=at_chosen_cell,
        run=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.RESIZE_PREP, task_state=TaskState.RESIZE_MIGRATED
        ),
    ),
    Step(
        name="begin_finish", row="A13", at=at_chosen_cell,
        run=lambda story: moves.SetTask(
            server=story.server, expected=TaskState.RESIZE_MIGRATED, task_state=TaskState.RESIZE_FINISH
        ),
    ),
    Step(
        name="connect_target", row="A13", at=at_root("volume"), when=has_volumes,
        run=lambda story: partners.ConnectAttachments(
            server=story.server, attachments=tuple(new_attachments(story).values()), host=_target_holder(story)
        ),
        undo=lambda story: partners.DisconnectAttachments(
            server=story.server, attachments=tuple(new_attachments(story).values())
        ),
    ),
    # The next permit can only be issued because the last one came back from a guest that is durably stopped.
    Step(
        name="issue_permit", row="A13", at=at_root(),
        run=lambda story: root.IssuePermit(server=story.server, holder=_target_holder(story)),
        undo=lambda story: root.WithdrawPermit(server=story.server, holder=_target_holder(story)),
    ),
    # From its success users may be writing at the target: whatever comes, there is no way back but theirs (revert).
    Step(
        name="spawn_target", row="A13", at=at_chosen_host, settles=True,
        run=_spawn,
        undo=lambda story: hosts.DestroyGuest(server=story.server),
    ),
)  # fmt: skip

# Seal, apply, commit: the source's record can no longer change when it is read for the last time, the target's is
# complete before it becomes the server, and the mapping decides, alone and at once, which of the two that is.
COMMIT = (
    Step(name="seal_source", row="A14", at=at_home, run=lambda story: moves.SealServer(server=story.server)),
    Step(
        name="finish_target", row="A13", at=at_chosen_cell,
        run=lambda story: moves.FinishTarget(
            server=story.server, migration=migration(story), sealed=story.reply("seal_source", ServerBundle),
            host=chosen(story).host, power_state=story.reply("spawn_target", hosts.GuestReport).power_state,
            action=action(story),
        ),
    ),
    Step(
        name="commit", row="A14", at=at_root(),
        run=lambda story: root.CommitHome(
            server=story.server, conversation=story.conversation, source=parties.home(story),
            target=at_chosen_cell(story).cell, generation=parties.taken(story).mapping.generation,
        ),
    ),
)  # fmt: skip

TIDY = (
    Step(name="show_target", row="A14", at=at_chosen_cell, run=lambda story: moves.ShowCopy(server=story.server)),
    Step(
        name="hide_source", row="A14", at=at_home,
        run=lambda story: moves.HideSource(
            server=story.server, action=action(story), target_host=chosen(story).host
        ),
    ),
    Step(
        name="delete_snapshot", row="A13", at=at_root("image"), when=is_image_backed,
        run=lambda story: partners.DeleteImage(image=image(story), server=story.server),
    ),
    Step(
        name="save_spec", row="A15", at=at_root(),
        run=lambda story: root.SaveSpec(server=story.server, spec=_spec(story)),
    ),
    Step(
        name="release", row="A15", at=at_root(),
        run=lambda story: root.ReleaseServer(server=story.server, conversation=story.conversation),
    ),
)  # fmt: skip

RESIZE = Plan(name="resize", version=1, steps=(*ACQUIRE, *ATTEMPT, *LEAVE, *ARRIVE, *COMMIT, *TIDY))
