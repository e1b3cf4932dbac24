"""The rows of the image, volume and network actors."""

from typing import ClassVar

import attrs

from protocol.records.base import Record


@attrs.frozen(kw_only=True)
class Image(Record):
    """An image, or the snapshot of a root disk that a move takes along."""

    TABLE = "images"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    status: str  # queued | active
    size_bytes: int = 0
    sha256: str = ""
    server: str | None = None


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
