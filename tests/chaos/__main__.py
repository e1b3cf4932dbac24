"""`python -m tests.chaos`: kill every process of a real deployment at every point of every kind of move."""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import anyio
import click

from tests.chaos.figures import figures, table, write
from tests.chaos.lives import Reference, Trial
from tests.chaos.run import Outcome, Run, every_trial
from tests.services import own_rabbitmq

A_MINUTE_S = 60.0


def scattered(reference: Reference) -> list[Trial]:
    """List every trial in an order in which any beginning of it has something of everything; always the same one."""
    return sorted(every_trial(reference), key=lambda trial: hashlib.sha256(str(trial).encode()).digest())


async def run(url: str, directory: Path, options: argparse.Namespace) -> tuple[Outcome, float]:
    """Make the trials; tell how long that took, too."""
    began_s = anyio.current_time()
    chaos = Run(url, directory, tell=click.echo, conductors=options.conductors)
    within_s = options.minutes * A_MINUTE_S if options.minutes else None
    async with anyio.create_task_group() as watching:
        watching.start_soon(_until_signalled, watching.cancel_scope)
        outcome = await chaos.complete(scattered, lanes=options.lanes, within_s=within_s)
        watching.cancel_scope.cancel()
        return outcome, anyio.current_time() - began_s
    raise click.ClickException("interrupted; what there was has been cleaned up")


async def _until_signalled(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


def main() -> None:
    """Run, show the figures, and fail when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long (0: when all is done)")
    parser.add_argument("--lanes", type=int, default=4, help="how many deployments run side by side")
    parser.add_argument("--conductors", type=int, default=2, help="how many conductors each has")
    parser.add_argument("--report", type=Path, default=Path("build/chaos.json"), help="where the figures go")
    options = parser.parse_args()
    with own_rabbitmq() as broker, tempfile.TemporaryDirectory(prefix="cellferry-chaos-") as directory:
        outcome, took_s = anyio.run(partial(run, broker.url, Path(directory), options))
        queues = [name for name in broker.control("list_queues", "name").split() if name.startswith("cellferry")]
    found = figures(outcome, lanes=options.lanes, conductors=options.conductors, took_s=took_s)
    found["problems"] += [f"left behind: queue {name}" for name in queues]
    write(options.report, found)
    click.echo(table(found))
    if found["problems"]:
        click.echo("\n".join(found["problems"]), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
