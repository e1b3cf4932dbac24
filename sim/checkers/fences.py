"""Oracle over fences: a host that may come back does, whatever it was told and owed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.invariants.standing import lifting
from sim.checkers.oracle import Oracle
from sim.checkers.orders import BOUND_S

if TYPE_CHECKING:
    from protocol.truth import Truth


class FencesLifted(Oracle):
    """A fence that is to be lifted is gone when all has been healed for ten times the longest pause."""

    name = "fences_lifted"
    letters = "V1"

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:
        """Ask for fences that nobody needs any more: then every machine is up, and nothing is in its way."""
        for fence in lifting(truth) if healed_for_s >= BOUND_S else ():
            text = f"its fence is to be lifted, and is there {healed_for_s:.0f} s after everything was healed"
            self.accuse(fence.host, text)
