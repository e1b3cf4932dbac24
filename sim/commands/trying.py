"""What the commands that run trials share: progress, figures, and the report on what does not hold."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from sim.commands.exhausting import Verdict, Yield, exhaust
from sim.commands.levels import Level
from sim.commands.showing import cores
from sim.commands.stopwatch import Stopwatch
from sim.commands.tables import show_table
from sim.telling.report import replay_command, write_report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sim.trials import Trial

FAILED: Final = 1
JSON: Final = "json"
PROGRESS_S: Final = 10.0
SHOWN_MAX: Final = 20


@attrs.frozen(kw_only=True)
class Manner:
    """How trials are run, and where and how is told what came of them."""

    is_inner: bool
    jobs: int | None
    report: Path
    form: str


def run_trials(trials: Iterable[Trial], manner: Manner, *, must_all_die: bool) -> None:
    """Run trials and tell what came of them; exit 1 when something does not hold, or somebody lived who must not."""
    watch = Stopwatch()
    result = exhaust(trials, level=Level(is_inner=manner.is_inner), jobs=manner.jobs or cores(), tell=Progress().tell)
    document = document_of(result, real_s=watch.elapsed_s)
    if result.found:
        document["replay"] = report_trial(min(result.found, key=_name), manner.report, is_inner=manner.is_inner)
    if manner.form == JSON:
        click.echo(json.dumps(document, indent=1))
    else:
        show_trials(document)
    if result.found or (result.vacant and must_all_die):
        raise click.exceptions.Exit(FAILED)


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


class Progress:
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


def report_trial(verdict: Verdict, folder: Path, *, is_inner: bool) -> str:
    """Write the report on one trial: it is as small as it can be already."""
    ran = Level(is_inner=is_inner).run(verdict.trial.case)
    options = ("--inner",) if is_inner else ()
    write_report(ran, ran, folder, options=options)
    return replay_command(str(folder / "case.json"), *options)


def show_trials(document: dict[str, Any]) -> None:
    """Show a person what came of many trials."""
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
