"""A handle on a guest's process that can never reach another process that was given its number."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final, Self

import anyio

from actors.partners.polling import poll

if TYPE_CHECKING:
    from types import TracebackType

    from actors.compute.drivers.domain import Running

#: How long the kernel may take to end a process after SIGKILL.
KILL_S: Final = 10.0


class GuestProcess:
    """A living process, held by a descriptor: when it has ended, signals to it reach nobody."""

    def __init__(self, running: Running, pid_fd: int) -> None:
        self.running = running
        self._pid_fd = pid_fd

    @classmethod
    def find(cls, running: Running | None) -> Self | None:
        """Take hold of the process; None when it has ended."""
        if running is None:
            return None
        try:
            pid_fd = os.pidfd_open(running.pid)
        except ProcessLookupError:
            return None
        # Compared only now, when the number can no longer pass to another process.
        if running.state() is None:
            os.close(pid_fd)
            return None
        return cls(running, pid_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._pid_fd)

    @property
    def is_held(self) -> bool:
        """Whether it is stopped by a signal."""
        return self.running.state() == "T"

    def send(self, *signals: signal.Signals) -> None:
        """Send signals; it is no error when the process has ended."""
        for each in signals:
            try:
                signal.pidfd_send_signal(self._pid_fd, each)
            except ProcessLookupError:
                return

    async def stop(self, *, grace_s: float) -> bool:
        """Ask it to end, then kill it.  False when even that did not help in time."""
        self.send(signal.SIGTERM, signal.SIGCONT)
        if await self._has_ended(within_s=grace_s):
            return True
        self.send(signal.SIGKILL)
        return await self._has_ended(within_s=KILL_S)

    async def hold(self) -> None:
        """Stop it by a signal, and wait until it stands still or has ended."""
        self.send(signal.SIGSTOP)
        await poll(lambda: True if self.running.state() in {"T", None} else None)

    async def _has_ended(self, *, within_s: float) -> bool:
        with anyio.move_on_after(within_s):
            await anyio.wait_readable(self._pid_fd)
            return True
        return self.running.state() is None
