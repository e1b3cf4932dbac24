"""The command `cellferry`: its commands, those of plug-ins, and how errors end it (exit code 1; 2 for bad usage)."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Final

import click

from actors.cli.cells import cell
from actors.cli.changing import CHANGES
from actors.cli.demo import demo
from actors.cli.failures import failure_of
from actors.cli.groups import group
from actors.cli.hosts import host
from actors.cli.migrations import migration
from actors.cli.quotas import quota
from actors.cli.running import run
from actors.cli.servers import server
from actors.cli.supplies import image, volume

#: Other packages add commands under this group of entry points.
PLUG_INS: Final = "cellferry.commands"
#: What these log is told by our own errors and events, and would only be told twice.
CHATTY: Final = ("aio_pika", "aiormq")


def _version() -> str:
    try:
        return version("cellferry")
    except PackageNotFoundError:
        return "not installed"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="cellferry")
def cellferry() -> None:
    """Run clouds made of cells: route between them, and ferry servers from one to another."""


cellferry.add_command(demo)
cellferry.add_command(run)
for noun in (server, migration, host, cell, image, volume, quota, group):
    cellferry.add_command(noun)
for change in CHANGES:
    server.add_command(change)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: these arguments, or the process's own."""
    for library in CHATTY:
        logging.getLogger(library).addHandler(logging.NullHandler())
    for plug_in in entry_points(group=PLUG_INS):
        cellferry.add_command(plug_in.load(), plug_in.name)
    try:
        cellferry.main(arguments, prog_name="cellferry")
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        click.echo(f"Error: {failure.text}", err=True)
        sys.exit(failure.exit_code)
