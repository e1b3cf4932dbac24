"""Decides at each occasion whether a fault of the plan strikes there, and keeps count of those that did."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Final

import attrs

from sim.chance import Chance
from sim.faults import Family, Fault, FaultKind, Plan
from sim.history import Fired, History

NS_PER_S: Final = 1_000_000_000


class Injector:
    """A plan of faults at work.  It is asked at every occasion, and decides by keyed chance."""

    def __init__(self, plan: Plan, *, chance: Chance, history: History) -> None:
        self.plan: Plan = ()
        self._chance = chance
        self._history = history
        self._by_kind: dict[FaultKind, list[Fault]] = {}
        #: Whether a fault waits for rows of one table: stores need not look at each statement for nothing.
        self.names_tables = False
        for fault in plan:
            self._enter(fault)
        self._begun_ns: int | None = None
        self._occasions: Counter[tuple[str, str]] = Counter()
        self._passed: Counter[str] = Counter()
        self._struck: Counter[str] = Counter()
        self.fired: Counter[FaultKind] = Counter()
        self.mattered: Counter[FaultKind] = Counter()
        self.when_ended: list[Callable[[], None]] = []

    @property
    def is_active(self) -> bool:
        """Tell whether faults may strike at all."""
        return self._begun_ns is not None

    def add(self, fault: Fault) -> Fault:
        """Add a fault while the others are loose; its time counts from now."""
        added = attrs.evolve(fault, at_s=fault.at_s + self.since_s())
        self._enter(added)
        return added

    def _enter(self, fault: Fault) -> None:
        self.plan = (*self.plan, fault)
        self._by_kind.setdefault(fault.kind, []).append(fault)
        self.names_tables = self.names_tables or (fault.family is Family.STORE and " " in fault.point)

    def remove(self, names: Collection[str]) -> None:
        """Take faults of these names out of the plan again."""
        self.plan = tuple(fault for fault in self.plan if fault.name not in names)
        for kind, faults in self._by_kind.items():
            self._by_kind[kind] = [fault for fault in faults if fault.name not in names]

    def begin(self) -> None:
        """Let the faults loose: their times count from now."""
        self._begun_ns = self._history.now_ns()

    def end(self) -> None:
        """Let nothing strike any more, and mend what lasts."""
        self._begun_ns = None
        for mend in self.when_ended:
            mend()

    def has(self, kind: FaultKind) -> bool:
        """Tell whether the plan has faults of a kind, so that whoever asks can save himself the trouble."""
        return kind in self._by_kind

    def is_due(self, fault: Fault) -> bool:
        """Tell whether this is a time at which the fault may strike."""
        if self._begun_ns is None:
            return False
        return fault.at_s <= self.since_s() < fault.at_s + fault.for_s

    def left_s(self, fault: Fault) -> float:
        """Tell how long a fault that is due may strike yet."""
        assert self._begun_ns is not None, "the faults were not let loose"
        return fault.at_s + fault.for_s - (self._history.now_ns() - self._begun_ns) / NS_PER_S

    def strike(
        self, kind: FaultKind, *, where: str, other: str = "", point: str = "", about: object = ""
    ) -> Fault | None:
        """Give the fault that strikes here and now, if one does; `about` keys its chance (a message, a call)."""
        faults = self._by_kind.get(kind)
        if not faults or self._begun_ns is None:
            return None
        since_s = self.since_s()
        for fault in faults:
            is_due = fault.at_s <= since_s < fault.at_s + fault.for_s
            if not is_due or not fault.matches(where=where, other=other, point=point):
                continue
            if fault.times and self._struck[fault.name] >= fault.times:
                continue
            key = f"{where} {other} {point} {about}"
            self._occasions[fault.name, key] += 1
            if not self._chance.hits(fault.chance, kind, fault.name, key, self._occasions[fault.name, key]):
                continue
            self._passed[fault.name] += 1
            if self._passed[fault.name] > fault.skip:
                self._struck[fault.name] += 1
                return fault
        return None

    def passing(self, kind: FaultKind, point: str) -> Iterator[Fault]:
        """Give the faults of a kind that strike as a conversation passes a point; whom they befall, they say."""
        for fault in self._by_kind.get(kind, ()):
            is_due = self._begun_ns is not None and self.since_s() >= fault.at_s
            if not is_due or not fault.is_at(point) or (fault.times and self._struck[fault.name] >= fault.times):
                continue
            self._passed[fault.name] += 1
            if self._passed[fault.name] > fault.skip:
                self._struck[fault.name] += 1
                yield fault

    def since_s(self) -> float:
        """Tell how long faults have been let loose."""
        assert self._begun_ns is not None, "faults have not been let loose"
        return (self._history.now_ns() - self._begun_ns) / NS_PER_S

    def note(self, fault: Fault, *, mattered: bool, text: str, process: str = "") -> None:
        """Record that a fault has struck, and whether that made any difference."""
        self.fired[fault.kind] += 1
        self.mattered[fault.kind] += mattered
        self._history.record(Fired(process=process, fault=fault, mattered=mattered, text=text))
        if mattered:
            self._history.reach(f"fault:{fault.kind}")
