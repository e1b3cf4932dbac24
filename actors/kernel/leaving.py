"""How an actor leaves: it takes nothing more, finishes what it has taken, answers, and is gone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator


class Busy:
    """Counts what is being done, and lets somebody wait until nothing is."""

    def __init__(self) -> None:
        self._count = 0
        self._changed: anyio.Event | None = None  # There while somebody waits.

    def begin(self) -> None:
        """Count one more; from before its task runs."""
        self._count += 1

    def end(self) -> None:
        """Count one less."""
        self._count -= 1
        if self._changed is not None:
            self._changed.set()

    @contextmanager
    def doing(self) -> Iterator[None]:
        """End, in whatever way, what was begun."""
        try:
            yield
        finally:
            self.end()

    async def over(self) -> None:
        """Wait until nothing is being done."""
        while self._count:
            self._changed = anyio.Event()
            await self._changed.wait()


class Leaving:
    """Whether an actor has been asked to leave, and whether it is gone."""

    def __init__(self) -> None:
        self._asked = anyio.Event()
        self._gone = anyio.Event()

    async def leave(self) -> None:
        """Ask the actor to leave, and wait until it is gone."""
        self._asked.set()
        await self._gone.wait()

    @property
    def is_asked(self) -> bool:
        """Tell whether it has been asked."""
        return self._asked.is_set()

    async def asked(self) -> None:
        """Wait until it is asked."""
        await self._asked.wait()

    def done(self) -> None:
        """Say that it is gone."""
        self._gone.set()
