"""Keyed randomness: each decision follows from the seed and from what it is about, never from what was drawn before.

So when one fault is removed from a run, every other decision stays what it was: that is what makes shrinking work.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

import attrs

T = TypeVar("T")

_FRACTION_BITS: Final = 53
"""A float in [0, 1) holds this many bits, so that each value is equally likely and none rounds up to 1."""


@attrs.frozen
class Chance:
    """Decisions that follow from a seed."""

    seed: int

    def uniform(self, *about: object) -> float:
        """Draw from 0 (included) to 1 (excluded) for what the words in `about` name."""
        text = "\x1f".join((str(self.seed), *map(str, about)))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> (64 - _FRACTION_BITS)) / (1 << _FRACTION_BITS)

    def hits(self, chance: float, *about: object) -> bool:
        """Decide something that happens with this probability."""
        return chance >= 1.0 or (chance > 0.0 and self.uniform(*about) < chance)

    def between(self, low: float, high: float, *about: object) -> float:
        """Draw from `low` to `high`."""
        return low + (high - low) * self.uniform(*about)

    def count(self, low: int, high: int, *about: object) -> int:
        """Draw a whole number from `low` to `high`, both included."""
        return low + int(self.uniform(*about) * (high - low + 1))

    def pick(self, options: Sequence[T], *about: object) -> T:
        """Choose one of the options."""
        assert options, "there is nothing to choose from"
        return options[int(self.uniform(*about) * len(options))]

    def shuffled(self, options: Sequence[T], *about: object) -> list[T]:
        """Give the options in another order."""
        return [
            option
            for _, option in sorted(
                ((self.uniform(*about, n), option) for n, option in enumerate(options)), key=lambda drawn: drawn[0]
            )
        ]
