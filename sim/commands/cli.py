"""The commands `cellferry sim`: run a seed, hunt for one that breaks something, replay it, and look things up."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from sim.cases.case import Case
from sim.commands import catalogue, showing
from sim.commands.choices import ALL, CELLS, HOSTS, MINUTES, NONE, SERVERS, SWARM, Choices, Duration, Seeds
from sim.commands.cli_exhaust import exhaust_command, race_command
from sim.commands.hunting import Bag, Limits, hunt
from sim.commands.shrinking import shrink_and_report
from sim.commands.stopwatch import Stopwatch
from sim.telling.report import replay_command

F = TypeVar("F", bound=Callable[..., Any])
FAILED: Final = 1
JSON: Final = "json"
PATH: Final = click.Path(path_type=Path, file_okay=False)
SEEDS_FROM: Final = range(1, 1 << 63)


def _of_a_world(command: F) -> F:
    """Add the options that tell which world is run, and on which level."""
    options = (
        click.option("--cells", type=int, default=CELLS, show_default=True, help="Cells of the tree, with the root."),
        click.option("--hosts", type=int, default=HOSTS, show_default=True, help="Hosts in all cells together."),
        click.option("--servers", type=int, default=SERVERS, show_default=True, help="Servers that users have."),
        click.option("--minutes", type=float, default=MINUTES, show_default=True, help="Virtual time with faults."),
        click.option(
            "--faults", default=SWARM, show_default=True, metavar=f"{SWARM}|{ALL}|{NONE}|KIND,...",
            help="Which kinds of fault are on; with swarm each seed chooses.",
        ),
        click.option("--cloud", default="", metavar="FILE", help="A cloud's TOML file, in place of a generated tree."),
        click.option("--inner", "is_inner", is_flag=True, help="Run the pure cores alone: faster, and less is tested."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _in_a_format(command: F) -> F:
    """Add the option that tells how results are shown."""
    formats = click.Choice(["table", JSON])
    return click.option("-f", "--format", "form", type=formats, default="table", help="For people, or for programs.")(
        command
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def sim() -> None:
    """Run whole clouds under simulated bad weather, and find the schedule that breaks a promise."""


@sim.command()
@click.option("--seed", type=click.IntRange(min=0), required=True, help="Decides everything else.")
@_of_a_world
@_in_a_format
def run(*, seed: int, form: str, **chosen: Any) -> None:
    """Run one seed and judge it; exit 1 when something does not hold."""
    choices = Choices(**chosen)
    watch = Stopwatch()
    outcome = choices.level.run(choices.case(seed)).outcome
    document = showing.outcome_document(outcome, real_s=watch.elapsed_s)
    if form == JSON:
        click.echo(json.dumps(document, indent=1))
    else:
        showing.show_outcome(document, replay=replay_command(str(seed), *choices.options()))
    _end(is_broken=bool(outcome.breaches))


@sim.command(name="hunt")
@click.option("--for", "for_s", type=Duration(), default="10m", show_default=True, help="How long, in real time.")
@click.option("--seeds", type=Seeds(), default=None, help="These seeds only, such as 1-1000.")
@click.option("--collect", is_flag=True, help="Go on after a breach, and list all of them at the end.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes at once.  [default: all cores]")
@click.option("--report", type=PATH, default="sim-report", show_default=True, help="Folder for what is left of it.")
@click.option("--probes", "must_probe", is_flag=True, help="Fail, too, when a probe was never reached.")
@_of_a_world
@_in_a_format
def hunt_command(
    *, for_s: float, seeds: range | None, collect: bool, jobs: int | None, report: Path, must_probe: bool, form: str,
    **chosen: Any,
) -> None:  # fmt: skip
    """Run seed after seed on all cores until something does not hold; shrink that, and tell its story."""
    choices = Choices(**chosen)
    progress = showing.Progress(sys.stderr)
    limits = Limits(for_s=for_s, jobs=jobs or showing.cores(), is_collecting=collect)
    watch = Stopwatch()
    bag = hunt(choices, SEEDS_FROM if seeds is None else seeds, limits, progress.tell)
    progress.end()
    document = showing.bag_document(bag, choices, real_s=watch.elapsed_s)
    if form == JSON:
        click.echo(json.dumps(document, indent=1))
    else:
        showing.show_bag(document)
    if bag.found and not collect:
        _tell_first(bag, choices, report, is_quiet=form == JSON)
    _end(is_broken=bool(bag.found) or (must_probe and bool(document["missed_probes"])))


def _tell_first(bag: Bag, choices: Choices, folder: Path, *, is_quiet: bool) -> None:
    first = bag.found[0]
    click.echo(f"Shrinking seed {first.case.seed}, in which {first.breach.invariant} does not hold ...", err=True)
    told = shrink_and_report(first, choices, folder)
    click.echo(told.story if not is_quiet else "", nl=not is_quiet)
    click.echo(f"Replay it with: {told.command}", err=is_quiet)


@sim.command()
@click.argument("what", metavar="SEED|CASE.json")
@click.option("--at", type=click.IntRange(min=0), default=None, metavar="STEP",
              help="Show the history around this line, and what everybody held then.")  # fmt: skip
@_of_a_world
@_in_a_format
def replay(*, what: str, at: int | None, form: str, **chosen: Any) -> None:
    """Run a seed, or a case that was written, again; it comes to the same verdict at the same line."""
    choices = Choices(**chosen)
    case = choices.case(int(what)) if what.isdigit() else _read_case(what)
    watch = Stopwatch()
    ran = choices.level.run(case)
    document = showing.outcome_document(ran.outcome, real_s=watch.elapsed_s)
    document["same_as_found"] = None if what.isdigit() else showing.is_same(ran, Path(what))
    if at is not None:
        if at >= len(ran.history.lines):
            raise click.BadParameter(f"the history has {len(ran.history.lines)} lines only", param_hint="--at")
        document["around"] = showing.around(ran, at)
    if form == JSON:
        click.echo(json.dumps(document, indent=1))
    else:
        options = choices.options() if what.isdigit() else choices.of_a_case()
        showing.show_replay(document, replay=replay_command(what, *options))
    _end(is_broken=bool(ran.outcome.breaches))


def _read_case(path: str) -> Case:
    try:
        return Case.from_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}; give a seed, or a case.json that a hunt wrote") from error
    except Exception as error:
        raise click.UsageError(f"{path} is no case: {error}") from error


@sim.command()
@_in_a_format
def faults(*, form: str) -> None:
    """List every kind of fault, and what it does."""
    _list("fault", catalogue.faults(), form)


@sim.command()
@_in_a_format
def probes(*, form: str) -> None:
    """List what a set of runs must have reached, or it has proved nothing about it."""
    _list("probe", catalogue.probes(), form)


@sim.command()
@_in_a_format
def checkers(*, form: str) -> None:
    """List the invariants and oracles that every run is judged by."""
    _list("checker", catalogue.checkers(), form)


sim.add_command(exhaust_command)
sim.add_command(race_command)


def _list(title: str, rows: list[dict[str, str]], form: str) -> None:
    if form == JSON:
        click.echo(json.dumps(rows, indent=1))
    else:
        showing.show_list(title, rows)


def _end(*, is_broken: bool) -> None:
    if is_broken:
        raise click.exceptions.Exit(FAILED)
