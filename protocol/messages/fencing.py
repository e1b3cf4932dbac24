"""What the root is asked about fenced hosts: by operators, by conversations that wait for one, by hosts that start."""

import attrs

from protocol.cell_path import Address, host_of
from protocol.records import HostFence, OwedAct
from protocol.requests import Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class SetFence(Request[HostFence]):
    """Write that an operator has asserted a host's machine to be off; one that is fenced already stays as it is."""

    METHOD = Method(name="set_fence", at=Role.CELL, way=Way.NONE)

    host: str
    user: str


@attrs.frozen(kw_only=True)
class LiftFence(Request[HostFence]):
    """Write that a fence is to be lifted, as soon as the host has done what it owes; `epoch` voids what it was told."""

    METHOD = Method(name="lift_fence", at=Role.CELL, way=Way.NONE)

    host: str
    epoch: int


@attrs.frozen(kw_only=True)
class FenceFound:
    """Whether a host is fenced."""

    is_fenced: bool


@attrs.frozen(kw_only=True)
class FindFence(Request[FenceFound]):
    """Tell whether a host is fenced."""

    METHOD = Method(name="find_fence", at=Role.CELL, way=Way.NONE, is_read=True)

    host: str


@attrs.frozen
class StoodIn:
    """It counts as done.  No mere `Done`: the undo of what the root never stood in for is owed all the same."""


@attrs.frozen(kw_only=True)
class StandIn(Request[StoodIn]):
    """Have a step at a fenced host count as done, and note what the host owes for it; refused when it is not fenced."""

    METHOD = Method(name="stand_in", at=Role.CELL, way=Way.NONE)

    server: str
    host: str
    acts: tuple[OwedAct, ...]


@attrs.frozen(kw_only=True)
class OwnPermit:
    """The permit of a server that a host holds by the ledger."""

    server: str
    number: int


@attrs.frozen(kw_only=True)
class PermitsConfirmed:
    """How the root has a host: what it may run, whether it is fenced, and what it owes."""

    permits: tuple[OwnPermit, ...]
    fence: HostFence | None
    owed: tuple[OwedAct, ...]


@attrs.frozen(kw_only=True)
class ConfirmPermits(Request[PermitsConfirmed]):
    """A host that starts asks what it may run, before it does anything."""

    METHOD = Method(name="confirm_permits", at=Role.CELL, way=Way.UP)

    host: Address

    def may_come_from(self, source: Address) -> bool:
        """A host asks for itself."""
        return source == self.host


@attrs.frozen(kw_only=True)
class PayOwed(Request[Done]):
    """A host has done these acts; with the last of them its fence is lifted, if it is to be."""

    METHOD = Method(name="pay_owed", at=Role.CELL, way=Way.UP)

    host: Address
    acts: tuple[OwedAct, ...]

    def may_come_from(self, source: Address) -> bool:
        """A host pays what it owes itself."""
        return source == self.host and all(act.host == host_of(source) for act in self.acts)
