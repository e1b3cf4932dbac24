"""How long a conversation waits: for an answer, before it tries again, and before it takes another way."""

from __future__ import annotations

from typing import Final

CALL_BUDGET_S: Final = 30.0
GATHER_BUDGET_S: Final = 10.0
#: How long a step that may still fail is asked again when its outcome is unknown, before it is undone.
PATIENCE_S: Final = 120.0
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 30.0
#: From here on doubling makes no difference.
DOUBLINGS_MAX: Final = 16


def backoff_s(tries: int, chance: float) -> float:
    """Give the pause, in seconds, after so many tries: doubling up to a limit, less up to half of it by chance."""
    return min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(tries, DOUBLINGS_MAX)) * (0.5 + 0.5 * chance)
