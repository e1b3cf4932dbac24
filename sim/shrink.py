"""Shrinking: takes away from a failing case whatever is not needed for the same invariant to break.

It can be this plain because chance is keyed: when one fault is gone, all others decide as they did before.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import attrs

from sim.cases.case import Breach, Case
from sim.cases.layout import Layout
from sim.cases.places import mistakes
from sim.cases.workload import Act, Op
from sim.faults import Fault

T = TypeVar("T")
Fails = Callable[[Case], Breach | None]
CELLS_MIN: Final = 2
MINUTES_MIN: Final = 0.5
SHORTEST_S: Final = 0.5
#: What a fault's or an operation's seconds are rounded to, so that a person can read them.
ROUND_S: Final = (10.0, 1.0)


def shrink(
    case: Case, *, fails: Fails, within: int, wanted: Breach, suspects: Sequence[str] = (), layout: Layout | None = None
) -> Case:
    """Give the smallest case found in so many runs of `fails` that breaks the wanted invariant.

    A candidate is kept only when the same invariant breaks in it: another breach is another story.  The faults that are
    suspected, the likeliest first, are tried alone before any others.  With a layout, that is the cloud of all runs.
    """
    shrinker = _Shrinker(case, fails=fails, within=within, invariant=wanted.invariant, layout=layout)
    shrinker.suspect(suspects)
    while shrinker.pass_all():
        pass
    return shrinker.case


class _Shrinker:
    """A case that gets smaller, as long as it fails and there are runs left."""

    def __init__(self, case: Case, *, fails: Fails, within: int, invariant: str, layout: Layout | None) -> None:
        self.case = case
        self._fails = fails
        self._left = within
        self._invariant = invariant
        self._tried = {case}
        self._layout = layout
        self._may_be_wrong = bool(mistakes(case, layout))  # A person's case may name what is not there.

    def suspect(self, names: Sequence[str]) -> None:
        """Try without any fault, then with one suspect alone, then with all of them."""
        suspected = [fault for name in names for fault in self.case.faults if fault.name == name]
        plans = [(), *((fault,) for fault in suspected), tuple(f for f in self.case.faults if f in suspected)]
        for plan in plans:
            if self._keep(attrs.evolve(self.case, faults=plan)):
                return

    def pass_all(self) -> bool:
        """Try everything once; tell whether anything has become smaller."""
        before = self.case
        self._remove()
        self._one_by_one(_shorter)
        self._one_by_one(_weaker_faults)
        self._one_by_one(_simpler_ops)
        if self._layout is None:
            self._one_by_one(_smaller_worlds)
        self._one_by_one(_shorter)
        return self.case != before

    def _remove(self) -> None:
        """Take away until nothing more can go: what is left is small, and its runs are quick."""
        before: Case | None = None
        while self.case != before:
            before = self.case
            self._faults()
            self._servers()  # Before the operations, for each of them has many.
            self._ops()

    def _keep(self, candidate: Case) -> bool:
        """Take the candidate if it still fails."""
        if (
            candidate in self._tried
            or self._left <= 0
            or (mistakes(candidate, self._layout) and not self._may_be_wrong)
        ):
            return False
        self._tried.add(candidate)
        self._left -= 1
        breach = self._fails(candidate)
        if breach is None or breach.invariant != self._invariant:
            return False
        self.case = candidate
        return True

    # --- what can be taken away --------------------------------------------------------------------------------

    def _faults(self) -> None:
        self._without(self.case.faults, lambda kept: attrs.evolve(self.case, faults=tuple(kept)))

    def _ops(self) -> None:
        self._without(self.case.ops, lambda kept: attrs.evolve(self.case, ops=_with_what_they_await(self.case, kept)))
        extra = [op for op in self.case.setup if op.act is not Act.CREATE]
        for op in extra:
            self._keep(_without_op(self.case, op))

    def _servers(self) -> None:
        for server in dict.fromkeys(op.server for op in (*self.case.setup, *self.case.ops)):
            self._keep(_without_server(self.case, server))

    def _without(self, items: Sequence[T], case_of: Callable[[list[T]], Case]) -> None:
        """Delta debugging: take away all, then halves, quarters and so on down to single ones."""
        kept = list(items)
        size = len(kept)
        while size and kept:
            start = 0
            while start < len(kept):
                fewer = kept[:start] + kept[start + size :]
                if self._keep(case_of(fewer)):
                    kept = fewer
                else:
                    start += size
            size //= 2

    def _one_by_one(self, candidates: Callable[[Case], Iterator[Case]]) -> None:
        """Take the first candidate that still fails, and begin again with that, until none does."""
        while any(self._keep(candidate) for candidate in candidates(self.case)):
            pass


def _with_what_they_await(case: Case, kept: Sequence[Op]) -> tuple[Op, ...]:
    """Leave out, too, what came after an operation that is gone."""
    known = {op.name for op in case.setup}
    result: list[Op] = []
    for op in kept:
        if not op.after or op.after in known:
            known.add(op.name)
            result.append(op)
    return tuple(result)


def _without_op(case: Case, gone: Op) -> Case:
    setup = tuple(op for op in case.setup if op is not gone)
    fewer = attrs.evolve(case, setup=setup)
    return attrs.evolve(fewer, ops=_with_what_they_await(fewer, fewer.ops))


def _without_server(case: Case, server: str) -> Case:
    return attrs.evolve(
        case,
        setup=tuple(op for op in case.setup if op.server != server),
        ops=tuple(op for op in case.ops if op.server != server),
    )


# --- what can be made simpler ------------------------------------------------------------------------------


def _weaker_faults(case: Case) -> Iterator[Case]:
    for place, fault in enumerate(case.faults):
        for weaker in _weaker(fault):
            if weaker != fault:
                yield attrs.evolve(case, faults=(*case.faults[:place], weaker, *case.faults[place + 1 :]))


def _weaker(fault: Fault) -> Iterator[Fault]:
    if fault.chance < 1 or fault.times != 1:
        yield attrs.evolve(fault, chance=1.0, times=1)
    if fault.times > 1:
        yield attrs.evolve(fault, times=fault.times // 2)
    if fault.skip:
        yield attrs.evolve(fault, skip=0)
        yield attrs.evolve(fault, skip=fault.skip // 2)
    if not math.isinf(fault.for_s):
        yield from (attrs.evolve(fault, for_s=shorter) for shorter in _shorter_times(fault.for_s))
    yield from (attrs.evolve(fault, amount_s=smaller) for smaller in _shorter_times(fault.amount_s))
    yield from (attrs.evolve(fault, at_s=rounded) for rounded in _rounded(fault.at_s))


def _simpler_ops(case: Case) -> Iterator[Case]:
    for place, op in enumerate(case.ops):
        for simpler in _simpler(op):
            if simpler != op:
                yield attrs.evolve(case, ops=(*case.ops[:place], simpler, *case.ops[place + 1 :]))
    for place, op in enumerate(case.setup):
        for simpler in _simpler(op):
            if simpler != op:
                yield attrs.evolve(case, setup=(*case.setup[:place], simpler, *case.setup[place + 1 :]))


def _simpler(op: Op) -> Iterator[Op]:
    if op.act is Act.CREATE:
        yield attrs.evolve(op, is_volume_backed=False, volume="")
        yield attrs.evolve(op, is_volume_backed=False)
        yield attrs.evolve(op, volume="")
    if op.act is Act.RESIZE:
        yield attrs.evolve(op, act=Act.MIGRATE)
    yield attrs.evolve(op, host="")
    yield from (attrs.evolve(op, at_s=rounded) for rounded in _rounded(op.at_s))


def _smaller_worlds(case: Case) -> Iterator[Case]:
    for hosts in range(1, case.hosts):
        yield attrs.evolve(case, hosts=hosts)
    for cells in range(CELLS_MIN, case.cells):
        yield attrs.evolve(case, cells=cells)
    if case.own_cell_weight > 0:
        yield attrs.evolve(case, own_cell_weight=-1)
    if case.strategy != "fifo":
        yield attrs.evolve(case, strategy="fifo")


def _shorter(case: Case) -> Iterator[Case]:
    for minutes in (MINUTES_MIN, 1.0, 2.0, case.minutes / 2):
        if MINUTES_MIN <= minutes < case.minutes:
            yield attrs.evolve(case, minutes=minutes)


def _shorter_times(seconds: float) -> Iterator[float]:
    for shorter in (1.0, 5.0, float(f"{seconds / 2:.2g}")):
        if SHORTEST_S <= shorter < seconds:
            yield shorter


def _rounded(seconds: float) -> Iterator[float]:
    if seconds > 0:
        yield 0.0
    for unit in ROUND_S:
        if (rounded := seconds // unit * unit) not in {0.0, seconds}:
            yield rounded
