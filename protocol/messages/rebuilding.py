"""What hosts and cells are asked when a server's root disk is made anew."""

import attrs

from protocol.messages.changes import ServerChange
from protocol.records import Server
from protocol.requests import Done, Method, Request, Role


@attrs.frozen(kw_only=True)
class PrepareDisk(Request[Done]):
    """Make another root disk beside the guest's, whole and checked; the guest goes on with its own."""

    METHOD = Method(name="prepare_disk", at=Role.HOST)

    server: str
    image: str


@attrs.frozen(kw_only=True)
class ReplaceDisk(Request[Done]):
    """Put the prepared disk in the place of the guest's, which is off; the former one is set aside."""

    METHOD = Method(name="replace_disk", at=Role.HOST)

    server: str


@attrs.frozen(kw_only=True)
class RestoreDisk(Request[Done]):
    """Undo of both: the prepared disk goes, and the one that was set aside is in its place again."""

    METHOD = Method(name="restore_disk", at=Role.HOST)

    server: str


@attrs.frozen(kw_only=True)
class KeepDisk(Request[Done]):
    """Remove the disk that was set aside: there is no way back to it."""

    METHOD = Method(name="keep_disk", at=Role.HOST)

    server: str


@attrs.frozen(kw_only=True)
class WriteImage(Request[Done]):
    """Write which image a server's root disk was made from."""

    METHOD = Method(name="write_image", at=Role.CELL)

    server: str
    image: str


@attrs.frozen(kw_only=True)
class FinishRebuild(Request[Server]):
    """End a rebuild well: change what its user wanted changed, and set no task."""

    METHOD = Method(name="finish_rebuild", at=Role.CELL)

    server: str
    action: str
    change: ServerChange
