"""Hunts planted bugs: runs seed after seed until what must find them does; and runs the clean code on the same.

A hunt begins with the seed that found the bug when `python -m tests.planted.hunting` was last run: most are over with
it.  Where the code has changed since, so that it finds nothing any more, the search begins anew.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import attrs

from sim.cases.case import Breach
from sim.cases.portfolio import Mix
from sim.commands import levels
from tests.planted.planting import BUGS, Bug, Level

#: So many runs may a hunt take: well under a minute, and most are over with the first.
RUNS_MAX: Final[Mapping[Level, int]] = {Level.LOOP: 30, Level.INNER: 120}
PICKS: Final = Path(__file__).with_name("picks.toml")
PICKS_HEAD: Final = "# The seed under which each planted bug was last found: `python -m tests.planted.hunting`.\n"
GROUPS: Final = (
    "plans",
    "leaks",
    "records",
    "inbox",
    "journals",
    "leases",
    "messages",
    "mirror",
    "changes",
    "deletes",
    "groups",
    "inside",
    "fences",
    "reboots",
    "repairs",
    "errands",
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


@cache
def _picks() -> dict[str, int]:
    return tomllib.loads(PICKS.read_text(encoding="utf-8")) if PICKS.exists() else {}


def name_of(bug: Bug, level: Level, wanted: str) -> str:
    """Name a hunt."""
    return f"{level}-{bug.name}-{wanted}"


def seeds_of(bug: Bug, level: Level, wanted: str) -> Iterator[int]:
    """Give the seeds of a hunt, in order: the one that is known to find the bug, then those of the search."""
    pick = _picks().get(name_of(bug, level, wanted))
    if pick is not None:
        yield pick
    yield from (seed for seed in count(bug.since) if seed != pick)


def hunt(bug: Bug, level: Level, wanted: str) -> Hunt:
    """Plant a bug and run the seeds of its mix until the wanted invariant or oracle says that it is broken."""
    run: list[int] = []
    breach: Breach | None = None
    for seed in islice(seeds_of(bug, level, wanted), RUNS_MAX[level]):
        run.append(seed)
        with bug.planted():
            breach = _at(level).breach(bug.mix.case(seed), wanted=wanted)
        if breach is not None:
            break
    return Hunt(seeds=tuple(run), breach=breach)


@cache
def clean(mix: Mix, level: Level, seed: int) -> tuple[str, ...]:
    """Run a seed with nothing planted; tell what breaks all the same.  Each seed is run once for all bugs."""
    return tuple(f"{each.invariant} of {each.server}: {each.text}" for each in _breaches(mix, level, seed))


def _breaches(mix: Mix, level: Level, seed: int) -> tuple[Breach, ...]:
    return _at(level).run(mix.case(seed), is_hashed=False).outcome.breaches


def _at(level: Level) -> levels.Level:
    return levels.Level(is_inner=level is Level.INNER)


def hunts() -> Iterator[tuple[Bug, Level, str]]:
    """Give every hunt there is: each bug, on each of its levels, for each of what must find it."""
    return ((bug, level, wanted) for bug in all_bugs() for level in bug.levels for wanted in bug.caught_by)


def _pick(number: int) -> tuple[str, int | None]:
    bug, level, wanted = list(hunts())[number]
    found = hunt(bug, level, wanted)
    return name_of(bug, level, wanted), None if found.breach is None else found.seeds[-1]


def main() -> None:
    """Search for a seed of each bug, and write down what was found."""
    with get_context("spawn").Pool() as pool:
        found = dict(pool.imap_unordered(_pick, range(len(list(hunts())))))
    lost = sorted(name for name, seed in found.items() if seed is None)
    lines = [f"{name} = {seed}\n" for name, seed in sorted(found.items()) if seed is not None]
    PICKS.write_text(PICKS_HEAD + "".join(lines), encoding="utf-8")
    print(f"{len(lines)} found, {len(lost)} not: {', '.join(lost)}")  # noqa: T201  its one line of output


if __name__ == "__main__":
    main()
