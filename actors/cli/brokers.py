"""`cellferry broker`: what the brokers of a tree need, so that each actor and each link is a user of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs
import click

from actors.accounts import server_of
from actors.cli.configuring import config_option, deployment_of
from actors.cli.failures import NotThere, ServiceAway
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.management import CONNECTIONS, ManagementAPI
from actors.cli.output import console_for
from actors.cli.rabbitmqctl import RabbitMQCtl, write_private
from actors.ops.checks import SettingsError
from actors.ops.secrets import new_salt
from actors.wire.definitions import SALT_BYTES, compare, definitions, hashed, is_hash_of
from actors.wire.identities import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.accounts import Accounts
    from actors.deployment import Deployment
    from actors.wire.definitions import Finding
    from actors.wire.identities import Thing
    from protocol.cell_path import CellPath

COLUMNS: Final = ("broker", "vhost", "kind", "name", "state")
UNKNOWN: Final = "unknown"
#: Where the URL of the management plug-in is better given: others may read a command line.
API_VARIABLE: Final = "CELLFERRY_BROKER_API"
STATES: Final = ("missing", "differs", "superfluous", "there", UNKNOWN)


@attrs.frozen(kw_only=True)
class Server:
    """A broker, and the cells that have a virtual host there."""

    name: str
    cells: tuple[CellPath, ...]


@click.group()
def broker() -> None:
    """Give the brokers of a tree what they need: virtual hosts, users, rights, exchanges and queues."""


def _check_url(_context: click.Context, _option: click.Parameter, url: str) -> str:
    if url and (urlsplit(url).scheme not in CONNECTIONS or not urlsplit(url).hostname):
        raise click.BadParameter("it must be a URL like http://USER:PASSWORD@HOST:15672")
    return url


def tool_options(command: Any) -> Any:
    """Give a command the options that say how it speaks to a broker."""
    node = click.option("--node", default="", metavar="NODE", help="The node that rabbitmqctl speaks to.")
    api = click.option(
        "--api", default="", metavar="URL", envvar=API_VARIABLE, callback=_check_url,
        help=f"Speak to the broker's management plug-in, not by rabbitmqctl; better given in {API_VARIABLE}.",
    )  # fmt: skip
    return api(node(command))


def tool_of(api: str, node: str) -> RabbitMQCtl | ManagementAPI:
    """Make what speaks to a broker."""
    return ManagementAPI(url=api) if api else RabbitMQCtl(node=node)


@broker.command()
@config_option()
@click.option("--cell", "name", default="", metavar="CELL", help="Only the broker of this cell.")
@click.option(
    "--found", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the broker has, as it exported it to this file.",
)  # fmt: skip
@tool_options
@shape_options
def plan(*, config: Path, name: str, found: Path | None, node: str, api: str, shape: Shape) -> None:
    """List what the brokers need, and how it is there: missing, there, different, or superfluous.

    What a broker has is read by rabbitmqctl, by its management plug-in, or from a file that it was exported to: of
    several brokers, that of the cell which --cell names.  Nothing is changed.
    """
    deployment = _named(config)
    out, progress = console_for(sys.stdout), console_for(sys.stderr)
    chosen = servers(deployment, name)
    had: Mapping[str, Any] | None = None
    try:
        had = _had(chosen, found, tool_of(api, node))
    except ServiceAway as error:
        progress.print(f"warning: what is there is not known: {error}")
    findings = [(server, finding) for server in chosen for finding in findings_of(deployment, server, had)]
    findings.sort(key=lambda each: (each[0].name, STATES.index(each[1].state)))
    rows = [
        {
            "broker": server.name, "vhost": finding.thing.vhost, "kind": finding.thing.kind.value,
            "name": finding.thing.name, "state": finding.state,
        }
        for server, finding in findings
    ]  # fmt: skip
    show_rows(out, rows, shape, usual=COLUMNS)


def _had(chosen: tuple[Server, ...], found: Path | None, tool: RabbitMQCtl | ManagementAPI) -> Mapping[str, Any]:
    """Read what a broker has; raise `ServiceAway`, also where it is not said which of several."""
    if len(chosen) > 1:
        raise ServiceAway(f"the cells have several brokers; look at one at a time, with --cell: {_names(chosen)}")
    if found is None:
        return tool.export()
    try:
        had = json.loads(found.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NotThere(f"{found} has no definitions ({error})") from error
    if not isinstance(had, dict) or not all(isinstance(had.get(kind, []), list) for kind in Kind):
        raise NotThere(f"{found} has no definitions; write them with: rabbitmqctl export_definitions {found.name}")
    return had


def _names(chosen: tuple[Server, ...]) -> str:
    return ", ".join(f"{server.name} ({server.cells[0]})" for server in chosen)


@broker.command("apply")
@config_option()
@click.option("--cell", "name", default="", metavar="CELL", help="Only the broker of this cell.")
@click.option("--to", type=click.Path(path_type=Path), help="Write the definitions into this file; import nothing.")
@tool_options
def apply_(*, config: Path, name: str, to: Path | None, node: str, api: str) -> None:
    """Give the brokers what the plan lists; what is there already stays, and nothing is taken away.

    Passwords are made for users that have none yet, and kept under [deployment] secrets: a file for each cell.
    """
    deployment = _named(config)
    out = console_for(sys.stdout)
    chosen = servers(deployment, name)
    if len(chosen) > 1:
        raise NotThere(
            f"the cells have several brokers; apply to one at a time, beside it, with --cell: {_names(chosen)}"
        )
    for server in chosen:
        tool = tool_of(api, node)
        wanted = written(deployment, server, {} if to else tool.export())
        if to:
            write_private(to, wanted)
            out.print(f"{to}: what {server.name} needs; import it there with: rabbitmqctl import_definitions {to.name}")
        else:
            tool.import_(wanted)
            had = tool.export()
            left = [each for each in findings_of(deployment, server, had) if each.state in {"missing", "differs"}]
            out.print(f"{server.name} has what {len(server.cells)} cell(s) need" + _left(left))


def _left(left: list[Finding]) -> str:
    names = ", ".join(f"{each.thing.kind.value} {each.thing.name} ({each.state})" for each in left[:5])
    return f", but for {len(left)}: {names}; delete and apply again" if left else ""


def _named(config: Path) -> Deployment:
    deployment = deployment_of(config)
    if deployment.secrets is None:
        what = 'it is missing; say where the passwords are to be: secrets = "secrets"'
        raise SettingsError(where=f"{config}: deployment.secrets", what=what)
    return deployment


def servers(deployment: Deployment, name: str) -> tuple[Server, ...]:
    """List the brokers; all, or that of one cell with all the cells it serves."""
    by_name: dict[str, list[CellPath]] = {}
    for cell in deployment.cloud.cells:
        by_name.setdefault(server_of(deployment.broker_of(cell.path)), []).append(cell.path)
    found = tuple(Server(name=server, cells=tuple(cells)) for server, cells in by_name.items())
    if not name:
        return found
    chosen = tuple(server for server in found if name in map(str, server.cells))
    if not chosen:
        raise NotThere(f"there is no cell {name}; list them with: cellferry cell tree")
    return chosen


def things_of(deployment: Deployment, cell: CellPath) -> tuple[Thing, ...]:
    """List what the broker of a cell needs."""
    queues = [queue for queue in deployment.queues() if queue.cell == cell]
    parties = dict.fromkeys(task.mailbox for task in deployment.tasks() if task.cell == cell)
    return deployment.accounts.things(cell, queues, parties)


def findings_of(deployment: Deployment, server: Server, had: Mapping[str, Any] | None) -> tuple[Finding, ...]:
    """Compare what a broker is to have with what it has."""
    accounts, things, passwords = _wanted(deployment, server, is_made=False)
    if had is None:
        return tuple(attrs.evolve(each, state=UNKNOWN) for each in compare(things, {}, prefix="", passwords={}))
    return compare(things, had, prefix=accounts.prefix, passwords=passwords)


def written(deployment: Deployment, server: Server, had: Mapping[str, Any]) -> dict[str, Any]:
    """Write what a broker needs as definitions; who has the right password already keeps the hash of it."""
    _accounts, things, passwords = _wanted(deployment, server, is_made=True)
    hashes = {str(user.get("name")): str(user.get("password_hash", "")) for user in had.get(Kind.USER, ())}

    def hash_of(user: str) -> str:
        known = hashes.get(user, "")
        return known if is_hash_of(known, passwords[user]) else hashed(passwords[user], new_salt(SALT_BYTES))

    return definitions(things, hash_of=hash_of)


def _wanted(
    deployment: Deployment, server: Server, *, is_made: bool
) -> tuple[Accounts, tuple[Thing, ...], dict[str, str]]:
    accounts = deployment.accounts
    things: dict[Thing, None] = {}
    passwords: dict[str, str] = {}
    for cell in server.cells:
        of_cell = things_of(deployment, cell)
        things |= dict.fromkeys(of_cell)
        passwords |= accounts.complete(of_cell, cell) if is_made else accounts.known(of_cell, cell)
    return accounts, tuple(things), passwords
