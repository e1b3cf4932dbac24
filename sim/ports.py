"""What a simulated process gets for its ports `Clock`, `Ids` and `Random`: the same values in every run."""

import asyncio
import hashlib
from typing import Final

from sim.clock import NotSimulated, SimLoop

EPOCH_US: Final = 1_767_225_600_000_000
"""The wall clock at virtual time zero: 2026-01-01 00:00:00 UTC."""

_FRACTION_BITS: Final = 53
"""A float in [0, 1) holds this many bits, so that each value is equally likely and none rounds up to 1."""


class VirtualClock:
    """The wall clock of a simulated process: the running loop's virtual time after a fixed epoch."""

    def now_us(self) -> int:
        """Return microseconds since 1970."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, SimLoop):
            raise NotSimulated("a wall clock on a real loop", instead="run under sim.clock.run, or use the real Clock")
        return EPOCH_US + loop.now_ns // 1_000


class SerialIds:
    """Ids that count up from one: unique only within one instance, so all processes of a world share it."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> bytes:
        """Return the next id: 16 bytes, each greater than all before it."""
        self._last += 1
        return self._last.to_bytes(16, "big")


class SeededRandom:
    """Random numbers that a seed decides, on every Python version alike."""

    def __init__(self, seed: int | str) -> None:
        self._seed = seed
        self._drawn = 0

    def uniform(self) -> float:
        """Return the next number, in [0, 1)."""
        self._drawn += 1
        digest = hashlib.blake2b(f"{self._seed}/{self._drawn}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> (64 - _FRACTION_BITS)) / (1 << _FRACTION_BITS)
