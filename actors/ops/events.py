"""What the kernel counts and logs, as the processes keep it."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from actors.kernel.metrics import NO_METERS
from actors.kernel.traces import NO_TRACES

if TYPE_CHECKING:
    from actors.kernel.metrics import Meters
    from actors.kernel.traces import Traces

RECENT_MAX: Final = 1000


class MemoryEvents:
    """Counts events, and keeps the latest: for one process, and for tests; figures and traces are others' matter."""

    def __init__(self, *, meters: Meters = NO_METERS, traces: Traces = NO_TRACES) -> None:
        self.meters = meters
        self.traces = traces
        self.counts: Counter[str] = Counter()
        self.recent: deque[tuple[str, dict[str, object]]] = deque(maxlen=RECENT_MAX)

    def emit(self, event: str, /, **fields: object) -> None:
        """Count the event and keep it."""
        self.counts[event] += 1
        self.recent.append((event, fields))
