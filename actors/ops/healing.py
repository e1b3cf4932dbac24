"""How the root's mirror is healed, as a cloud's file says it."""

from __future__ import annotations

from typing import Final

import attrs

from actors.ops import checks
from actors.ops.declared import about
from protocol.healing import Healing

HEAL_BATCH_MAX: Final = 1_000


@attrs.frozen(kw_only=True)
class MirrorSettings:
    """How the root's mirror of all servers is healed."""

    heal_interval_s: int = attrs.field(
        default=60, validator=checks.seconds,
        metadata=about("So often each cell tells some servers again, and the root asks for some; 0: never."),
    )  # fmt: skip
    heal_batch: int = attrs.field(
        default=16, validator=checks.amount(HEAL_BATCH_MAX), metadata=about("So many servers at a time.")
    )
    heal_window_s: int = attrs.field(
        default=3600, validator=checks.seconds, metadata=about("A cell tells again what changed within that time.")
    )

    @property
    def healing(self) -> Healing | None:
        """How it is healed, if it is."""
        if not self.heal_interval_s:
            return None
        return Healing(interval_s=self.heal_interval_s, batch=self.heal_batch, window_s=self.heal_window_s)


BY_DEFAULT: Final = MirrorSettings()
