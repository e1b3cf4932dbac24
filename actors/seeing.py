"""What a process tells those who watch it: a log, figures, spans, and how it stands; made from its settings."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

import anyio
import attrs

from actors.kernel.events import EVENTS
from actors.kernel.metrics import DEAD_LETTERS, EVENTS_TOLD, PROCESS
from actors.ops.checks import SettingsError
from actors.ops.health import Health
from actors.ops.http import serve
from actors.ops.logs import Log, Redactor, hear_libraries, unhear
from actors.ops.observed import ObservedEvents
from actors.ops.otel import traces
from actors.ops.pages import Pages
from actors.ops.prometheus import PrometheusMeters
from actors.ops.scopes import doing
from actors.ops.secrets import read_secrets
from protocol.dead_letters import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from actors.deployment import Deployment, Task
    from actors.ops.scopes import Scopes


@attrs.frozen(kw_only=True)
class Seeing:
    """The parts of it."""

    process: str
    log: Log
    meters: PrometheusMeters
    events: ObservedEvents
    health: Health


def secrets_of(deployment: Deployment) -> Iterator[str]:
    """Give every password that this process may come to know."""
    cloud = deployment.cloud
    urls = [deployment.wire, deployment.store, *(link.broker for link in cloud.links)]
    urls.extend(url for cell in cloud.cells for url in (cell.broker, cell.store) if url)
    yield from (password for url in urls if (password := urlsplit(url).password))
    if deployment.secrets is not None:
        for cell in cloud.cells:
            try:
                yield from read_secrets(deployment.secrets, cell.path).values()
            except SettingsError:
                continue  # Not ours to read; whoever needs it will say so.


def make(
    deployment: Deployment, process: str, *, about: dict[str, str], file: TextIO | None = None,
    noted: Scopes | None = None,
) -> Seeing:  # fmt: skip
    """Make all parts; `about` is on every line of the log, which goes to standard error unless told otherwise."""
    meters = PrometheusMeters()
    log = Log(deployment.cloud.log, file=file, about=about, context=doing, redactor=Redactor(secrets_of(deployment)))
    for reason in Reason:
        meters.begin(DEAD_LETTERS, reason.value)
    for event in EVENTS:
        meters.begin(EVENTS_TOLD, event)
    meters.tell(PROCESS, {(process, _version()): 1.0})
    return Seeing(
        process=process, log=log, meters=meters, health=Health(process, meters),
        events=ObservedEvents(log, meters=meters, traces=noted or traces()),
    )  # fmt: skip


@asynccontextmanager
async def seen(deployment: Deployment, tasks: tuple[Task, ...], *, place: int = 0) -> AsyncGenerator[Seeing]:
    """Let a process that plays these roles be watched while the context is open.

    `place`: how far behind the port of the settings its own is.
    """
    http = deployment.cloud.http
    process, about = _introduction(tasks)
    seeing = make(deployment, process, about=about)
    handler = hear_libraries(seeing.events.emit)
    try:
        async with anyio.create_task_group() as group:
            if http.port:
                group.start_soon(seeing.health.beat, name="beat")
                pages = Pages(seeing.health, seeing.meters)
                await group.start(serve, http.bind, http.port + place, pages.answer, seeing.events)
            yield seeing
            group.cancel_scope.cancel()
    finally:
        unhear(handler)


def _introduction(tasks: tuple[Task, ...]) -> tuple[str, dict[str, str]]:
    if len(tasks) != 1:
        return f"{len(tasks)} roles", {}
    (task,) = tasks
    return str(task), {"cell": str(task.cell), **({"host": task.host} if task.host else {})}


def _version() -> str:
    try:
        return version("cellferry")
    except PackageNotFoundError:
        return "not installed"
