"""A conversation as whoever carries it out last wrote it, for those who watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

if TYPE_CHECKING:
    from protocol.journal import Journal


@attrs.define
class Watched:
    """A conversation as this replica last wrote it, and the event that its next entry sets."""

    journal: Journal | None = None  # None: it was not read yet.
    waits_for: str | None = None
    changed: anyio.Event = attrs.field(factory=anyio.Event)
    woken: anyio.Event = attrs.field(factory=anyio.Event)

    @property
    def count(self) -> int:
        """Count the entries that are known of."""
        return len(self.journal.entries) if self.journal is not None else 0
