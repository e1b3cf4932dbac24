"""How fast the simulator is: moves a minute on both levels with faults on, and virtual against real time.

Each round runs the variants one after the other over the same seeds; what is printed are medians over the rounds, one
JSON line a variant.  `cpu` figures count this process's own time, so that a busy machine spoils them less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from sim import running
from sim.cases.case import Case, Outcome
from sim.cases.swarm import case_of
from sim.cases.workload import Act, Op
from sim.chance import Chance
from sim.inner import running as inner

S_PER_MINUTE: Final = 60.0
MANY_CELLS: Final = 8
HOUR_MINUTES: Final = 60.0
#: Of the pure workload: how often each server is moved and settled, one after the other.
SERVERS: Final = 2
CHAPTERS: Final = 12
#: So long is a chapter in the plan of faults, and at most so long a user waits before each order: without faults a
#: move takes half a second, and faults that are spread over minutes would find nothing to befall.
CHAPTER_MINUTES: Final = 1.0
PAUSE_S: Final = 36.0
#: A resize is never confirmed: whoever has the new flavor already is refused when he resizes again.
MOVES: Final = ((Act.RESIZE, Act.REVERT), (Act.MIGRATE, Act.CONFIRM), (Act.MIGRATE, Act.REVERT))
#: What the probes call a move that has come to its good end.
SUCCEEDED: Final = ("moved", "confirmed", "reverted")


def chain_case(seed: int, *, cells: int = 4, hosts: int = 5, servers: int = SERVERS, chapters: int = CHAPTERS) -> Case:
    """Make a case of moves alone, under the faults that the swarm draws: each server moves, settles, moves again.

    One conductor and one replica of each cell: what more of them say to each other is no part of a move.
    """
    drawn = case_of(
        seed, cells=cells, hosts=hosts, minutes=chapters * CHAPTER_MINUTES, conductors=1, cell_replicas=1
    )  # fmt: skip
    names = [f"s{number}" for number in range(1, servers + 1)]
    setup = tuple(Op(name=f"create-{name}", act=Act.CREATE, server=name) for name in names)
    return attrs.evolve(drawn, setup=setup, ops=tuple(op for name in names for op in _chain(seed, name, chapters)))


def _chain(seed: int, server: str, chapters: int) -> Iterator[Op]:
    before = ""
    for chapter in range(chapters):
        for act in MOVES[chapter % len(MOVES)]:
            name = f"{server}-{chapter}-{act}"
            at_s = round(Chance(seed).between(0.0, PAUSE_S, name), 1)
            yield Op(name=name, act=act, server=server, after=before, at_s=at_s)
            before = name


@attrs.frozen(kw_only=True)
class Variant:
    """Something that is measured: how one seed is run."""

    name: str
    run: Callable[[int], Outcome]


def _with_actors(case: Case) -> Outcome:
    return running.run_case(case, is_hashed=False).outcome


VARIANTS: Final = (
    # Moves alone, which is what `moves_per_minute` means; of the swarm's users most have other errands.
    Variant(name="inner", run=lambda seed: inner.run_case(chain_case(seed), is_hashed=False)),
    Variant(name="inner-swarm", run=lambda seed: inner.run_case(case_of(seed), is_hashed=False)),
    Variant(name="actors", run=lambda seed: _with_actors(chain_case(seed))),
    Variant(name="actors-swarm", run=lambda seed: _with_actors(case_of(seed))),
    Variant(
        name=f"actors-{MANY_CELLS}-cells",
        run=lambda seed: _with_actors(case_of(seed, cells=MANY_CELLS, hosts=MANY_CELLS)),
    ),
    # The same faults and one user's story over an hour, not ten minutes: how fast time passes when little happens.
    Variant(
        name=f"actors-{MANY_CELLS}-cells-hour",
        run=lambda seed: _with_actors(
            case_of(seed, cells=MANY_CELLS, hosts=MANY_CELLS, servers=1, minutes=HOUR_MINUTES)
        ),
    ),
)


def measure(variant: Variant, seeds: range) -> dict[str, float]:
    """Run a variant over the seeds; give what it did in how much time."""
    real_s, cpu_s = time.perf_counter(), time.process_time()
    outcomes = [variant.run(seed) for seed in seeds]
    real_s, cpu_s = time.perf_counter() - real_s, time.process_time() - cpu_s
    moves = sum(outcome.moves for outcome in outcomes)
    return {
        "moves_per_minute": moves / real_s * S_PER_MINUTE,
        "moves_per_cpu_minute": moves / cpu_s * S_PER_MINUTE,
        "virtual_per_real": sum(outcome.virtual_s for outcome in outcomes) / real_s,
        "virtual_per_cpu": sum(outcome.virtual_s for outcome in outcomes) / cpu_s,
        "faults": sum(sum(outcome.fired.values()) for outcome in outcomes),
        "moves": moves,
        "succeeded": sum(outcome.probes.get(name, 0) for outcome in outcomes for name in SUCCEEDED),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    seeds = range(chosen.seeds)
    rounds = [{variant.name: measure(variant, seeds) for variant in VARIANTS} for _ in range(chosen.rounds)]
    for variant in VARIANTS:
        of = [each[variant.name] for each in rounds]
        medians = {name: round(statistics.median(each[name] for each in of), 1) for name in of[0]}
        sys.stdout.write(json.dumps({"variant": variant.name, "rounds": chosen.rounds, **medians}) + "\n")


if __name__ == "__main__":
    main()
