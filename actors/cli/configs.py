"""`cellferry config`: what the settings are, where each comes from, what is wrong with them; a file to begin with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actors.cli.configuring import config_option, deployment_in, given, masked
from actors.cli.failures import FAILED
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.output import console_for
from actors.ops import plugins
from actors.ops.changes import values_of
from actors.ops.checks import SettingsError
from actors.ops.declared import word_for
from actors.ops.sample import sample as written
from actors.ops.settings import declared, examine, load_cloud
from protocol.cell_path import CellPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.cli.formats import Row
    from actors.ops.settings import Cloud, Reading
    from actors.ops.sources import Sources

SHOWN: Final = ("setting", "value")
WITH_ORIGIN: Final = (*SHOWN, "origin")
PROBLEM: Final = ("where", "what")


@click.group()
def config() -> None:
    """Show what the settings are, check them, or write a file to begin with."""


@config.command()
@config_option()
@click.option("--origin", is_flag=True, help="Tell of each where it comes from.")
@shape_options
def show(*, config: Path, origin: bool, shape: Shape) -> None:
    """Show every setting as it holds: of the file, the environment, the options, or a default.  Secrets are masked."""
    reading = examine(config, variables=os.environ, options=given())
    if reading.cloud is None:
        load_cloud(config, variables=os.environ, options=given())  # Which says what is wrong.
    assert reading.cloud is not None
    rows = list(_rows(reading.cloud, reading.sources))
    show_rows(console_for(sys.stdout), rows, shape, usual=WITH_ORIGIN if origin else SHOWN)


@config.command()
@config_option()
@shape_options
def check(*, config: Path, shape: Shape) -> None:
    """Check a file with the environment and the options over it: all that is wrong at once.  Exit code 1 when it is."""
    reading = examine(config, variables=os.environ, options=given())
    problems = [*reading.problems, *(beyond(config, reading.cloud) if reading.cloud else ())]
    if problems or shape.form != "table":
        rows = [{"where": problem.where, "what": problem.what} for problem in problems]
        show_rows(console_for(sys.stdout), rows, shape, usual=PROBLEM)
    if problems:
        sys.exit(FAILED)
    if shape.form == "table":
        click.echo(f"good: {config}: {_summary(reading)}")


@config.command()
def sample() -> None:
    """Write a file of settings to begin with: each with its help, its unit and its default."""
    click.echo(written(declared()), nl=False)


def beyond(config: Path, cloud: Cloud) -> Iterator[SettingsError]:
    """List what is wrong with good settings on this very machine: what is not installed, what makes no deployment."""
    plugins.install()
    try:
        plugins.check_names(cloud.scheduler.filters, cloud.scheduler.multipliers)
    except SettingsError as error:
        yield SettingsError(where=f"{config}: {error.where}", what=error.what)
    if cloud.deployment is not None:
        try:
            deployment_in(config, cloud)
        except SettingsError as error:
            yield error


def _summary(reading: Reading) -> str:
    assert reading.cloud is not None
    cloud = reading.cloud
    what = f"{len(cloud.cells)} cell(s), {len(cloud.hosts)} host(s)"
    return what if cloud.deployment else f"{what}; without [deployment], for `demo` and `sim` only"


def _rows(cloud: Cloud, sources: Sources) -> Iterator[Row]:
    for setting, where, value in values_of(cloud):
        shown = _plain(value)
        yield {
            "setting": where, "value": masked(str(value)) if setting.about.is_secret and value else shown,
            "origin": sources.origin(where), "type": word_for(setting.kind), "unit": setting.unit,
            "live": setting.about.is_live,
        }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, CellPath):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value
