"""Runs seed after seed on all cores, counts, and gathers what breaks.  Nothing of it is part of a run."""

import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from typing import Final

import attrs

from sim.cases.case import Breach, Case, Outcome
from sim.commands.choices import Choices
from sim.commands.stopwatch import Stopwatch
from sim.faults import FaultKind

#: So many runs wait for each process, so that none is ever idle.
AHEAD: Final = 2
PROGRESS_S: Final = 0.5


@attrs.frozen(kw_only=True)
class Found:
    """A case that breaks something."""

    case: Case
    breach: Breach
    real_s: float


@attrs.define
class Bag:
    """What a hunt has come to so far."""

    seeds: int = 0
    moves: int = 0
    virtual_s: float = 0.0
    fired: Counter[FaultKind] = attrs.field(factory=Counter)
    probes: Counter[str] = attrs.field(factory=Counter)
    found: list[Found] = attrs.field(factory=list)

    def add(self, outcome: Outcome, real_s: float) -> None:
        """Count a run."""
        self.seeds += 1
        self.moves += outcome.moves
        self.virtual_s += outcome.virtual_s
        self.fired.update(outcome.fired)
        self.probes.update(outcome.probes)
        if outcome.first is not None:
            self.found.append(Found(case=outcome.case, breach=outcome.first, real_s=real_s))

    @property
    def kinds_broken(self) -> dict[str, Found]:
        """Give of each invariant that broke the case that ran shortest."""
        best: dict[str, Found] = {}
        for found in self.found:
            known = best.get(found.breach.invariant)
            if known is None or found.breach.step < known.breach.step:
                best[found.breach.invariant] = found
        return best


@attrs.frozen(kw_only=True)
class Limits:
    """When a hunt is over."""

    for_s: float
    jobs: int = 1
    is_collecting: bool = False


def hunt(choices: Choices, seeds: Iterable[int], limits: Limits, tell: Callable[[Bag, float], None]) -> Bag:
    """Run seeds until the time is over, or the seeds, or (unless everything is collected) something breaks."""
    bag, watch = Bag(), Stopwatch()
    for outcome, real_s in _outcomes(choices, _while_time(iter(seeds), watch, limits.for_s), limits.jobs):
        if outcome is not None:
            bag.add(outcome, real_s)
        tell(bag, watch.elapsed_s)
        if (bag.found and not limits.is_collecting) or watch.elapsed_s >= limits.for_s:
            break
    return bag


def _while_time(seeds: Iterator[int], watch: Stopwatch, for_s: float) -> Iterator[int]:
    for seed in seeds:
        if watch.elapsed_s >= for_s:
            return
        yield seed


def _outcomes(choices: Choices, seeds: Iterator[int], jobs: int) -> Iterator[tuple[Outcome | None, float]]:
    """Give the outcome of each seed as it is known, and now and then None, so that progress can be shown."""
    if jobs == 1:
        for seed in seeds:
            yield judged(choices, seed)
        return
    # Spawned, for a forked process would inherit this one's threads and locks.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_interrupts)
    try:
        running = {pool.submit(judged, choices, seed) for seed in islice(seeds, jobs * AHEAD)}
        while running:
            done, running = wait(running, timeout=PROGRESS_S, return_when=FIRST_COMPLETED)
            running |= {pool.submit(judged, choices, seed) for seed in islice(seeds, len(done))}
            yield from map(Future.result, done)
            if not done:
                yield None, 0.0
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts() -> None:
    """Let the command itself answer to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def judged(choices: Choices, seed: int) -> tuple[Outcome, float]:
    """Run one seed; give its outcome and how long it took."""
    watch = Stopwatch()
    return choices.level.run(choices.case(seed)).outcome, watch.elapsed_s
