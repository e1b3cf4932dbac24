"""What the commands show: documents for programs, and the same as plain text for people."""

import json
import os
from pathlib import Path
from typing import Any, Final, TextIO

import click

from sim.cases.case import Outcome
from sim.commands.choices import Choices
from sim.commands.hunting import Bag
from sim.commands.levels import Ran
from sim.commands.stopwatch import Stopwatch
from sim.commands.tables import show_table
from sim.history import Line, Phase
from sim.probes import missed
from sim.telling.account import give_account
from sim.telling.holdings import holdings
from sim.telling.report import VERDICT, replay_command, verdict_of
from sim.telling.story import promise_of

Document = dict[str, Any]
#: So many lines before and after the one that is looked at.
AROUND: Final = 12
LINE_LETTERS: Final = 220
#: So many probes that were never reached are named; a short hunt misses most.
MISSED_NAMED_MAX: Final = 8
#: How often progress is shown: on a terminal, and in a log.
TERMINAL_S: Final = 0.5
LOG_S: Final = 10.0


def cores() -> int:
    """Tell how many processes this machine runs at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- one run -----------------------------------------------------------------------------------------------


def outcome_document(outcome: Outcome, *, real_s: float) -> Document:
    """Tell everything about a run."""
    return {
        "seed": outcome.case.seed,
        "trace_sha256": outcome.trace_sha256,
        "moves": outcome.moves,
        "messages": outcome.messages,
        "steps": outcome.steps,
        "faults": {str(kind): count for kind, count in outcome.fired.items()},
        "mattered": {str(kind): count for kind, count in outcome.mattered.items()},
        "virtual_s": round(outcome.virtual_s, 3),
        "real_s": round(real_s, 3),
        "violations": [
            {"invariant": breach.invariant, "step": breach.step, "server": breach.server, "text": breach.text}
            for breach in sorted(outcome.breaches, key=lambda breach: breach.step)
        ],
    }


def show_outcome(document: Document, *, replay: str) -> None:
    """Write a run for people."""
    ratio = document["virtual_s"] / max(document["real_s"], 0.001)
    click.echo(
        f"Seed {document['seed']}: {document['moves']} moves, {document['messages']} messages, "
        f"{document['steps']} lines of history; {document['virtual_s']:.1f} s of virtual time "
        f"in {document['real_s']:.2f} s ({ratio:,.0f} : 1)"
    )
    click.echo(f"Trace {document['trace_sha256']}")
    if document["faults"]:
        rows = [(kind, count, document["mattered"].get(kind, 0)) for kind, count in document["faults"].items()]
        click.echo()
        show_table("Faults", ("kind", "fired", "mattered"), rows)
    click.echo()
    _show_verdict(document["violations"], replay)


def _show_verdict(found: list[Document], replay: str) -> None:
    if not found:
        click.secho("OK: every invariant and oracle holds.", fg="green", bold=True)
        return
    for each in found:
        about = f"{each['invariant']}, line {each['step']}, {each['server'] or 'no server'}"
        click.secho(f"{about}: {each['text']}", fg="red")
    click.secho(f"BROKEN: {found[0]['invariant']}.  {promise_of(found[0]['invariant'])}", fg="red", bold=True)
    click.echo(f"Replay it with: {replay} --at {found[0]['step']}")


# --- a hunt ------------------------------------------------------------------------------------------------


class Progress:
    """A line that says how far a hunt is: the same one again on a terminal, else a new one now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._watch: Stopwatch | None = None

    def tell(self, bag: Bag, elapsed_s: float) -> None:
        """Show how far it is, if that has not just been shown."""
        if self._watch and self._watch.elapsed_s < (TERMINAL_S if self._is_terminal else LOG_S):
            return
        self._watch = Stopwatch()
        minutes = max(elapsed_s, 0.001) / 60
        text = (
            f"{elapsed_s:6.1f} s: {bag.seeds} seeds, {bag.moves} moves ({bag.moves / minutes:,.0f} a minute), "
            f"{sum(bag.fired.values())} faults fired, {len(bag.found)} breaches"
        )
        click.echo(f"\r\x1b[K{text}" if self._is_terminal else text, file=self._stream, nl=not self._is_terminal)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            click.echo(file=self._stream)


