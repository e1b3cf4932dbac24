"""Revert: the user takes the move back.  The target's guest and disk are destroyed last, when the source runs again.

What the target still has of the server by then is owed: its user has it back already.

Until the target's guest is stopped the revert may be given up with nothing changed; from there it only goes forward.
"""

from typing import Any

import attrs

from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.ids import derived_id
from protocol.messages import hosts, inside, moves, partners, root
from protocol.messages.partners import NewAttachment
from protocol.messages.servers import ServerBundle
from protocol.moves import parties
from protocol.moves.parties import at_home, at_root
from protocol.records import Flavor, Migration, Permit, RequestSpec
from protocol.requests import Request
from protocol.saga import Step, Story
from protocol.states import Goal, VmState


def target(story: Story) -> ServerBundle:
    """Give the target's record as the revert began."""
    return story.reply("begin_revert", ServerBundle)


def source(story: Story) -> ServerBundle:
    """Give the source's record as the revert began."""
    return story.reply("begin_return", ServerBundle)


def migration(story: Story) -> Migration:
    """Give the move's record as the target had it when the revert began."""
    return parties.open_migration(target(story))


def at_source_cell(story: Story) -> Address:
    """Address the cell that the server goes back to."""
    return Address(CellPath.parse(migration(story).source_cell), "cell")


def at_source_host(story: Story) -> Address:
    """Address the host that the server goes back to."""
    return Address(at_source_cell(story).cell, host_mailbox(migration(story).source_host))


def at_target_host(story: Story) -> Address:
    """Address the host that the server is on."""
    host = target(story).server.host
    assert host is not None
    return Address(parties.home(story), host_mailbox(host))


def target_host(story: Story) -> str:
    """Name the host that the server is on."""
    return target(story).server.host or ""


def crosses(story: Story) -> bool:
    """Tell whether the move has left its cell: then the server's home changes back, and its record with it."""
    return migration(story).is_cross_cell


def stays(story: Story) -> bool:
    """Tell whether the move was between two hosts of the server's cell."""
    return not crosses(story)


def sealed(story: Story) -> ServerBundle:
    """Give the target's record as it is for good: what a revert begins with, unless that may change at the target."""
    return story.reply("seal_target", ServerBundle) if crosses(story) else target(story)


def _known(story: Story) -> dict[str, str]:
    """Name the source's attachments, by volume."""
    if stays(story):
        return parties.open_context(target(story)).kept
    return {device.volume: device.attachment for device in source(story).block_devices}


def old_flavor(story: Story) -> Flavor:
    """Give the flavor that the server had before the move."""
    server = target(story).server
    return server.old_flavor or server.flavor


def kept_attachments(story: Story) -> dict[str, str]:
    """Name the source's attachment of each volume that the server has now: its own, or for a new volume a new one."""
    known = _known(story)
    return {
        device.volume: known.get(device.volume) or derived_id(story.conversation, "returned", device.volume)
        for device in sealed(story).block_devices
    }


def _new_to_source(story: Story) -> partners.ReserveAttachments:
    known = _known(story)
    return partners.ReserveAttachments(
        server=story.server,
        attachments=tuple(
            NewAttachment(id=kept_attachments(story)[device.volume], volume=device.volume, device=device.device)
            for device in sealed(story).block_devices
            if device.volume not in known
        ),
    )


def _attached_since(story: Story) -> bool:
    return bool(_new_to_source(story).attachments)


def _gone_from_source(story: Story) -> tuple[str, ...]:
    kept = {device.volume for device in sealed(story).block_devices}
    return tuple(attachment for volume, attachment in _known(story).items() if volume not in kept)


def _detached_since(story: Story) -> bool:
    return bool(_gone_from_source(story))


def _has_volumes(story: Story) -> bool:
    return bool(sealed(story).block_devices)


def _target_attachments(story: Story) -> tuple[str, ...]:
    return tuple(device.attachment for device in sealed(story).block_devices)


