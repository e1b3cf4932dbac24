"""Times and durations as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

US_A_S: Final = 1_000_000
MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400


def shown_time(at_us: int | None) -> str | None:
    """Write a time in UTC, to the second."""
    return None if at_us is None else f"{datetime.fromtimestamp(at_us // US_A_S, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def shown_span(span_us: int | None) -> str | None:
    """Write a duration: milliseconds where it is short, hours and days where it is long."""
    if span_us is None:
        return None
    if span_us < US_A_S:
        return f"{span_us / 1000:.0f} ms"
    seconds = span_us / US_A_S
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S:.0f} min {seconds % MINUTE_S:.0f} s"
    if seconds < DAY_S:
        return f"{seconds // HOUR_S:.0f} h {seconds % HOUR_S // MINUTE_S:.0f} min"
    return f"{seconds // DAY_S:.0f} d {seconds % DAY_S // HOUR_S:.0f} h"
