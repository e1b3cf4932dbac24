"""How the scenarios of these tests end, and what has gone wrong in them."""

from __future__ import annotations

from sim import Scenario
from sim.faults import FaultKind


async def at_rest(s: Scenario) -> None:
    """Come to rest, with every promise held."""
    await s.quiet()
    s.check()


def kinds(s: Scenario) -> list[tuple[FaultKind, bool]]:
    """List the faults that have struck, and whether each mattered."""
    return [(fired.fault.kind, fired.mattered) for fired in s.truth.fired()]
