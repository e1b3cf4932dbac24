"""The rows of consoles and of bandwidth: of a cell, and what the root has been told of them."""

from typing import ClassVar

import attrs

from protocol.records.base import Record


@attrs.frozen(kw_only=True)
class ConsoleToken(Record):
    """That whoever knows a token may speak to a server's guest; the token itself is not kept, only its hash."""

    TABLE = "console_tokens"
    KEY: ClassVar[tuple[str, ...]] = ("token_hash",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    token_hash: str
    server: str
    host: str
    kind: str
    address: str
    port: int
    created_at_us: int
    expires_at_us: int


@attrs.frozen(kw_only=True)
class ConsoleGrant(Record):
    """What the root knows of a token: where it leads, and for how long."""

    TABLE = "console_grants"
    KEY: ClassVar[tuple[str, ...]] = ("token_hash",)
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    token_hash: str
    server: str
    cell: str
    host: str
    kind: str
    address: str
    port: int
    expires_at_us: int


@attrs.frozen(kw_only=True)
class BandwidthUse(Record):
    """What went over a server's port in a period, as its cell counts it from what the host reads off a counter."""

    TABLE = "bandwidth_uses"
    KEY: ClassVar[tuple[str, ...]] = ("server", "period")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    period: str
    begin_us: int
    bytes_in: int
    bytes_out: int
    #: What the counters said last, and since which start of the guest, on which host: with either they begin anew.
    boot: int
    host: str
    last_in: int
    last_out: int
    version: int
    updated_at_us: int


@attrs.frozen(kw_only=True)
class Bandwidth(Record):
    """What the root has been told by one cell of what went over a server's port in a period."""

    TABLE = "bandwidths"
    KEY: ClassVar[tuple[str, ...]] = ("server", "cell", "period")
    INDEX: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    cell: str
    period: str
    begin_us: int
    bytes_in: int
    bytes_out: int
    version: int
