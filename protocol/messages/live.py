"""What cells and hosts are asked when a server moves between two hosts of its cell while it runs."""

import attrs

from protocol.cell_path import CellPath
from protocol.messages.hosts import GuestReport, VolumePlace
from protocol.messages.servers import Origin, ServerBundle
from protocol.records import Flavor, Migration, Server
from protocol.requests import Done, Method, Request, Role
from protocol.states import PowerState


@attrs.frozen(kw_only=True)
class BeginLive(Request[ServerBundle]):
    """The server is to move while it runs.  Task `migrating`, action and its event."""

    METHOD = Method(name="begin_live", at=Role.CELL)

    server: str
    action: str
    origin: Origin
    host: str | None = None  # The target host that was named.
    is_host_fenced: bool = False  # The host that has the server: its machine is off.


@attrs.frozen(kw_only=True)
class ClaimLive(Request[Migration]):
    """Another host of the cell keeps a place for the server."""

    METHOD = Method(name="claim_live", at=Role.CELL)

    server: str
    migration: str
    cell: CellPath
    host: str
    action: str


@attrs.frozen(kw_only=True)
class FinishLive(Request[Server]):
    """The guest runs on the other host: that is the server's now; migration `completed`."""

    METHOD = Method(name="finish_live", at=Role.CELL)

    server: str
    migration: str
    host: str
    power_state: PowerState
    attachments: dict[str, str]  # Of the other host, by volume.
    action: str


@attrs.frozen(kw_only=True)
class GuestStart:
    """One start of a guest, as its disk tells it."""

    host: str
    permit: int
    number: int


@attrs.frozen(kw_only=True)
class SavedGuest:
    """A guest's memory: how far it has counted; and of which starts of its disk that memory is."""

    counter: int
    starts: tuple[GuestStart, ...]


@attrs.frozen(kw_only=True)
class SaveGuest(Request[SavedGuest]):
    """Stop a guest where it is, write its memory down, and give its permit back: it can go on from there."""

    METHOD = Method(name="save_guest", at=Role.HOST)

    server: str
    permit: int


@attrs.frozen(kw_only=True)
class RestoreGuest(Request[GuestReport]):
    """Undo of `SaveGuest`: the guest holds a permit again, and goes on from its memory; one that is off stays so."""

    METHOD = Method(name="restore_guest", at=Role.HOST)

    server: str
    permit: int


@attrs.frozen(kw_only=True)
class ReceiveDisk(Request[Done]):
    """Make the root disk of a guest that is to come here, and the guest over it, off and without a permit."""

    METHOD = Method(name="receive_disk", at=Role.HOST)

    server: str
    name: str
    flavor: Flavor
    image: str
    volumes: tuple[VolumePlace, ...]
    permit: int  # The last one that there was.
    is_powered_on: bool = False


@attrs.frozen(kw_only=True)
class ReceiveGuest(Request[GuestReport]):
    """Let a guest go on here from its memory, over the disk that came before it or its volumes; nothing is started."""

    METHOD = Method(name="receive_guest", at=Role.HOST)

    server: str
    name: str
    flavor: Flavor
    image: str  # Empty: its root disk is a volume.
    volumes: tuple[VolumePlace, ...]
    permit: int
    memory: SavedGuest
    is_powered_on: bool = False
