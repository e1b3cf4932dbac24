"""The ports of a real process that are the machine's own: its clock, ids and chance."""

from __future__ import annotations

import random
import time
from typing import Final

ID_WORD_BITS: Final = 64
_CHANCE: Final = random.SystemRandom()


class SystemClock:
    """The machine's wall clock."""

    def now_us(self) -> int:
        """Tell the time in microseconds since 1970."""
        return time.time_ns() // 1000


class SystemIds:
    """Ids of 16 bytes: the time, rising within this process, then chance."""

    def __init__(self) -> None:
        """Begin at the present."""
        self._last_ns = 0

    def new(self) -> bytes:
        """Make the next id."""
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return ((self._last_ns << ID_WORD_BITS) | _CHANCE.getrandbits(ID_WORD_BITS)).to_bytes(16)


class SystemRandom:
    """The operating system's chance."""

    def uniform(self) -> float:
        """Draw from 0 (included) to 1 (excluded)."""
        return _CHANCE.random()
