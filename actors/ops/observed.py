"""The events of a real process: each becomes a line of its log, and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kernel.events import EVENTS
from actors.kernel.metrics import COUNTED, EVENTS_TOLD

if TYPE_CHECKING:
    from actors.kernel.metrics import Meters
    from actors.kernel.traces import Traces
    from actors.ops.logs import Log

#: What an event that is not declared is counted as: labels are bounded.
UNDECLARED = "other"


class ObservedEvents:
    """Writes events into a log, and counts them."""

    def __init__(self, log: Log, *, meters: Meters, traces: Traces) -> None:
        """Take the parts, which others use, too."""
        self.log = log
        self.meters = meters
        self.traces = traces

    def emit(self, event: str, /, **fields: object) -> None:
        """Write one line, and count it."""
        self.meters.add(EVENTS_TOLD, event if event in EVENTS else UNDECLARED)
        if event in COUNTED:
            metric, names = COUNTED[event]
            self.meters.add(metric, *(str(fields.get(name, "")) for name in names))
        self.log.write(event, fields)
