"""`cellferry run`: a deployment that stays, all of it or one role, until it is told to stop."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import click

from actors.cli.configuring import cloud_of, config_option, deployment_of, given, public
from actors.cli.failures import named
from actors.cli.holding import held
from actors.cli.parameters import CellName
from actors.cli.serving import read_line, serve, serve_child
from actors.deployment import SQLITE, Deployment, Duty, Task

if TYPE_CHECKING:
    from protocol.cell_path import CellPath

ALL: Final = "all"


@click.command()
@click.argument("role", type=click.Choice([ALL, *(duty.value for duty in Duty)]))
@config_option(is_required=False)
@click.option("--cell", type=CellName(), help="The cell to run the role of; with `all`, everything of that cell.")
@click.option("--host", default="", help="The compute host to run.")
@click.option("--replica", type=click.IntRange(min=0), help="Which replica, where the role has several.")
@click.option("--processes", is_flag=True, help="Give every actor an operating-system process of its own.")
@click.option("--child", is_flag=True, hidden=True)
def run(
    *,
    role: str,
    config: Path | None,
    cell: CellPath | None,
    host: str,
    replica: int | None,
    processes: bool,
    child: bool,
) -> None:
    """Run a deployment, or one ROLE of it, until SIGTERM or Ctrl-C.

    What it runs over and where its files are is said under [deployment] in the file.  Servers, guests and moves stay:
    the next start goes on with them.
    """
    if child:  # Described by a line on standard input, until that is closed.
        assert cell is not None
        task = Task(duty=Duty(role), cell=cell, host=host, replica=replica or 0)
        anyio.run(serve_child, Deployment.decode(read_line()), task)
        return
    if config is None:
        raise click.UsageError("name the deployment's file: --config FILE, or the variable CELLFERRY_CONFIG")
    deployment, options = deployment_of(config), given()
    tasks = _chosen(deployment, role, cell=cell, host=host, replica=replica)
    deployment.directory.mkdir(parents=True, exist_ok=True)

    def ready() -> None:
        click.echo(_introduction(deployment, tasks, has_processes=processes))

    async def serving() -> None:
        await serve(deployment, tasks, has_processes=processes, ready=ready, reread=partial(cloud_of, config, options))

    try:
        with held(deployment, tasks):
            anyio.run(serving)
    except Exception as error:  # The command's edge, where what happened gets its words.
        where = f"under [deployment] in {config}"
        raise named(error, deployment, wire=where, store=where) from error
    click.echo("stopped")


def _chosen(
    deployment: Deployment, role: str, *, cell: CellPath | None, host: str, replica: int | None
) -> tuple[Task, ...]:
    """List the tasks that were asked for; raise `UsageError` when it is none, or not clear which."""
    every = deployment.tasks()
    if cell is not None and cell not in {task.cell for task in every}:
        known = ", ".join(str(each.path) for each in deployment.cloud.cells)
        raise click.BadParameter(f"there is no cell {cell}; the file has {known}", param_hint="--cell")
    tasks = [task for task in every if role in {ALL, task.duty} and cell in {None, task.cell}]
    if role == Duty.HOST:
        if host not in {task.host for task in tasks}:
            known = ", ".join(task.host for task in tasks) or "none there"
            what = f"there is no host {host}" if host else "name one"
            raise click.BadParameter(f"{what}; the file has {known}", param_hint="--host")
        tasks = [task for task in tasks if task.host == host]
    elif host:
        raise click.BadParameter("it goes with the role host; say: run host --host NAME", param_hint="--host")
    if role == Duty.CELL and cell is None:
        known = ", ".join(str(each.path) for each in deployment.cloud.cells)
        raise click.BadParameter(f"name one; the file has {known}", param_hint="--cell")
    if not tasks:
        raise click.BadParameter(f"{role} is the root's; leave it out", param_hint="--cell")
    if replica is not None and replica not in {task.replica for task in tasks}:
        known = ", ".join(str(task.replica) for task in tasks)
        raise click.BadParameter(f"there is no replica {replica}; there are {known}", param_hint="--replica")
    tasks = [task for task in tasks if replica in {None, task.replica}]
    return tuple(tasks)


def _introduction(deployment: Deployment, tasks: tuple[Task, ...], *, has_processes: bool) -> str:
    cells = sum(task.duty is Duty.CELL and not task.replica for task in tasks)
    hosts = sum(task.duty is Duty.HOST for task in tasks)
    what = str(tasks[0]) if len(tasks) == 1 else f"{cells} cell(s) and {hosts} host(s)"
    where = f"{len(tasks)} processes of" if has_processes else "one process,"
    store = "" if deployment.store == SQLITE else f", store {public(deployment.store)}"
    over = f"wire {public(deployment.wire)}{store}"
    return f"ready: {what} in {where} {os.getpid()}; {over}, files in {deployment.directory}"
