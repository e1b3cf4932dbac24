"""The command `cellferry`: its commands, those of plug-ins, and how errors end it (exit code 1; 2 for bad usage)."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Final

import click

from actors.cli.lazy import Later, LazyGroup, at

#: Other packages add commands under this group of entry points.
PLUG_INS: Final = "cellferry.commands"
#: What these log is told by our own errors and events, and would only be told twice.
CHATTY: Final = ("aio_pika", "aiormq")
COMMANDS: Final = {
    "broker": at("actors.cli.brokers", "broker", "Give brokers the users, rights and queues that a tree needs."),
    "call": at("actors.cli.calling", "call", "Send a request by hand, and show the answer."),
    "cell": at("actors.cli.cells", "cell", "Look at the tree of cells; add, change and remove them."),
    "config": at("actors.cli.configs", "config", "Show, check and write files of settings."),
    "db": at("actors.cli.databases", "db", "Upgrade, check and back up databases."),
    "dead-letters": at("actors.cli.dead_letters", "dead_letters", "Look at messages that could not be taken."),
    "demo": at("actors.cli.demo", "demo", "Ferry three servers between cells, and show it."),
    "gather": at("actors.cli.calling", "gather", "Ask every cell of the tree, and show each answer."),
    "group": at("actors.cli.groups", "group", "Keep servers on different hosts, wherever they move."),
    "host": at("actors.cli.hosts", "host", "Look at compute hosts; disable or fence them."),
    "image": at("actors.cli.supplies", "image", "Add images, which root disks are made from."),
    "methods": at("actors.cli.calling", "methods", "List every method that cells can be asked for."),
    "migration": at("actors.cli.migrations", "migration", "Watch moves and other conversations; retry one."),
    "quota": at("actors.cli.quotas", "quota", "Limit how much projects may have."),
    "run": at("actors.cli.running", "run", "Run a deployment, or one role of it."),
    "scheduler": at("actors.cli.schedulers", "scheduler", "Look at what chooses the cell of a server."),
    "server": at("actors.cli.server_commands", "server", "Create, move and change servers."),
    "service": at("actors.cli.services", "service", "Look at the services of hosts; forget one."),
    "top": at("actors.cli.top", "top", "Watch what moves, and the tree of cells."),
    "upgrade": at("actors.cli.upgrades", "upgrade", "See whether this version can run a deployment."),
    "volume": at("actors.cli.supplies", "volume", "Add volumes."),
}
#: The line of a plug-in that ships with us; others are imported to be asked.
LINES: Final = {"sim": "Run whole clouds under bad weather, and find bugs."}


def _version() -> str:
    try:
        return version("cellferry")
    except PackageNotFoundError:
        return "not installed"


@click.group(cls=LazyGroup, later=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="cellferry")
def cellferry() -> None:
    """Run clouds made of cells: route between them, and ferry servers from one to another."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: these arguments, or the process's own."""
    for library in CHATTY:
        logging.getLogger(library).addHandler(logging.NullHandler())
    for plug_in in entry_points(group=PLUG_INS):
        cellferry.later[plug_in.name] = Later(load=plug_in.load, help=LINES.get(plug_in.name, ""))
    try:
        cellferry.main(arguments, prog_name="cellferry")
    except Exception as error:
        from actors.cli.failures import failure_of  # noqa: PLC0415 - what went well needs none of it.

        failure = failure_of(error)
        if failure is None:
            raise
        click.echo(f"Error: {failure.text}", err=True)
        sys.exit(failure.exit_code)
