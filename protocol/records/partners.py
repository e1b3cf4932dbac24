"""The rows of the image, volume and network actors."""

from typing import ClassVar

import attrs

from protocol.records.base import Record


@attrs.frozen(kw_only=True)
class Image(Record):
    """An image: its user's, made of a server's root disk or not; or the snapshot that a move takes along."""

    TABLE = "images"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("source",)

    id: str
    name: str
    status: str  # queued | active
    size_bytes: int = 0
    sha256: str = ""
    #: The server that it belongs to, and goes with: of a move's snapshot, and of a user's as long as it is queued.
    server: str | None = None
    source: str = ""  # The server whose root disk its user had it made of; empty: it came from elsewhere.
    conversation: str = ""  # What made it of that.
    backup_type: str = ""  # Of a backup: which of its kind are rotated together.
    number: int = 0  # Rises with each that is made of a server: which of them is older.


@attrs.frozen(kw_only=True)
class Volume(Record):
    """A volume; where its bytes are is the affair of the volume store."""

    TABLE = "volumes"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    size_gb: int


@attrs.frozen(kw_only=True)
class Attachment(Record):
    """That a volume is reserved for a server (no host: empty), or connected to it on a host."""

    TABLE = "attachments"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("volume", "server")

    id: str
    volume: str
    server: str
    host: str | None = None
    device: str = ""


@attrs.frozen(kw_only=True)
class Port(Record):
    """A network port of a server."""

    TABLE = "ports"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    id: str
    server: str
    address: str


@attrs.frozen(kw_only=True)
class PortBinding(Record):
    """That a port is known on a host; the one active binding of a port says where its traffic goes."""

    TABLE = "port_bindings"
    KEY: ClassVar[tuple[str, ...]] = ("port", "host")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    port: str
    host: str
    server: str
    is_active: bool
