"""`cellferry demo`: brings a cloud up, ferries servers between its cells, shows the truth, leaves nothing behind."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import click

from actors.accounts import MEMORY
from actors.cli.children import Children
from actors.cli.configuring import public
from actors.cli.failures import Interrupted, named, within
from actors.cli.ferrying import Ferried, Ferry
from actors.cli.output import StepLines, Tables, console_for, show_verdict
from actors.cli.planning import Itinerary, plan
from actors.cli.report import document
from actors.cli.sweeping import swept
from actors.client import Client
from actors.deployment import SQLITE, Deployment
from actors.kernel.post import Post
from actors.observing import Observed, at_rest, collect
from actors.ops.events import MemoryEvents
from actors.ops.settings import load_cloud
from actors.ops.system import SystemIds
from actors.process import Parts, open_parts, run_tasks, user
from protocol.invariants import violations
from protocol.messages.capacity import FindRoom
from protocol.truth import GatherTruth, Truth, Violation

PREFIX: Final = "cellferry-demo"
HOSTS_S_MAX: Final = 60.0
DEMO_S_MAX: Final = 600.0
#: Where the cloud's file is: in an installation, and in the repository.
CLOUDS: Final = (Path(__file__).with_name("data") / "demo.toml", Path(__file__).parents[2] / "deploy" / "demo.toml")


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a run."""

    document: dict[str, Any]
    violations: tuple[Violation, ...]
    took_s: float


@click.command()
@click.option("--cloud", type=click.Path(path_type=Path), help="The cloud's TOML file.  [default: the one that ships]")
@click.option("--wire", default=MEMORY, show_default=True, help="memory, or amqp://USER:PASSWORD@HOST:PORT/VHOST")
@click.option("--store", default=SQLITE, show_default=True, help="sqlite, or postgresql://USER:PASSWORD@HOST:PORT/NAME")
@click.option("--processes", is_flag=True, help="Give every actor an operating-system process of its own.")
@click.option("--keep", type=click.Path(path_type=Path), help="Use this directory, new or empty, and keep its files.")
@click.option("-f", "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def demo(*, cloud: Path | None, wire: str, store: str, processes: bool, keep: Path | None, form: str) -> None:
    """Ferry three servers between cells, and show where everything is in the end."""
    itinerary = plan(load_cloud(cloud or next(path for path in CLOUDS if path.exists())))
    deployment = Deployment(
        cloud=itinerary.cloud, wire=wire, store=store, directory=_directory(keep),
        prefix=f"{PREFIX}-{SystemIds().new()[-5:].hex()}",
    )  # fmt: skip
    if processes and MEMORY in {wire, itinerary.cloud.driver}:
        what = "wire" if wire == MEMORY else "driver"
        step = "give --wire amqp://USER:PASSWORD@HOST:PORT/" if wire == MEMORY else 'say driver = "process" in the file'
        raise click.UsageError(f"processes of their own cannot share a {what} in memory; {step}")
    progress = console_for(sys.stderr if form == "json" else sys.stdout)
    run = Run(deployment, itinerary, has_processes=processes, is_kept=keep is not None, lines=StepLines(progress))
    try:
        outcome = anyio.run(run.interruptible)
    except Exception as error:  # The command's edge, where what happened gets its words.
        raise named(error, deployment) from error
    if form == "json":
        click.echo(json.dumps(outcome.document, indent=2))
    else:
        Tables(progress, outcome.document).show()
    show_verdict(progress, outcome.document, outcome.violations, took_s=outcome.took_s)
    if not outcome.document["ok"]:
        sys.exit(1)


def _directory(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.gettempdir()) / f"{PREFIX}-{SystemIds().new()[-5:].hex()}"
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise click.BadParameter(f"{keep} is there already; name a new directory, or an empty one", param_hint="--keep")
    return keep.resolve()


class Run:
    """One run of the demo."""

    def __init__(
        self, deployment: Deployment, itinerary: Itinerary, *, has_processes: bool, is_kept: bool, lines: StepLines
    ) -> None:
        """Do nothing yet."""
        self._deployment = deployment
        self._itinerary = itinerary
        self._has_processes = has_processes
        self._is_kept = is_kept
        self._lines = lines

    async def interruptible(self) -> Outcome:
        """Run; when a signal comes, clean up and raise `Interrupted`."""
        outcomes: list[Outcome] = []
        async with anyio.create_task_group() as watching:
            with anyio.CancelScope() as scope:
                await watching.start(self._watch, scope)
                outcomes.append(await self._run())
            watching.cancel_scope.cancel()
        if not outcomes:
            raise Interrupted("interrupted; what there was has been cleaned up")
        return outcomes[0]

    async def _watch(self, scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        # To the very end, so that a second Ctrl-C does not break the cleaning up after the first.
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for _ in signals:
                if not scope.cancel_called:
                    self._lines.say("stopping: cleaning up ...")
                scope.cancel()

    async def _run(self) -> Outcome:
        began_s = anyio.current_time()
        async with swept(self._deployment, is_kept=self._is_kept, warn=_warn) as sweep:
            with within(DEMO_S_MAX, "the demo has not ended"):
                async with open_parts(self._deployment, MemoryEvents()) as parts:
                    sweep.has_wire = True
                    await parts.stores.of(self._deployment.tasks()[0])
                    sweep.has_stores = True
                    truth, ferried = await self._ferry(parts, await parts.observed())
        wire, store = public(self._deployment.wire), public(self._deployment.store)
        return Outcome(
            document=document(truth, ferried, wire=wire, store=store),
            violations=violations(truth, is_at_rest=True),
            took_s=anyio.current_time() - began_s,
        )

    async def _ferry(self, parts: Parts, observed: Observed) -> tuple[Truth, tuple[Ferried, ...]]:
        self._lines.say(self._introduction())
        async with self._running(parts), user(parts) as post:
            client = Client(post, incarnation=parts.ports.ids.new().hex())
            with within(HOSTS_S_MAX, "the hosts have not all announced themselves to their cells"):
                await client.settle_hosts(len(observed.hosts))
            ferry = Ferry(self._itinerary, client, observed, screen=self._lines, salt=self._deployment.prefix)
            ferried = await ferry.run(parts.site.images)
            gathers = (await self._gather(post),)
            truth = await at_rest(partial(collect, observed, witnessed=tuple(ferry.witnessed), gathers=gathers))
        return truth, ferried

    async def _gather(self, post: Post) -> GatherTruth:
        """Ask every cell something, for the invariant that judges the answers."""
        cloud = self._deployment.cloud
        result = await post.gather(FindRoom(vcpus=0, memory_mb=0, disk_gb=0))
        return GatherTruth(top=cloud.root, cells=tuple(cell.path for cell in cloud.cells), result=result)

    def _introduction(self) -> str:
        cloud, deployment = self._deployment.cloud, self._deployment
        where = f"{len(deployment.tasks())} processes" if self._has_processes else "one process"
        return (
            f"{len(cloud.cells)} cells and {len(cloud.hosts)} hosts come up in {where}: "
            f"wire {public(deployment.wire)}, store {public(deployment.store)}"
            + (f", files kept in {deployment.directory}" if self._is_kept else "")
        )

    @asynccontextmanager
    async def _running(self, parts: Parts) -> AsyncGenerator[None]:
        if not self._has_processes:
            async with run_tasks(parts, self._deployment.tasks()):
                yield
            return
        async with anyio.create_task_group() as tasks:
            await Children(self._deployment, self._deployment.tasks()).start(tasks, parts.ports.events)
            yield
            tasks.cancel_scope.cancel()


def _warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)
