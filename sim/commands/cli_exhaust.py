"""The commands `cellferry sim exhaust` and `sim race`: every death in every move, and every two orders that meet."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from sim import races
from sim.commands.trying import JSON, Manner, run_trials
from sim.exhaustive import STORIES, pairs_of, points_of, singles_of
from sim.races import RACES
from sim.trials import Trial, share_of

F = TypeVar("F", bound=Callable[..., Any])
PATH: Final = click.Path(path_type=Path, file_okay=False)
SEEDS: Final = 300


def _of_trials(command: F) -> F:
    """Add the options of every command that runs trials."""
    options = (
        click.option("--share", type=click.FloatRange(0, 1), default=1.0, show_default=True,
                     help="This share of all trials: always the same ones."),
        click.option("--inner", "is_inner", is_flag=True, help="Run the pure cores alone: faster, and less is tested."),
        click.option("--jobs", type=click.IntRange(min=1), default=None,
                     help="Processes at once.  [default: all cores]"),
        click.option("--report", type=PATH, default="sim-report", show_default=True,
                     help="Folder for what is left of it."),
        click.option("-f", "--format", "form", type=click.Choice(["table", JSON]), default="table",
                     help="For people, or for programs."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command(name="exhaust")
@click.option("--story", "stories", multiple=True, type=click.Choice(list(STORIES)),
              help="Of this move only; may be given again.  [default: all]")  # fmt: skip
@click.option("--pairs", "is_in_pairs", is_flag=True, help="Kill the conductor twice, at every pair of points.")
@_of_trials
def exhaust_command(*, stories: tuple[str, ...], is_in_pairs: bool, share: float, **manner: Any) -> None:
    """Kill every process at every point of every kind of move, one trial each; exit 1 when something does not hold."""
    trials = share_of(trials_of(stories or tuple(STORIES), is_in_pairs=is_in_pairs), share)
    run_trials(trials, Manner(**manner), must_all_die=not is_in_pairs)


@click.command(name="race")
@click.option("--race", "names", multiple=True, type=click.Choice(list(RACES)),
              help="This race only; may be given again.  [default: all]")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=SEEDS, show_default=True, help="So many of each race.")
@_of_trials
def race_command(*, names: tuple[str, ...], seeds: int, share: float, **manner: Any) -> None:
    """Have two orders about one server meet, every two in every way; exit 1 when something does not hold."""
    trials = share_of(races_of(names or tuple(RACES), seeds=seeds), share)
    run_trials(trials, Manner(**manner), must_all_die=False)


def trials_of(stories: tuple[str, ...], *, is_in_pairs: bool) -> Iterator[Trial]:
    """Give the trials of some stories."""
    for name in stories:
        story = STORIES[name]
        make = pairs_of if is_in_pairs else singles_of
        yield from make(story, points_of(story.case))


def races_of(names: tuple[str, ...], *, seeds: int) -> Iterator[Trial]:
    """Give the trials of some races, under seeds from 1 on."""
    for name in names:
        yield from races.trials_of(RACES[name], range(1, seeds + 1))
