"""What is asked about images that users have made of their servers' root disks: of the image actor, and of hosts."""

import attrs

from protocol.messages.hosts import SnapshotTaken
from protocol.messages.partners import ImageList
from protocol.records import Image
from protocol.requests import Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class RegisterSnapshot(Request[Image]):
    """Make an empty, queued image that a host will fill; until it is published it belongs to the server."""

    METHOD = Method(name="register_snapshot", at=Role.IMAGE, way=Way.NONE)

    image: str
    name: str
    server: str
    conversation: str
    backup_type: str = ""


@attrs.frozen(kw_only=True)
class PublishSnapshot(Request[Image]):
    """Make a queued image active and its user's, if its bytes in the image store have that size and checksum."""

    METHOD = Method(name="publish_snapshot", at=Role.IMAGE, way=Way.NONE)

    image: str
    server: str
    size_bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class WithdrawSnapshot(Request[Done]):
    """Delete the image that a conversation has made, its row and its bytes; another one's of that id stays."""

    METHOD = Method(name="withdraw_snapshot", at=Role.IMAGE, way=Way.NONE)

    image: str
    server: str
    conversation: str


@attrs.frozen(kw_only=True)
class RotateBackups(Request[ImageList]):
    """Delete a server's oldest backups of a type, down to so many; tell which these were."""

    METHOD = Method(name="rotate_backups", at=Role.IMAGE, way=Way.NONE)

    server: str
    backup_type: str
    rotation: int


@attrs.frozen(kw_only=True)
class ListImages(Request[ImageList]):
    """List images; those that were made of one server only, if it is named."""

    METHOD = Method(name="list_images", at=Role.IMAGE, way=Way.NONE, is_for_people=True)

    source: str = ""


@attrs.frozen(kw_only=True)
class CaptureDisk(Request[SnapshotTaken]):
    """Put a guest's root disk into the image store as it is at one instant, whether the guest runs or not.

    What the disk tells of its guest's starts is left out: whoever is made of the image starts anew.
    """

    METHOD = Method(name="capture_disk", at=Role.HOST)

    server: str
    image: str
