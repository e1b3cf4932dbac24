"""What a compute host is asked.  Hosts answer; they never write records."""

import attrs

from protocol.records import Flavor
from protocol.requests import Done, Method, Request, Role
from protocol.states import PowerState


@attrs.frozen(kw_only=True)
class VolumePlace:
    """A volume of a server, by which attachment a host has it, and what the guest calls it."""

    volume: str
    attachment: str
    device: str
    boot_index: int | None = None


@attrs.frozen(kw_only=True)
class GuestReport:
    """How a host has a guest after what it was asked; `permit` None: returned."""

    power_state: PowerState
    permit: int | None
    counter: int = 0
    boots: int = 0


@attrs.frozen(kw_only=True)
class ProveTarget(Request[Done]):
    """Prove that this host could take the server: it reaches every volume and has no guest of it."""

    METHOD = Method(name="prove_target", at=Role.HOST, is_read=True)

    server: str
    volumes: tuple[VolumePlace, ...]


@attrs.frozen(kw_only=True)
class ProveSource(Request[Done]):
    """Prove that this host could take the server back: its disk is kept, and it reaches every volume."""

    METHOD = Method(name="prove_source", at=Role.HOST, is_read=True)

    server: str
    volumes: tuple[VolumePlace, ...]
    is_volume_backed: bool


@attrs.frozen(kw_only=True)
class SpawnGuest(Request[GuestReport]):
    """Make the guest, and its disk from the image unless it is there already; power it on if asked."""

    METHOD = Method(name="spawn_guest", at=Role.HOST)

    server: str
    name: str
    flavor: Flavor
    image: str  # Empty: its root disk is the volume with boot index 0.
    volumes: tuple[VolumePlace, ...]
    permit: int
    is_powered_on: bool


@attrs.frozen(kw_only=True)
class DestroyGuest(Request[Done]):
    """Stop the guest, give its permit up, and remove it and its disk; a volume's bytes stay."""

    METHOD = Method(name="destroy_guest", at=Role.HOST)

    server: str


@attrs.frozen(kw_only=True)
class StopGuest(Request[GuestReport]):
    """Power the guest off and give its permit back: durably, so that it is not started here again without another.

    The report's `power_state` is what the guest was before.
    """

    METHOD = Method(name="stop_guest", at=Role.HOST)

    server: str
    permit: int


@attrs.frozen(kw_only=True)
class ResumeGuest(Request[GuestReport]):
    """Undo of `StopGuest`, and of what users had done: the guest holds a permit (again), and is what it was before.

    One that is off by now does not become paused or suspended: there is nothing to hold.
    """

    METHOD = Method(name="resume_guest", at=Role.HOST)

    server: str
    permit: int
    state: PowerState


@attrs.frozen(kw_only=True)
class SnapshotTaken:
    """What the image store was given."""

    size_bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class SnapshotGuest(Request[SnapshotTaken]):
    """Put the root disk of a stopped guest into the image store."""

    METHOD = Method(name="snapshot_guest", at=Role.HOST)

    server: str
    image: str


@attrs.frozen(kw_only=True)
class DetachGuest(Request[Done]):
    """Let go of the guest's volumes and forget the guest, but keep its disk."""

    METHOD = Method(name="detach_guest", at=Role.HOST)

    server: str


@attrs.frozen(kw_only=True)
class ReattachGuest(Request[GuestReport]):
    """Put the guest back over its kept disk, with these volumes; power it on only if asked.

    Without `holds_permit` the number only says which was the last one: the permit itself is not back yet.
    """

    METHOD = Method(name="reattach_guest", at=Role.HOST)

    server: str
    name: str
    flavor: Flavor
    image: str
    volumes: tuple[VolumePlace, ...]
    permit: int
    holds_permit: bool
    is_powered_on: bool


@attrs.frozen(kw_only=True)
class PowerGuest(Request[GuestReport]):
    """Have the guest run, or power it off, pause or suspend it, for its user; its permit stays here."""

    METHOD = Method(name="power_guest", at=Role.HOST)

    server: str
    permit: int
    state: PowerState


@attrs.frozen(kw_only=True)
class ConnectVolume(Request[Done]):
    """Give the guest a volume."""

    METHOD = Method(name="connect_volume", at=Role.HOST)

    server: str
    place: VolumePlace


@attrs.frozen(kw_only=True)
class CopyVolume(Request[Done]):
    """Copy a volume of the guest's to another; when this is answered, the other has all, and the guest writes to both.

    Its undo is to disconnect the other: the guest has its own all the time.
    """

    METHOD = Method(name="copy_volume", at=Role.HOST)

    server: str
    volume: str
    place: VolumePlace  # Of the other one.


@attrs.frozen(kw_only=True)
class DisconnectVolume(Request[Done]):
    """Take a volume from the guest; it has let go of it when this is answered."""

    METHOD = Method(name="disconnect_volume", at=Role.HOST)

    server: str
    volume: str


@attrs.frozen(kw_only=True)
class ShowGuest(Request[GuestReport]):
    """Tell how the guest is."""

    METHOD = Method(name="show_guest", at=Role.HOST, is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class GuestHoldings:
    """What a host has of a server: a guest that runs or not, its root disk; or that it did not say."""

    is_seen: bool = True
    is_defined: bool = False
    is_running: bool = False
    has_disk: bool = False


@attrs.frozen(kw_only=True)
class FindGuest(Request[GuestHoldings]):
    """Tell what there is of a server on a host; nothing is no error."""

    METHOD = Method(name="find_guest", at=Role.HOST, is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class StartAnew(Request[Done]):
    """Have the host's actor start anew, and ask the root what it may run: its fence has changed."""

    METHOD = Method(name="start_anew", at=Role.HOST)
