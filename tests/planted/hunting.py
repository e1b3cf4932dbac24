"""Hunts planted bugs: runs seed after seed until what must find them does; and runs the clean code on the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Final

import attrs

from sim.cases.case import Breach
from sim.cases.portfolio import Mix
from sim.commands import levels
from tests.planted.planting import BUGS, Bug, Level

#: So many runs may a hunt take: well under a minute, and most are over with the first.
RUNS_MAX: Final[Mapping[Level, int]] = {Level.LOOP: 30, Level.INNER: 120}
GROUPS: Final = (
    "plans",
    "leaks",
    "records",
    "inbox",
    "journals",
    "leases",
    "messages",
    "changes",
    "deletes",
    "groups",
    "inside",
    "fences",
    "inner",
)


def all_bugs() -> tuple[Bug, ...]:
    """Give every planted bug, in the order of their groups."""
    for group in GROUPS:
        import_module(f"tests.planted.bugs_{group}")
    return tuple(BUGS)


@attrs.frozen(kw_only=True)
class Hunt:
    """What a hunt has come to: the seeds that were run, and what was found under the last of them."""

    seeds: tuple[int, ...]
    breach: Breach | None


def hunt(bug: Bug, level: Level, wanted: str) -> Hunt:
    """Plant a bug and run the seeds of its mix until the wanted invariant or oracle says that it is broken."""
    run: list[int] = []
    breach: Breach | None = None
    while breach is None and len(run) < RUNS_MAX[level]:
        run.append(bug.since + len(run))
        case = bug.mix.case(run[-1])
        with bug.planted():
            breach = _at(level).breach(case, wanted=wanted)
    return Hunt(seeds=tuple(run), breach=breach)


@cache
def clean(mix: Mix, level: Level, seed: int) -> tuple[str, ...]:
    """Run a seed with nothing planted; tell what breaks all the same.  Each seed is run once for all bugs."""
    return tuple(f"{each.invariant} of {each.server}: {each.text}" for each in _breaches(mix, level, seed))


def _breaches(mix: Mix, level: Level, seed: int) -> tuple[Breach, ...]:
    return _at(level).run(mix.case(seed)).outcome.breaches


def _at(level: Level) -> levels.Level:
    return levels.Level(is_inner=level is Level.INNER)
