"""What the kernel counts and logs, as the processes keep it."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

RECENT_MAX: Final = 1000


class MemoryEvents:
    """Counts events, and keeps the latest: for one process, and for tests."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.recent: deque[tuple[str, dict[str, object]]] = deque(maxlen=RECENT_MAX)

    def emit(self, event: str, /, **fields: object) -> None:
        """Count the event and keep it."""
        self.counts[event] += 1
        self.recent.append((event, fields))
