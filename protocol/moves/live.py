"""Live migration: a server goes to another host of its cell while it runs, and is stopped for a hand-over only.

Its root disk travels first, while the guest goes on; what the guest writes meanwhile is small, and goes with its
memory.  Then the guest is stopped where it is, and its host gives the memory and the permit away, so that it can go on
in one place only.  Volumes are let go by the one attachment before the other has them.  The target goes on from the
memory: nothing is started, and the guest has missed no more than the hand-over.  Until it has, whatever fails has it go
on at the source, from the same memory; from then on it only goes forward, and what the source still has is owed.
"""

from typing import Any, Final

import attrs

from protocol.messages import hosts, imaging, inside, live, moves, partners, root
from protocol.messages.capacity import AllocateHost, FreeHost
from protocol.messages.orders import LiveMigrateServer
from protocol.moves import parties
from protocol.moves import resize_story as told
from protocol.moves.parties import at_chosen_host, at_home, at_root, brief, chosen
from protocol.records import Permit, RequestSpec
from protocol.requests import Request
from protocol.saga import Step, Story
from protocol.states import Goal


def _order(story: Story) -> LiveMigrateServer:
    order = brief(story).order
    assert isinstance(order, LiveMigrateServer)
    return order


def _old_attachments(story: Story) -> tuple[str, ...]:
    return tuple(told.old_attachments(story).values())


def _new_attachments(story: Story) -> tuple[str, ...]:
    return tuple(told.new_attachments(story).values())


def _verify(story: Story) -> partners.VerifyImage:
    taken = story.reply("capture_disk", hosts.SnapshotTaken)
    return partners.VerifyImage(
        image=told.image(story), server=story.server, size_bytes=taken.size_bytes, sha256=taken.sha256
    )


def _receive_disk(story: Story) -> live.ReceiveDisk:
    record = told.server(story)
    return live.ReceiveDisk(
        server=story.server, name=record.name, flavor=record.flavor, image=told.image(story),
        volumes=parties.places(told.begun(story).block_devices, told.new_attachments(story)),
        permit=parties.held_permit(story),
    )  # fmt: skip


def _receive_guest(story: Story) -> live.ReceiveGuest:
    record = told.server(story)
    return live.ReceiveGuest(
        server=story.server, name=record.name, flavor=record.flavor,
        image=told.image(story) if record.image else "",
        volumes=parties.places(told.begun(story).block_devices, told.new_attachments(story)),
        permit=story.reply("issue_permit", Permit).number, memory=story.reply("save_guest", live.SavedGuest),
    )  # fmt: skip


def _restore(story: Story) -> Request[Any]:
    again = story.find("return_permit", Permit, is_undo=True)
    return live.RestoreGuest(server=story.server, permit=again.number if again else parties.held_permit(story))


def _new_spec(story: Story) -> RequestSpec | None:
    spec = parties.taken(story).spec
    return attrs.evolve(spec, availability_zone=chosen(story).availability_zone) if spec else None


