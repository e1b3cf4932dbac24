"""What the image, volume and network actors are asked."""

import attrs

from protocol.records import Attachment, Image, Port, PortBinding, Volume
from protocol.requests import Done, Method, Request, Role, Way

# --- images ------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class RegisterImage(Request[Image]):
    """Enter an image whose bytes are in the image store already, with their size and checksum."""

    METHOD = Method(name="register_image", at=Role.IMAGE, way=Way.NONE)

    image: str
    name: str
    size_bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class CreateSnapshot(Request[Image]):
    """Make an empty, queued image that a host will fill with a server's root disk."""

    METHOD = Method(name="create_snapshot", at=Role.IMAGE, way=Way.NONE)

    image: str
    name: str
    server: str


@attrs.frozen(kw_only=True)
class VerifyImage(Request[Image]):
    """Make a queued image active if its bytes in the image store have that size and checksum."""

    METHOD = Method(name="verify_image", at=Role.IMAGE, way=Way.NONE)

    image: str
    server: str
    size_bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class DeleteImage(Request[Done]):
    """Delete a snapshot, its row and its bytes; one that is not there is no error."""

    METHOD = Method(name="delete_image", at=Role.IMAGE, way=Way.NONE)

    image: str
    server: str


@attrs.frozen(kw_only=True)
class ShowImage(Request[Image]):
    """Show an image."""

    METHOD = Method(name="show_image", at=Role.IMAGE, way=Way.NONE, is_read=True)

    image: str


@attrs.frozen(kw_only=True)
class ImageList:
    """Images as they are now."""

    images: tuple[Image, ...]


@attrs.frozen(kw_only=True)
class ListSnapshots(Request[ImageList]):
    """List the snapshots that were made of a server's disk."""

    METHOD = Method(name="list_snapshots", at=Role.IMAGE, way=Way.NONE, is_read=True)

    server: str


# --- volumes -----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class RegisterVolume(Request[Volume]):
    """Enter a volume, and make its bytes if there are none."""

    METHOD = Method(name="register_volume", at=Role.VOLUME, way=Way.NONE)

    volume: str
    name: str
    size_gb: int


@attrs.frozen(kw_only=True)
class NewAttachment:
    """An attachment to make; its id follows from the step that makes it."""

    id: str
    volume: str
    device: str
    copy_of: str = ""  # The volume whose bytes it is to take: it may not be smaller.


@attrs.frozen(kw_only=True)
class Swap:
    """A connected attachment and the empty one that stands in for it while the server is elsewhere."""

    volume: str
    device: str
    connected: str
    empty: str


@attrs.frozen(kw_only=True)
class AttachmentList:
    """Attachments as they are now."""

    attachments: tuple[Attachment, ...]


@attrs.frozen(kw_only=True)
class ReserveAttachments(Request[AttachmentList]):
    """Make empty attachments: the volumes are the server's, on no host yet."""

    METHOD = Method(name="reserve_attachments", at=Role.VOLUME, way=Way.NONE)

    server: str
    attachments: tuple[NewAttachment, ...]
    is_new: bool = False  # The volumes must not be connected to the server yet.


@attrs.frozen(kw_only=True)
class DeleteAttachments(Request[Done]):
    """Delete attachments of a server; those that are gone are no error."""

    METHOD = Method(name="delete_attachments", at=Role.VOLUME, way=Way.NONE)

    server: str
    attachments: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ConnectAttachments(Request[AttachmentList]):
    """Fill empty attachments with a host; refused while another attachment of the volume is connected."""

    METHOD = Method(name="connect_attachments", at=Role.VOLUME, way=Way.NONE)

    server: str
    attachments: tuple[str, ...]
    host: str


@attrs.frozen(kw_only=True)
class DisconnectAttachments(Request[Done]):
    """Empty attachments again; those that are gone are no error."""

    METHOD = Method(name="disconnect_attachments", at=Role.VOLUME, way=Way.NONE)

    server: str
    attachments: tuple[str, ...]


@attrs.frozen(kw_only=True)
class EmptyAttachments(Request[Done]):
    """Put an empty attachment in the place of each connected one, the new before the old."""

    METHOD = Method(name="empty_attachments", at=Role.VOLUME, way=Way.NONE)

    server: str
    swaps: tuple[Swap, ...]


@attrs.frozen(kw_only=True)
class RefillAttachments(Request[Done]):
    """Undo of `EmptyAttachments`: the connected ones are back as they were, on `host`."""

    METHOD = Method(name="refill_attachments", at=Role.VOLUME, way=Way.NONE)

    server: str
    swaps: tuple[Swap, ...]
    host: str


@attrs.frozen(kw_only=True)
class ListAttachments(Request[AttachmentList]):
    """List a server's attachments."""

    METHOD = Method(name="list_attachments", at=Role.VOLUME, way=Way.NONE, is_read=True)

    server: str


# --- ports -------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class PortList:
    """A server's ports and their bindings."""

    ports: tuple[Port, ...]
    bindings: tuple[PortBinding, ...]


@attrs.frozen(kw_only=True)
class CreatePort(Request[PortList]):
    """Make a server's port, bound and active on `host`."""

    METHOD = Method(name="create_port", at=Role.NETWORK, way=Way.NONE)

    port: str
    server: str
    host: str


@attrs.frozen(kw_only=True)
class DeletePorts(Request[Done]):
    """Delete a server's ports with their bindings."""

    METHOD = Method(name="delete_ports", at=Role.NETWORK, way=Way.NONE)

    server: str


@attrs.frozen(kw_only=True)
class BindPorts(Request[PortList]):
    """Bind each of the server's ports on `host`, inactive."""

    METHOD = Method(name="bind_ports", at=Role.NETWORK, way=Way.NONE)

    server: str
    host: str


@attrs.frozen(kw_only=True)
class UnbindPorts(Request[Done]):
    """Delete the inactive bindings of the server's ports on `host`."""

    METHOD = Method(name="unbind_ports", at=Role.NETWORK, way=Way.NONE)

    server: str
    host: str


@attrs.frozen(kw_only=True)
class ActivateBindings(Request[PortList]):
    """Send the traffic of the server's ports to `host`: its bindings become the active ones, all others inactive."""

    METHOD = Method(name="activate_bindings", at=Role.NETWORK, way=Way.NONE)

    server: str
    host: str


@attrs.frozen(kw_only=True)
class ListPorts(Request[PortList]):
    """List a server's ports and bindings."""

    METHOD = Method(name="list_ports", at=Role.NETWORK, way=Way.NONE, is_read=True)

    server: str
