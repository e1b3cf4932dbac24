"""A bounded mailbox with a lane for each server: one message at a time in a lane, lanes side by side."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

from actors.kernel.leaving import Busy
from protocol.errors import Overflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.kernel.workers import Starter
    from protocol.envelope import Targeted

MAILBOX_MAX: Final = 1024


@attrs.define
class Letter:
    """An envelope in a mailbox: when it came, and what is to be called once its effect is stored."""

    envelope: Targeted
    arrived_s: float
    settle: Callable[[], None]


class Mailbox:
    """Hands letters to `handle`, those about one server in the order of their arrival."""

    def __init__(self, handle: Callable[[Letter], Awaitable[None]], *, limit: int = MAILBOX_MAX) -> None:
        self._handle = handle
        self._limit = limit
        self._lanes: dict[str, deque[Letter]] = {}
        self._size = 0
        self._busy = Busy()

    def __len__(self) -> int:
        return self._size

    @property
    def room(self) -> int:
        """Tell how many more letters fit."""
        return self._limit - self._size

    def put(self, letter: Letter, tasks: Starter) -> None:
        """Take a letter in; raise `Overflow` when the mailbox is full."""
        if self._size >= self._limit:
            raise Overflow(what="the mailbox", limit=self._limit)
        self._size += 1
        self._busy.begin()
        # What is about no server needs no order: each such letter has a lane of its own.
        name = letter.envelope.server or letter.envelope.id.hex()
        lane = self._lanes.get(name)
        if lane is not None:
            lane.append(letter)
            return
        self._lanes[name] = deque([letter])
        tasks.start_soon(self._serve, name, name=f"lane {name}")

    async def emptied(self) -> None:
        """Wait until all letters are handled."""
        await self._busy.over()

    async def _serve(self, name: str) -> None:
        lane = self._lanes[name]
        while lane:
            try:
                await self._handle(lane[0])
            finally:
                lane.popleft()
                self._size -= 1
                self._busy.end()
        del self._lanes[name]
