"""What the steps of a resize read off its journal: parties, ids, and the longer of their requests."""

from typing import Any

from protocol.cell_path import Address, host_mailbox, host_of
from protocol.ids import derived_id
from protocol.messages import hosts, partners
from protocol.messages.orders import MoveServer
from protocol.messages.partners import NewAttachment, Swap
from protocol.messages.servers import ServerBundle
from protocol.moves import parties
from protocol.moves.parties import at_chosen_host, brief, chosen
from protocol.records import Flavor, Permit, RequestSpec, Server
from protocol.requests import Request
from protocol.saga import Story
from protocol.states import Goal, VmState


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


def at_holder(story: Story) -> Address:
    """Address the host that has the server's guest, as the ledger of permits knows it before its cell is asked."""
    permit = parties.taken(story).permit
    holder = permit.holder if permit else None
    assert holder is not None, "nobody holds a permit"
    return Address.parse(holder)


def is_holder_fenced(story: Story) -> bool:
    """Tell whether the host that has the guest was fenced when the root was asked for the server."""
    permit = parties.taken(story).permit
    if permit is None or permit.holder is None:
        return False
    return host_of(Address.parse(permit.holder)) in parties.taken(story).fenced


def has_live_holder(story: Story) -> bool:
    """Tell whether a host can be asked for the guest: of a fenced one, its operator has said that it is off."""
    permit = parties.taken(story).permit
    is_held = permit is not None and permit.holder is not None
    # An order that was let in by those who did not ask goes on as it began.
    return is_held and not is_holder_fenced(story) and story.find("begin_move", ServerBundle) is None


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


def crosses(story: Story) -> bool:
    """Tell whether the server leaves its cell: then another cell gets a record of it, and becomes its home."""
    return chosen(story).cell != parties.taken(story).mapping.cell


def stays(story: Story) -> bool:
    """Tell whether the server goes to another host of its cell: its record stays where it is."""
    return not crosses(story)


def crosses_with_volumes(story: Story) -> bool:
    """Tell whether a second record has attachments to name."""
    return crosses(story) and has_volumes(story)


def bandwidth(story: Story) -> int:
    """Tell what its port is guaranteed, in kbit/s."""
    return begun(story).server.bandwidth_kbps


def migration(story: Story) -> str:
    """Name the migration's record: one for the whole conversation, in both cells."""
    return story.conversation


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


def reserve_attachments(story: Story) -> partners.ReserveAttachments:
    """Reserve every volume for the target, too."""
    ids = new_attachments(story)
    return partners.ReserveAttachments(
        server=story.server,
        attachments=tuple(
            NewAttachment(id=ids[device.volume], volume=device.volume, device=device.device)
            for device in begun(story).block_devices
        ),
    )


def resume_source(story: Story) -> Request[Any]:
    """Give the source its permit back, and let its guest run again if it did."""
    # Which permit: the ledger's answer to taking the return back, or the old one if it never was returned.
    again = story.find("return_permit", Permit, is_undo=True)
    stopped = story.find("stop_guest", hosts.GuestReport)
    former = stopped.power_state if stopped else server(story).power_state
    return hosts.ResumeGuest(
        server=story.server,
        permit=again.number if again else parties.held_permit(story),
        state=parties.on_or_off(former),
    )


def reattach_source(story: Story) -> hosts.ReattachGuest:
    """Put the source's guest back over its kept disk."""
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


def spawn_target(story: Story) -> hosts.SpawnGuest:
    """Make the guest at the target, from the travelled image or the volumes."""
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


def verify_snapshot(story: Story) -> partners.VerifyImage:
    """Compare the travelled image with what the source has given."""
    taken = story.reply("snapshot", hosts.SnapshotTaken)
    return partners.VerifyImage(
        image=image(story), server=story.server, size_bytes=taken.size_bytes, sha256=taken.sha256
    )


def new_spec(story: Story) -> RequestSpec:
    """Note what the server is from now on."""
    return RequestSpec(server=story.server, flavor=flavor(story), availability_zone=chosen(story).availability_zone)


def target_holder(story: Story) -> str:
    """Name the target host as the ledger of permits does."""
    return str(at_chosen_host(story))


def source_holder(story: Story) -> str:
    """Name the source host as the ledger of permits does."""
    return str(at_source_host(story))
