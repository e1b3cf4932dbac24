"""What a cell is asked in the course of a move between two of its own hosts: there is one record, and it stays home."""

import attrs

from protocol.records import Server
from protocol.requests import Done, Method, Request, Role
from protocol.states import PowerState


@attrs.frozen(kw_only=True)
class ClaimInside(Request[Done]):
    """Another host of the cell keeps a place for the server.  Of its record nothing changes yet."""

    METHOD = Method(name="claim_inside", at=Role.CELL)

    server: str
    migration: str
    host: str
    action: str


@attrs.frozen(kw_only=True)
class FinishInside(Request[Server]):
    """The guest is on the other host: become `resized` there, and note what a revert gives back."""

    METHOD = Method(name="finish_inside", at=Role.CELL)

    server: str
    migration: str
    host: str
    power_state: PowerState
    attachments: dict[str, str]  # Of the other host, by volume.
    action: str


@attrs.frozen(kw_only=True)
class CheckPlace(Request[Done]):
    """Refuse when the host that the server has left keeps no place for it any more."""

    METHOD = Method(name="check_place", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class ReturnInside(Request[Done]):
    """The server is the first host's again, with its old flavor, zone and allocation; these are its attachments."""

    METHOD = Method(name="return_inside", at=Role.CELL)

    server: str
    migration: str
    attachments: dict[str, str]


@attrs.frozen(kw_only=True)
class LeaveHost(Request[Done]):
    """A host keeps no place for a server any more that has left it for good; the server may be deleted since."""

    METHOD = Method(name="leave_host", at=Role.CELL)

    server: str
    host: str
