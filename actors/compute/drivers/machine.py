"""What a host's machine tells of itself: how long it is up, who is logged in, how busy it is."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

import attrs

UPTIME: Final = Path("/proc/uptime")
LOGINS: Final = Path("/var/run/utmp")
#: One login record of Linux: its type comes first; the rest says who and from where.
LOGIN_BYTES: Final = 384
USER_PROCESS: Final = 7


@attrs.frozen(kw_only=True)
class Uptime:
    """How long a machine has been up, how many users are logged in, and its load over 1, 5 and 15 minutes."""

    up_s: float
    users: int = 0
    loads: tuple[float, float, float] = (0.0, 0.0, 0.0)


def read_uptime(uptime: Path = UPTIME, logins: Path = LOGINS) -> Uptime:
    """Ask the operating system."""
    return Uptime(up_s=float(uptime.read_text().split()[0]), users=_users(logins), loads=os.getloadavg())


def _users(logins: Path) -> int:
    """Count those who are logged in; a machine that keeps no record of logins, as containers do, has none."""
    try:
        content = logins.read_bytes()
    except OSError:
        return 0
    starts = range(0, len(content) - LOGIN_BYTES + 1, LOGIN_BYTES)
    return sum(struct.unpack_from("h", content, start)[0] == USER_PROCESS for start in starts)
