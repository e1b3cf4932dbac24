"""What a process tells the service manager that started it: that it is ready, waits, lives, is leaving.

The protocol of systemd's `sd_notify(3)`: datagrams of NAME=value lines to the socket that NOTIFY_SOCKET names.  Without
one nobody asked, and nothing is told.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
US_A_S: Final = 1e6


class Notifier:
    """A way to the service manager, if there is one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read from the environment whether one asks, and how often it wants to hear that the process lives."""
        self._address = environ.get(SOCKET, "")
        self._watchdog_s = int(environ.get(WATCHDOG) or 0) / US_A_S

    def ready(self) -> None:
        """Say that messages are taken."""
        self._tell("READY=1", "STATUS=running")

    def waits(self, why: str, *, for_s: float) -> None:
        """Say that it is still starting, why, and that this is no reason to end it for so long."""
        self._tell(f"EXTEND_TIMEOUT_USEC={int(for_s * US_A_S)}", f"STATUS={' '.join(why.split())}")

    def stopping(self) -> None:
        """Say that it leaves: it finishes what it has taken."""
        self._tell("STOPPING=1", "STATUS=finishing what was taken")

    async def live(self) -> None:
        """Say again and again that the process lives, if that is asked; from its own loop: not if that hangs."""
        while self._watchdog_s:
            self._tell("WATCHDOG=1")
            # Twice as often as asked, as the manual has it: one that is late is no death.
            await anyio.sleep(self._watchdog_s / 2.0)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # An address that begins with @ is of the abstract namespace.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as way:
            try:
                way.sendto("\n".join(lines).encode(), address)
            except OSError:
                # A manager that does not listen is no reason not to serve; its watchdog finds us if it wants to.
                return
