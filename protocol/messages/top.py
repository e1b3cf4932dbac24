"""What the root is told and asked about consoles and bandwidth."""

import attrs

from protocol.cell_path import Address, speaks_for
from protocol.records import Bandwidth, ConsoleGrant
from protocol.requests import Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class AuthoriseConsole(Request[Done]):
    """A cell tells the root of a token that it has made."""

    METHOD = Method(name="authorise_console", at=Role.CELL, way=Way.UP, is_routine=True)

    grant: ConsoleGrant

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of tokens of its own."""
        return speaks_for(source, self.grant.cell)


@attrs.frozen(kw_only=True)
class DeleteConsoleTokens(Request[Done]):
    """Void the tokens of a server at the root: those of one cell, or (empty) all."""

    METHOD = Method(name="delete_console_tokens", at=Role.CELL, way=Way.UP, reference="consoleauth_delete_tokens")

    server: str
    cell: str = ""

    def may_come_from(self, source: Address) -> bool:
        """A cell voids tokens of its own; only the root itself those of all."""
        return speaks_for(source, self.cell)


@attrs.frozen(kw_only=True)
class FindConsole(Request[ConsoleGrant]):
    """Tell a proxy where a token leads; one that is unknown, void or expired leads nowhere."""

    METHOD = Method(name="find_console", at=Role.CELL, way=Way.NONE, is_read=True, is_for_people=True)

    token: str


@attrs.frozen(kw_only=True)
class UpdateBandwidth(Request[Done]):
    """A cell tells the root what went over a server's port in a period.  Old news changes nothing."""

    METHOD = Method(name="update_bandwidth", at=Role.CELL, way=Way.UP, reference="bw_usage_update_at_top")

    bandwidth: Bandwidth

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of what it has counted itself."""
        return speaks_for(source, self.bandwidth.cell)


@attrs.frozen(kw_only=True)
class BandwidthList:
    """What went over a server's port, a row for each period and cell, the newest first."""

    rows: tuple[Bandwidth, ...]


@attrs.frozen(kw_only=True)
class ListBandwidth(Request[BandwidthList]):
    """Tell what the root has heard of what went over a server's port."""

    METHOD = Method(name="list_bandwidth", at=Role.CELL, way=Way.NONE, is_read=True, is_for_people=True)

    server: str
