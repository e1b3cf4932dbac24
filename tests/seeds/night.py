"""What a night runs, on all cores: determinism, hunts on both levels, every death, every race, probes.

    python -m tests.seeds.night

It prints a summary with figures, writes it to `build/night.json`, and exits with 1 when anything does not hold.
`--scale 0.001` runs a thousandth of it, to see that it works.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from sim.commands import showing
from sim.commands.choices import Choices
from sim.commands.cli_exhaust import races_of, trials_of
from sim.commands.exhausting import exhaust
from sim.commands.hunting import Limits, hunt
from sim.commands.levels import Level
from sim.commands.stopwatch import Stopwatch
from sim.commands.trying import document_of
from sim.exhaustive import STORIES
from sim.races import RACES
from sim.trials import share_of
from tests.sim.reach import OUT_OF_REACH
from tests.sim.world_programs import INNER, REAL, differing, first_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.commands.hunting import Bag

Document = dict[str, Any]

SUMMARY: Final = Path("build/night.json")
FAILED: Final = 1
#: So many seeds share the start-up of two processes.
CHUNK: Final = 25
#: Virtual time with faults of the seeds that are compared.
MINUTES: Final = 3.0
#: So many cells make a tree three levels deep: in a smaller one no message passes two edges.
CELLS: Final = 6
#: Seeds that the tests of every day do not hunt.
HUNTED_FROM: Final = range(1_000_000, 1 << 63)


@attrs.frozen(kw_only=True)
class Night:
    """How much of everything a night runs."""

    seeds: int = 1000  # Run twice, in two processes.
    real_hunt_s: float = 3600.0
    inner_hunt_s: float = 1200.0
    share: float = 1.0  # Of all deaths: of one process, and of the conductor twice.
    stories: tuple[str, ...] = tuple(STORIES)  # In which somebody dies.
    races: int = 300  # Seeds of each race.
    meetings: tuple[str, ...] = tuple(RACES)  # The races.
    jobs: int = attrs.field(factory=showing.cores)

    def scaled(self, scale: float) -> Night:
        """Give a part of this night."""
        return attrs.evolve(
            self, seeds=max(2, round(self.seeds * scale)), real_hunt_s=self.real_hunt_s * scale,
            inner_hunt_s=self.inner_hunt_s * scale, share=self.share * scale, races=max(1, round(self.races * scale)),
        )  # fmt: skip


def run_night(night: Night) -> Document:
    """Run everything, one after the other; give the figures of each part."""
    parts: Document = {}
    for name, document in _parts(night):
        parts[name] = document
        click.echo(f"{'ok    ' if document['is_ok'] else 'BROKEN'} {name}: {_line(document)}")
    return {"is_ok": all(part["is_ok"] for part in parts.values()), "parts": parts}


def _parts(night: Night) -> Iterator[tuple[str, Document]]:
    for level in (REAL, INNER):
        yield f"determinism, {level}", _determinism(night, level)
    real = _hunted(night.real_hunt_s, Choices(cells=CELLS, servers=3), night.jobs)
    yield "hunt, real", _hunt_document(real)
    yield (
        "hunt, inner",
        _hunt_document(_hunted(night.inner_hunt_s, Choices(cells=CELLS, servers=3, is_inner=True), night.jobs)),
    )
    yield "probes", _probes(real)
    for is_in_pairs in (False, True):
        for level in (INNER, REAL):
            name = "deaths of the conductor, twice" if is_in_pairs else "deaths"
            yield f"{name}, {level}", _deaths(night, level, is_in_pairs=is_in_pairs)
    for level in (INNER, REAL):
        yield f"races, {level}", _races(night, level)


def _line(document: Document) -> str:
    figures = {name: value for name, value in document.items() if type(value) in {int, float}}
    return ", ".join(f"{value} {name}" for name, value in figures.items())


# --- determinism -------------------------------------------------------------------------------------------


def _determinism(night: Night, level: str) -> Document:
    watch = Stopwatch()
    parted = [
        seed
        for first in range(1, night.seeds + 1, CHUNK)
        for seed in differing(first, min(first + CHUNK - 1, night.seeds), minutes=MINUTES, level=level)
    ]
    return {
        "is_ok": not parted,
        "seeds": night.seeds,
        "traces": night.seeds * 2,
        "parted": parted,
        "first_difference": first_difference(parted[0], minutes=MINUTES, level=level) if parted else "",
        "seconds": round(watch.elapsed_s, 1),
    }


# --- hunts -------------------------------------------------------------------------------------------------


def _hunted(for_s: float, choices: Choices, jobs: int) -> tuple[Bag, Document]:
    watch = Stopwatch()
    limits = Limits(for_s=for_s, jobs=jobs, is_collecting=True)
    bag = hunt(choices, HUNTED_FROM, limits, lambda _bag, _elapsed_s: None)
    return bag, showing.bag_document(bag, choices, real_s=watch.elapsed_s)


def _hunt_document(hunted: tuple[Bag, Document]) -> Document:
    _, document = hunted
    return {"is_ok": not document["breaches"], **document}


def _probes(hunted: tuple[Bag, Document]) -> Document:
    """Ask whether the hunt of the real actors has reached everything."""
    bag, document = hunted
    rarest = sorted(bag.probes.items(), key=lambda each: (each[1], each[0]))[:10]
    missed = [name for name in document["missed_probes"] if name not in OUT_OF_REACH]
    return {
        "is_ok": not missed,
        "reached": len(bag.probes),
        "missed": missed,
        "rarest": dict(rarest),
    }


# --- deaths ------------------------------------------------------------------------------------------------


def _deaths(night: Night, level: str, *, is_in_pairs: bool) -> Document:
    watch = Stopwatch()
    trials = share_of(trials_of(night.stories, is_in_pairs=is_in_pairs), night.share)
    result = exhaust(trials, level=Level(is_inner=level == INNER), jobs=night.jobs)
    document = document_of(result, real_s=watch.elapsed_s)
    # The second death of two may never come, and the pure cores pass fewer points.
    must_all_die = level == REAL and not is_in_pairs
    is_ok = not result.found and not (must_all_die and result.vacant)
    return {"is_ok": is_ok, **document, "vacant": len(result.vacant)}


def _races(night: Night, level: str) -> Document:
    watch = Stopwatch()
    trials = races_of(night.meetings, seeds=night.races)
    result = exhaust(trials, level=Level(is_inner=level == INNER), jobs=night.jobs)
    document = document_of(result, real_s=watch.elapsed_s)
    return {"is_ok": not result.found, **document, "vacant": len(result.vacant)}


@click.command()
@click.option("--scale", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Which part of a whole night.")  # fmt: skip
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), default=SUMMARY, show_default=True,
              help="Where the summary is written.")  # fmt: skip
def main(*, scale: float, to: Path) -> None:
    """Run a night, and write its summary."""
    document = run_night(Night().scaled(scale))
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(document, indent=1), encoding="utf-8")
    click.echo(f"The summary is in {to}")
    if not document["is_ok"]:
        raise click.exceptions.Exit(FAILED)


if __name__ == "__main__":
    main()
