"""The rows of a compute host."""

from typing import ClassVar

import attrs

from protocol.records.base import Record
from protocol.states import PowerState


@attrs.frozen(kw_only=True)
class HeldPermit(Record):
    """A host's durable copy of its right to run a guest; no number: it had one and has given it back."""

    TABLE = "held_permits"
    KEY: ClassVar[tuple[str, ...]] = ("server",)

    server: str
    number: int | None
    former_power: PowerState | None = None  # What the guest was when it was last stopped for a move.