ACQUIRE: Final = (
    Step(
        name="take", row="-", at=at_root(),
        run=lambda story: root.TakeServer(
            server=story.server, conversation=story.conversation, goal=Goal.LIVE_MIGRATE, host=_order(story).host
        ),
    ),
    Step(
        name="prove_source", row="-", at=told.at_holder, is_read=True, when=told.has_live_holder,
        patience_s=parties.DOOR_PROOF_S, unanswered=parties.host_down(told.at_holder),
        run=lambda story: hosts.ShowGuest(server=story.server),
    ),
    Step(
        name="begin_move", row="-", at=at_home,
        run=lambda story: live.BeginLive(
            server=story.server, action=parties.action(story), origin=_order(story).origin, host=_order(story).host,
            is_host_fenced=told.is_holder_fenced(story),
        ),
        undo=lambda story: moves.AbortMove(server=story.server, action=parties.action(story), cause=story.cause),
    ),
    Step(
        name="hold_source", row="-", at=at_home,
        run=lambda story: moves.HoldSource(
            server=story.server, migration=told.migration(story), goal=Goal.LIVE_MIGRATE, source=parties.home(story),
            new_flavor=told.server(story).flavor,
        ),
        undo=lambda story: moves.ReturnSource(server=story.server, migration=told.migration(story)),
    ),
)  # fmt: skip
ATTEMPT: Final = (
    Step(
        name="choose_target", row="-", at=at_root(), in_attempt=True, is_read=True,
        run=lambda story: parties.find_room(
            told.server(story).flavor, is_volume_backed=not told.is_image_backed(story),
            bandwidth_kbps=told.bandwidth(story),
        ),
        objection=parties.nothing_to_choose,
    ),
    parties.take_place("-"),
    Step(
        name="allocate_target", row="-", at=at_home, in_attempt=True,
        run=lambda story: AllocateHost(
            server=story.server, consumer=story.server, host=chosen(story).host, flavor=told.server(story).flavor,
            is_volume_backed=not told.is_image_backed(story), bandwidth_kbps=told.bandwidth(story),
        ),
        undo=lambda story: FreeHost(server=story.server, consumer=story.server, host=chosen(story).host),
    ),
    Step(
        name="bind_ports", row="-", at=at_root("network"), in_attempt=True,
        run=lambda story: partners.BindPorts(server=story.server, host=chosen(story).host),
        undo=lambda story: partners.UnbindPorts(server=story.server, host=chosen(story).host),
    ),
    Step(
        name="reserve_attachments", row="-", at=at_root("volume"), in_attempt=True, when=told.has_volumes,
        run=told.reserve_attachments,
        undo=lambda story: partners.DeleteAttachments(server=story.server, attachments=_new_attachments(story)),
    ),
    Step(
        name="prove_target", row="-", at=at_chosen_host, in_attempt=True, is_read=True, patience_s=parties.PROOF_S,
        run=lambda story: hosts.ProveTarget(
            server=story.server, volumes=parties.places(told.begun(story).block_devices, told.new_attachments(story))
        ),
    ),
    Step(
        name="claim_live", row="-", at=at_home, in_attempt=True,
        run=lambda story: live.ClaimLive(
            server=story.server, migration=told.migration(story), cell=parties.home(story), host=chosen(story).host,
            action=parties.action(story),
        ),
        undo=lambda story: moves.ReleaseTarget(server=story.server, host=chosen(story).host),
    ),
)  # fmt: skip
# The guest runs on: this may take as long as it likes.
COPY: Final = (
    Step(
        name="create_snapshot", row="-", at=at_root("image"), when=told.is_image_backed,
        run=lambda story: partners.CreateSnapshot(
            image=told.image(story), name=f"{told.server(story).name}-live-temp", server=story.server
        ),
        undo=lambda story: partners.DeleteImage(image=told.image(story), server=story.server),
    ),
    Step(
        name="capture_disk", row="-", at=told.at_source_host, when=told.is_image_backed,
        run=lambda story: imaging.CaptureDisk(server=story.server, image=told.image(story)),
    ),
    Step(name="verify_snapshot", row="-", at=at_root("image"), when=told.is_image_backed, run=_verify),
    Step(
        name="receive_disk", row="-", at=at_chosen_host, when=told.is_image_backed, run=_receive_disk,
        undo=lambda story: hosts.DestroyGuest(server=story.server),
    ),
)  # fmt: skip
HAND_OVER: Final = (
    Step(
        name="save_guest", row="-", at=told.at_source_host,
        run=lambda story: live.SaveGuest(server=story.server, permit=parties.held_permit(story)),
        undo=_restore,
    ),
    Step(
        name="return_permit", row="-", at=at_root(),
        run=lambda story: root.ReturnPermit(
            server=story.server, number=parties.held_permit(story), holder=told.source_holder(story)
        ),
        undo=lambda story: root.RestorePermit(server=story.server, holder=told.source_holder(story)),
    ),
    Step(
        name="disconnect_source", row="-", at=at_root("volume"), when=told.has_volumes,
        run=lambda story: partners.DisconnectAttachments(server=story.server, attachments=_old_attachments(story)),
        undo=lambda story: partners.ConnectAttachments(
            server=story.server, attachments=_old_attachments(story), host=told.source_holder(story)
        ),
    ),
    Step(
        name="connect_target", row="-", at=at_root("volume"), when=told.has_volumes,
        run=lambda story: partners.ConnectAttachments(
            server=story.server, attachments=_new_attachments(story), host=told.target_holder(story)
        ),
        undo=lambda story: partners.DisconnectAttachments(
            server=story.server, attachments=_new_attachments(story)
        ),
    ),
    Step(
        name="activate_target_bindings", row="-", at=at_root("network"),
        run=lambda story: partners.ActivateBindings(server=story.server, host=chosen(story).host),
        undo=lambda story: partners.ActivateBindings(server=story.server, host=told.source(story)),
    ),
    Step(
        name="issue_permit", row="-", at=at_root(),
        run=lambda story: root.IssuePermit(server=story.server, holder=told.target_holder(story)),
        undo=lambda story: root.WithdrawPermit(server=story.server, holder=told.target_holder(story)),
    ),
    Step(
        name="receive_guest", row="-", at=at_chosen_host, settles=True, run=_receive_guest,
        undo=lambda story: hosts.DestroyGuest(server=story.server),
    ),
)  # fmt: skip
LEAVE: Final = (
    Step(
        name="finish_live", row="-", at=at_home,
        run=lambda story: live.FinishLive(
            server=story.server, migration=told.migration(story), host=chosen(story).host,
            power_state=story.reply("receive_guest", hosts.GuestReport).power_state,
            attachments=told.new_attachments(story), action=parties.action(story),
        ),
    ),
    Step(
        name="delete_snapshot", row="-", at=at_root("image"), when=told.is_image_backed,
        run=lambda story: partners.DeleteImage(image=told.image(story), server=story.server),
    ),
    Step(
        name="save_spec", row="-", at=at_root(),
        run=lambda story: root.SaveSpec(server=story.server, spec=_new_spec(story)),
    ),
    parties.owe("-", told.at_source_host),
    Step(
        name="unbind_source", row="-", at=at_root("network"),
        run=lambda story: partners.UnbindPorts(server=story.server, host=told.source(story)),
    ),
    Step(
        name="delete_source_attachments", row="-", at=at_root("volume"), when=told.has_volumes,
        run=lambda story: partners.DeleteAttachments(server=story.server, attachments=_old_attachments(story)),
    ),
    Step(
        name="destroy_source_guest", row="-", at=told.at_source_host,
        run=lambda story: hosts.DestroyGuest(server=story.server),
    ),
    Step(
        name="leave_source", row="-", at=at_home,
        run=lambda story: inside.LeaveHost(server=story.server, host=told.source(story)),
    ),
)  # fmt: skip

LIVE_MIGRATE: Final = parties.plan("live_migrate", (*ACQUIRE, *ATTEMPT, *COPY, *HAND_OVER, *LEAVE))
