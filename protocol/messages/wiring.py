"""What a host is asked about the network of a guest: to apply its ports again, and to tell the guest of them."""

import attrs

from protocol.requests import Done, Method, Request, Role


@attrs.frozen(kw_only=True)
class PortAddress:
    """A port of a server, and its hardware address."""

    port: str
    address: str


@attrs.frozen(kw_only=True)
class ApplyNetwork(Request[Done]):
    """Apply a guest's ports again, or (not `is_reset`) write them where the guest reads them."""

    METHOD = Method(name="apply_network", at=Role.HOST)

    server: str
    ports: tuple[PortAddress, ...]
    by: str  # The conversation, so that it can be told when it was done last.
    is_reset: bool


@attrs.frozen(kw_only=True)
class AppliedPorts:
    """Which ports were applied, or told of, and by what; empty: none ever were."""

    by: str = ""
    ports: tuple[PortAddress, ...] = ()


@attrs.frozen(kw_only=True)
class AppliedNetwork:
    """What a host last did about a guest's network since the guest came there."""

    reset: AppliedPorts
    injected: AppliedPorts


@attrs.frozen(kw_only=True)
class FindNetwork(Request[AppliedNetwork]):
    """Tell what the host last did about a guest's network."""

    METHOD = Method(name="find_network", at=Role.HOST, is_for_people=True, is_read=True)

    server: str
