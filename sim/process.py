"""A simulated operating-system process: what it may still do, and what it may not once it was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


class Process:
    """One incarnation of a process.  Its ports ask it before and after each thing that they do for it.

    `kill -9` runs no `finally`: so a killed process is cut from its ports first, and only then cancelled.
    """

    def __init__(self, name: str, *, run: int = 1) -> None:
        self.name = name
        self.run = run
        self.is_cut = False
        self.is_frozen = False
        self.when_cut: list[Callable[[], None]] = []  # What its ports do then: let go, in the order given.
        self.scope: anyio.CancelScope | None = None  # Of all its tasks, once it runs.

    def __str__(self) -> str:
        """Name the process."""
        return self.name

    @property
    def owner(self) -> str:
        """What the loop knows its tasks by."""
        return f"{self.name}#{self.run}"

    async def live(self) -> None:
        """Return while the process lives; never return once it was killed (but by cancellation)."""
        if self.is_cut:
            await anyio.sleep_forever()

    def kill(self) -> None:
        """End it here and now: no port does anything for it any more."""
        if self.is_cut:
            return
        self.is_cut = True
        for let_go in self.when_cut:
            let_go()
        if self.scope is not None:
            self.scope.cancel()
