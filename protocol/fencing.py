"""What a step at a fenced host is worth: its operator asserts that the machine is off.  Pure.

What makes a guest stop, or takes something from a host that is off, counts as done, and is owed: the host does it
before its fence is lifted.  What would have the host show or give something cannot count: it is refused by name.
"""

from typing import Any

import attrs

from protocol.messages import hosts, live, rebuilding
from protocol.messages.hosts import GuestReport
from protocol.records import OwedAct
from protocol.requests import Done, Poison, Request
from protocol.states import Owed, PowerState


@attrs.frozen(kw_only=True)
class Worth:
    """A step that counts as done: what is owed for it, and what it is answered with."""

    acts: tuple[OwedAct, ...]
    reply: Any


def worth(request: Request[Any], *, host: str) -> Worth | None:
    """Tell what a request to a fenced host is worth; None: nothing, it is refused."""
    server = getattr(request, "server", "")
    found: Worth | None = None
    match request:
        case hosts.StopGuest():
            # What the guest was before nobody can tell any more: off it stays, until its user starts it.
            found = _done(server, host, Owed.OFF, reply=_off(None))
        case hosts.PowerGuest(state=PowerState.SHUTDOWN):
            found = _done(server, host, Owed.OFF, reply=_off(request.permit))
        case hosts.ResumeGuest() | live.RestoreGuest():
            # A guest that has its permit back, and does not run: so it is with every guest of a machine that is off.
            found = Worth(acts=(), reply=_off(request.permit))
        case hosts.DetachGuest():
            found = _done(server, host, Owed.DETACH)
        case hosts.DestroyGuest():
            found = _done(server, host, Owed.DESTROY)
        case hosts.DisconnectVolume():
            found = _done(server, host, Owed.DISCONNECT, volume=request.volume)
        case rebuilding.KeepDisk():
            found = _done(server, host, Owed.KEEP_DISK)
        case rebuilding.RestoreDisk():
            found = _done(server, host, Owed.RESTORE_DISK)
        case Poison():
            # What the host was told before is void when its fence is lifted.
            found = Worth(acts=(), reply=Done())
        case _:
            pass
    return found


def _done(server: str, host: str, act: Owed, *, volume: str = "", reply: Any = None) -> Worth:
    owed = OwedAct(host=host, server=server, act=act, volume=volume)
    return Worth(acts=(owed,), reply=Done() if reply is None else reply)


def _off(permit: int | None) -> GuestReport:
    return GuestReport(power_state=PowerState.SHUTDOWN, permit=permit)