def _resume(story: Story) -> Request[Any]:
    stopped = story.find("stop_target", hosts.GuestReport)
    former = stopped.power_state if stopped else target(story).server.power_state
    return hosts.ResumeGuest(server=story.server, permit=parties.held_permit(story), state=parties.on_or_off(former))


def _reattach(story: Story) -> hosts.ReattachGuest:
    return hosts.ReattachGuest(
        server=story.server,
        name=sealed(story).server.name,
        flavor=old_flavor(story),
        image=sealed(story).server.image,
        volumes=parties.places(sealed(story).block_devices, kept_attachments(story)),
        permit=story.reply("issue_permit", Permit).number,
        holds_permit=True,
        is_powered_on=sealed(story).server.old_vm_state is VmState.ACTIVE,
    )


def _old_spec(story: Story) -> RequestSpec | None:
    spec = parties.taken(story).spec
    zone = parties.open_context(target(story)).old_zone if stays(story) else source(story).server.availability_zone
    return attrs.evolve(spec, flavor=old_flavor(story), availability_zone=zone) if spec else None


#: Everything up to here may be given up: the server goes on in VERIFY_RESIZE as if nothing had been asked.
#: The proof is a read, so that giving up waits for nothing of a host that may be gone.
PROVE = (
    Step(
        name="take", row="V0", at=at_root(),
        run=lambda story: root.TakeServer(server=story.server, conversation=story.conversation, goal=Goal.REVERT),
    ),
    Step(
        name="begin_revert", row="V0, V1", at=at_home,
        run=lambda story: moves.BeginRevert(
            server=story.server, action=parties.action(story), origin=parties.origin(story)
        ),
        undo=lambda story: moves.AbortRevert(
            server=story.server, action=parties.action(story), cause=story.cause
        ),
    ),
    Step(
        name="begin_return", row="V2", at=at_source_cell, when=crosses,
        run=lambda story: moves.BeginReturn(server=story.server, migration=migration(story).uuid),
        undo=lambda story: moves.AbortReturn(server=story.server),
    ),
    Step(
        name="check_place", row="V2", at=at_home, is_read=True, when=stays,
        run=lambda story: inside.CheckPlace(server=story.server, migration=migration(story).uuid),
    ),
    Step(
        name="prove_source", row="V2", at=at_source_host, is_read=True, patience_s=parties.PROOF_S,
        unanswered=parties.host_down(at_source_host),
        run=lambda story: hosts.ProveSource(
            server=story.server, volumes=parties.places(target(story).block_devices),
            is_volume_backed=not target(story).server.image,
        ),
    ),
    Step(
        name="stop_target", row="V6", at=at_target_host, settles=True,
        run=lambda story: hosts.StopGuest(server=story.server, permit=parties.held_permit(story)),
        undo=_resume,
    ),
)  # fmt: skip


