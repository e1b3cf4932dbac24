"""Links that are cut now, as one fault of the plan: which they are may change while the scenario goes on."""

from __future__ import annotations

import attrs

from sim.faults import Fault, FaultKind


@attrs.frozen(kw_only=True)
class Cuts(Fault):
    """Stands in a plan, from its begin to its end, for every way that is cut at the moment."""

    kind: FaultKind = FaultKind.CUT_ONE_WAY
    name: str = "cuts"
    times: int = 0
    ways: list[Fault] = attrs.field(factory=list, eq=False)

    def matches(self, *, where: str, other: str, point: str) -> bool:
        """Tell whether this way is cut."""
        return any(way.matches(where=where, other=other, point=point) for way in self.ways)

    def cut(self, sender: str, receiver: str) -> None:
        """Let nothing pass from one process to another; empty: from or to any."""
        number = len(self.ways) + 1
        self.ways.append(Fault(kind=self.kind, name=f"{self.name}-{number}", where=sender, other=receiver, times=0))

    def heal(self) -> None:
        """Let everything pass again."""
        self.ways.clear()
