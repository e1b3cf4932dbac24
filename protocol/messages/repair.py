"""What cells are asked to find, and to remove, what is left over of a server, wherever that came from."""

import attrs

from protocol.records import Allocation, BlockDevice, Claim, Migration, Server
from protocol.requests import Done, Form, Method, Request, Role


@attrs.frozen(kw_only=True)
class CellHoldings:
    """What a cell has of a server, and the hosts on which there may be something of it.

    `parts` are the tables with rows that belong to a record which is not there.
    """

    hosts: tuple[str, ...]
    server: Server | None = None
    block_devices: tuple[BlockDevice, ...] = ()
    migrations: tuple[Migration, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    claims: tuple[Claim, ...] = ()
    parts: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class FindHoldings(Request[CellHoldings]):
    """Ask every cell what it has of a server."""

    METHOD = Method(name="find_holdings", at=Role.CELL, form=Form.BROADCAST, is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class DropHoldings(Request[Done]):
    """Remove what is left over of a server in a cell; rows that are not as they were found stay."""

    METHOD = Method(name="drop_holdings", at=Role.CELL)

    server: str
    has_record: bool = False  # A hidden one, with all its parts.
    parts: tuple[str, ...] = ()  # Tables: of a record that is not there.
    allocations: tuple[Allocation, ...] = ()
    claims: tuple[Claim, ...] = ()