# The guest is off at both ends now.  The source's record is made to say what the target's says, then the mapping
# turns; volumes and ports follow, the target's connections emptied before the source's are filled.
RETURN = (
    Step(
        name="return_permit", row="V6", at=at_root(),
        run=lambda story: root.ReturnPermit(
            server=story.server, number=parties.held_permit(story), holder=str(at_target_host(story))
        ),
    ),
    Step(
        name="seal_target", row="V3", at=at_home, when=crosses,
        run=lambda story: moves.SealServer(server=story.server),
    ),
    Step(
        name="reserve_returned", row="V3", at=at_root("volume"), when=_attached_since,
        run=_new_to_source,
    ),
    Step(
        name="delete_detached", row="V3", at=at_root("volume"), when=_detached_since,
        run=lambda story: partners.DeleteAttachments(server=story.server, attachments=_gone_from_source(story)),
    ),
    Step(
        name="apply_return", row="V3, V4", at=at_source_cell, when=crosses,
        run=lambda story: moves.ApplyReturn(
            server=story.server, migration=migration(story).uuid, sealed=sealed(story),
            attachments=kept_attachments(story), generation=parties.taken(story).mapping.generation + 1,
            action=parties.action(story),
        ),
    ),
    Step(
        name="commit", row="V5", at=at_root(), when=crosses,
        run=lambda story: root.CommitHome(
            server=story.server, conversation=story.conversation, source=parties.home(story),
            target=at_source_cell(story).cell, generation=parties.taken(story).mapping.generation,
        ),
    ),
    Step(
        name="restore_source", row="V5, V8", at=at_source_cell, when=crosses,
        run=lambda story: moves.RestoreSource(server=story.server, migration=migration(story).uuid),
    ),
    Step(
        name="hide_target", row="V5", at=at_home, when=crosses,
        run=lambda story: moves.HideTarget(server=story.server),
    ),
    # Of a server that stays there is one record: this is all that becomes of it before its guest runs again.
    Step(
        name="return_inside", row="V3, V5", at=at_home, when=stays,
        run=lambda story: inside.ReturnInside(
            server=story.server, migration=migration(story).uuid, attachments=kept_attachments(story)
        ),
    ),
    Step(
        name="save_spec", row="V0", at=at_root(),
        run=lambda story: root.SaveSpec(server=story.server, spec=_old_spec(story)),
    ),
    Step(
        name="detach_target", row="V6", at=at_target_host,
        run=lambda story: hosts.DetachGuest(server=story.server),
    ),
    Step(
        name="empty_target_attachments", row="V6", at=at_root("volume"), when=_has_volumes,
        run=lambda story: partners.DisconnectAttachments(
            server=story.server, attachments=_target_attachments(story)
        ),
    ),
    Step(
        name="activate_source_bindings", row="V6", at=at_root("network"),
        run=lambda story: partners.ActivateBindings(server=story.server, host=migration(story).source_host),
    ),
    Step(
        name="connect_source", row="V8", at=at_root("volume"), when=_has_volumes,
        run=lambda story: partners.ConnectAttachments(
            server=story.server, attachments=tuple(kept_attachments(story).values()), host=str(at_source_host(story))
        ),
    ),
    Step(
        name="issue_permit", row="V8", at=at_root(),
        run=lambda story: root.IssuePermit(server=story.server, holder=str(at_source_host(story))),
    ),
    Step(name="start_source", row="V8", at=at_source_host, run=_reattach),
    Step(
        name="finish_return", row="V8, V9", at=at_source_cell,
        run=lambda story: moves.FinishReturn(
            server=story.server, migration=migration(story).uuid, action=parties.action(story),
            target_host=target_host(story), power_state=story.reply("start_source", hosts.GuestReport).power_state,
        ),
    ),
)  # fmt: skip

# Only now, with the guest back where it came from, does anything at the target go; and for that nobody has to wait.
VACATE = (
    parties.owe("V9", at_target_host),
    Step(
        name="unbind_target", row="V6", at=at_root("network"),
        run=lambda story: partners.UnbindPorts(server=story.server, host=target_host(story)),
    ),
    Step(
        name="delete_target_attachments", row="V6", at=at_root("volume"), when=_has_volumes,
        run=lambda story: partners.DeleteAttachments(server=story.server, attachments=_target_attachments(story)),
    ),
    Step(
        name="destroy_target_guest", row="V6", at=at_target_host,
        run=lambda story: hosts.DestroyGuest(server=story.server),
    ),
    Step(
        name="vacate_target", row="V6", at=at_home, when=crosses,
        run=lambda story: moves.VacateTarget(
            server=story.server, migration=migration(story).uuid, host=target_host(story)
        ),
    ),
    Step(
        name="destroy_target", row="V7", at=at_home, when=crosses,
        run=lambda story: moves.DestroyServer(server=story.server, migration=migration(story).uuid),
    ),
    Step(
        name="leave_target", row="V6", at=at_home, when=stays,
        run=lambda story: inside.LeaveHost(server=story.server, host=target_host(story)),
    ),
)  # fmt: skip

REVERT = parties.plan("revert", (*PROVE, *RETURN, *VACATE))
