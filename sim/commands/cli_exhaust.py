"""The command `cellferry sim exhaust`: kills every process at every point of every kind of move."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from sim.commands.exhausting import Verdict, Yield, exhaust
from sim.commands.levels import Level
from sim.commands.showing import cores
from sim.commands.stopwatch import Stopwatch
from sim.commands.tables import show_table
from sim.exhaustive import STORIES, Trial, pairs_of, points_of, share_of, singles_of
from sim.telling.report import replay_command, write_report

FAILED: Final = 1
JSON: Final = "json"
PROGRESS_S: Final = 10.0
SHOWN_MAX: Final = 20
PATH: Final = click.Path(path_type=Path, file_okay=False)


@click.command(name="exhaust")
@click.option("--story", "stories", multiple=True, type=click.Choice(list(STORIES)),
              help="Of this move only; may be given again.  [default: all]")  # fmt: skip
@click.option("--pairs", "is_in_pairs", is_flag=True, help="Kill the conductor twice, at every pair of points.")
@click.option("--share", type=click.FloatRange(0, 1), default=1.0, show_default=True,
              help="This share of all trials: always the same ones.")  # fmt: skip
@click.option("--inner", "is_inner", is_flag=True, help="Run the pure cores alone: faster, and less is tested.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes at once.  [default: all cores]")
@click.option("--report", type=PATH, default="sim-report", show_default=True, help="Folder for what is left of it.")
@click.option("-f", "--format", "form", type=click.Choice(["table", JSON]), default="table",
              help="For people, or for programs.")  # fmt: skip
def exhaust_command(
    *, stories: tuple[str, ...], is_in_pairs: bool, share: float, is_inner: bool, jobs: int | None, report: Path,
    form: str,
) -> None:  # fmt: skip
    """Kill every process at every point of every kind of move, one trial each; exit 1 when something does not hold."""
    watch = Stopwatch()
    trials = share_of(trials_of(stories or tuple(STORIES), is_in_pairs=is_in_pairs), share)
    result = exhaust(trials, level=Level(is_inner=is_inner), jobs=jobs or cores(), tell=_Progress().tell)
    document = document_of(result, real_s=watch.elapsed_s)
    if result.found:
        document["replay"] = _report(min(result.found, key=_name), report, is_inner=is_inner)
    if form == JSON:
        click.echo(json.dumps(document, indent=1))
    else:
        _show(document)
    if result.found or (result.vacant and not is_in_pairs):
        raise click.exceptions.Exit(FAILED)


def trials_of(stories: tuple[str, ...], *, is_in_pairs: bool) -> Iterator[Trial]:
    """Give the trials of some stories."""
    for name in stories:
        story = STORIES[name]
        make = pairs_of if is_in_pairs else singles_of
        yield from make(story, points_of(story.case))


def document_of(result: Yield, *, real_s: float) -> dict[str, Any]:
    """Tell everything about many trials."""
    return {
        "trials": result.trials,
        "vacant": result.vacant,
        "breaches": len(result.found),
        "violations": [_row(verdict) for verdict in sorted(result.found, key=_name)],
        "real_s": round(real_s, 3),
    }


def _name(verdict: Verdict) -> str:
    return verdict.trial.name


def _row(verdict: Verdict) -> dict[str, Any]:
    breach = verdict.breach
    assert breach is not None, "only what broke something is found"
    return {
        "trial": verdict.trial.name, "invariant": breach.invariant, "step": breach.step, "server": breach.server,
        "text": breach.text,
    }  # fmt: skip


class _Progress:
    """Says now and then how far it is."""

    def __init__(self) -> None:
        self._watch = Stopwatch()
        self._told_s = 0.0

    def tell(self, so_far: Yield) -> None:
        """Say it, if that has not just been said."""
        elapsed_s = self._watch.elapsed_s
        if elapsed_s - self._told_s >= PROGRESS_S:
            self._told_s = elapsed_s
            click.echo(f"{elapsed_s:6.1f} s: {so_far.trials} trials, {len(so_far.found)} breaches", file=sys.stderr)


def _report(verdict: Verdict, folder: Path, *, is_inner: bool) -> str:
    """Write the report on one trial: it is as small as it can be already."""
    ran = Level(is_inner=is_inner).run(verdict.trial.case)
    options = ("--inner",) if is_inner else ()
    write_report(ran, ran, folder, options=options)
    return replay_command(str(folder / "case.json"), *options)


def _show(document: dict[str, Any]) -> None:
    click.echo(f"{document['trials']} trials, {document['breaches']} breaches in {document['real_s']:.1f} s")
    if document["vacant"]:
        click.echo(f"In {len(document['vacant'])} of them somebody lived on, as in {document['vacant'][0]}")
    if not document["violations"]:
        click.secho("OK: every invariant and oracle holds.", fg="green", bold=True)
        return
    shown = document["violations"][:SHOWN_MAX]
    rows = ((row["invariant"], row["trial"], row["step"], row["text"]) for row in shown)
    show_table("What does not hold", ("invariant", "trial", "line", "text"), rows)
    if len(shown) < document["breaches"]:
        click.echo(f"... and {document['breaches'] - len(shown)} more: -f json lists them all")
    click.echo(f"Replay the first with: {document['replay']}")
