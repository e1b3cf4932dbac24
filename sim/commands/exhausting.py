"""Runs the trials of a driver on all cores, and gathers what breaks.  Nothing of it is part of a run."""

from __future__ import annotations

import signal
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import attrs

from sim.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sim.cases.case import Breach
    from sim.commands.levels import Level
    from sim.trials import Trial

#: So many trials wait for each process, so that none is ever idle.
AHEAD: Final = 4


@attrs.frozen(kw_only=True)
class Verdict:
    """What came of a trial."""

    trial: Trial
    breach: Breach | None
    deaths: int  # How many of those who were to be killed were.

    @property
    def is_vacant(self) -> bool:
        """Whether somebody was not killed after all: the trial has proved less than it says."""
        return self.deaths < sum(fault.kind is FaultKind.CRASH_AT for fault in self.trial.case.faults)


@attrs.define
class Yield:
    """What many trials have come to so far."""

    trials: int = 0
    vacant: list[str] = attrs.field(factory=list)
    found: list[Verdict] = attrs.field(factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a trial."""
        self.trials += 1
        if verdict.is_vacant:
            self.vacant.append(verdict.trial.name)
        if verdict.breach is not None:
            self.found.append(verdict)


def judge(level: Level, trial: Trial) -> Verdict:
    """Run one trial."""
    outcome = level.run(trial.case).outcome
    return Verdict(trial=trial, breach=outcome.first, deaths=outcome.fired.get(FaultKind.CRASH_AT, 0))


def exhaust(
    trials: Iterable[Trial], *, level: Level, jobs: int, tell: Callable[[Yield], None] = lambda _so_far: None
) -> Yield:
    """Run all trials; `tell` hears of each how far it is."""
    result = Yield()
    for verdict in _verdicts(iter(trials), level, jobs):
        result.add(verdict)
        tell(result)
    return result


def _verdicts(trials: Iterator[Trial], level: Level, jobs: int) -> Iterator[Verdict]:
    """Give verdicts as they are known."""
    if jobs == 1:
        yield from map(partial(judge, level), trials)
        return
    # Spawned, for a forked process would inherit this one's threads and locks.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_interrupts)
    try:
        running = {pool.submit(judge, level, trial) for trial in islice(trials, jobs * AHEAD)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(judge, level, trial) for trial in islice(trials, len(done))}
            yield from map(Future.result, done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts() -> None:
    """Let the command itself answer to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
