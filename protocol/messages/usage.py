"""What goes over servers' ports: a host tells its cell what its counters say."""

import attrs

from protocol.requests import Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class Reading:
    """What the counters of a server's port say."""

    server: str
    boot: int  # How often the guest was started: with each the counters begin anew.
    bytes_in: int
    bytes_out: int


@attrs.frozen(kw_only=True)
class ReportTraffic(Request[Done]):
    """A host tells its cell what has gone over the ports of its servers."""

    METHOD = Method(name="report_traffic", at=Role.CELL, way=Way.NONE, is_routine=True)

    host: str
    readings: tuple[Reading, ...]