def bag_document(bag: Bag, choices: Choices, *, real_s: float) -> Document:
    """Tell everything about a hunt."""
    return {
        "seeds": bag.seeds,
        "moves": bag.moves,
        "moves_a_minute": round(bag.moves * 60 / max(real_s, 0.001)),
        "faults": {str(kind): count for kind, count in sorted(bag.fired.items())},
        "virtual_s": round(bag.virtual_s, 3),
        "real_s": round(real_s, 3),
        "missed_probes": [probe.name for probe in missed(bag.probes) if probe.is_inner or not choices.is_inner],
        "breaches": len(bag.found),
        "violations": [
            {
                "invariant": name, "seed": found.case.seed, "step": found.breach.step, "server": found.breach.server,
                "text": found.breach.text,
                "seeds": sorted(each.case.seed for each in bag.found if each.breach.invariant == name),
                "replay": replay_command(str(found.case.seed), *choices.options()),
            }
            for name, found in sorted(bag.kinds_broken.items())
        ],
    }  # fmt: skip


def show_bag(document: Document) -> None:
    """Write a hunt for people."""
    click.echo(
        f"{document['seeds']} seeds, {document['moves']} moves ({document['moves_a_minute']:,} a minute), "
        f"{sum(document['faults'].values())} faults fired, {document['breaches']} breaches; "
        f"{document['virtual_s']:,.0f} s of virtual time in {document['real_s']:.1f} s"
    )
    if unreached := document["missed_probes"]:
        named = ", ".join(unreached[:MISSED_NAMED_MAX])
        rest = f" and {len(unreached) - MISSED_NAMED_MAX} others" if len(unreached) > MISSED_NAMED_MAX else ""
        click.echo(f"Probes never reached: {named}{rest} (-f json has them all)")
    if document["violations"]:
        click.echo()
        columns = ("invariant", "seeds", "shortest with", "line", "server", "replay")
        rows = (
            (row["invariant"], len(row["seeds"]), row["seed"], row["step"], row["server"], row["replay"])
            for row in document["violations"]
        )
        show_table("What does not hold", columns, rows)
        click.echo()
    else:
        click.secho("OK: every invariant and oracle holds.", fg="green", bold=True)


# --- a replay ----------------------------------------------------------------------------------------------


def is_same(run: Ran, case: Path) -> bool | None:
    """Tell whether a replay came to the verdict that was written beside its case; None when none was."""
    path = case.with_name(VERDICT)
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return bool(found == json.loads(json.dumps(verdict_of(run))))


def around(run: Ran, at: int) -> Document:
    """Tell what happened around a line, and what everybody held when it had been written."""
    account = give_account(run.history.lines)
    lines = run.history.lines[max(0, at - AROUND) : at + AROUND + 1]
    return {
        "at": at,
        "lines": [
            {"number": line.number, "seconds": round(account.seconds(line), 6), "text": _line_text(line)}
            for line in lines
        ],
        "held": holdings(run.history.lines, at=at),
    }


def _line_text(line: Line) -> str:
    text = f"== {line.what.name} ==" if isinstance(line.what, Phase) else str(line.what)
    return text if len(text) <= LINE_LETTERS else f"{text[: LINE_LETTERS - 4]} ..."


def show_replay(document: Document, *, replay: str) -> None:
    """Write a replay for people."""
    if "around" in document:
        _show_around(document["around"])
    show_outcome(document, replay=replay)
    if document["same_as_found"] is not None:
        same = "the same breach at the same line as it was found with" if document["same_as_found"] else (
            "NOT what it was found with: the program has changed since, or its runs are not deterministic"
        )  # fmt: skip
        click.secho(f"This is {same}.", fg="green" if document["same_as_found"] else "yellow")


def _show_around(document: Document) -> None:
    for row in document["lines"]:
        is_it = row["number"] == document["at"]
        text = f"{'>' if is_it else ' '} {row['number']:>7} {row['seconds']:>11.3f} s  {row['text']}"
        click.secho(text, bold=is_it)
    click.echo()
    click.secho(f"What everybody held at line {document['at']}", bold=True)
    for held in document["held"]:
        click.echo(f"  {held}")
    click.echo()


def show_list(title: str, rows: list[dict[str, str]]) -> None:
    """Write a list of things with their meanings."""
    columns = list(rows[0]) if rows else []
    show_table("", columns, ([row[column] for column in columns] for row in rows))
    click.echo(f"\n{len(rows)} {title}s")
