"""Roles of a deployment in this process, or in children of it, until it is asked to stop or its parent is gone."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from actors.cli.children import READY, Children
from actors.cli.failures import within
from actors.cli.patience import patiently
from actors.cli.providing import provide
from actors.cli.reloading import AsyncTune, Reload
from actors.client import Client
from actors.deployment import Deployment
from actors.kernel.supervisor import supervise
from actors.ops.notify import Notifier
from actors.process import open_parts, run_tasks, user
from actors.seeing import seen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import TaskStatus

    from actors.deployment import Task
    from actors.kernel.ports import Events
    from actors.ops.health import Health
    from actors.ops.settings import Cloud
    from actors.process import Parts, Tune
    from actors.seeing import Seeing

#: How long the hosts have to announce themselves to their cells, and these to tell the root.
HOSTS_S_MAX: Final = 60.0


def read_line() -> bytes:
    """Read the first line of standard input, and not a byte more: what follows is the parent's end."""
    line = bytearray()
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return bytes(line)


async def serve_child(
    deployment: Deployment, task: Task, *,
    opening: Callable[[Deployment, Events], AbstractAsyncContextManager[Parts]] | None = None,
) -> None:  # fmt: skip
    """Run the role's actors on what `opening` gives; say when they take messages.  Ends when the parent does."""
    opening = opening or partial(open_parts, needed=(task.cell,))
    async with anyio.create_task_group() as watching:
        stop = _Stop(watching.cancel_scope)
        heard = _Heard(watching.cancel_scope)
        watching.start_soon(heard.run)
        await watching.start(_until_signalled, stop, _no_reload)
        tasks = deployment.tasks()
        place = 1 + tasks.index(task) if task in tasks else 0
        async with seen(deployment, (task,), place=place) as seeing:

            @asynccontextmanager
            async def serving() -> AsyncGenerator[Tune]:
                async with (
                    opening(deployment, seeing.events) as opened,
                    run_tasks(attrs.evolve(opened, health=seeing.health), (task,)) as tune,
                ):
                    yield tune

            # The service manager's word is for the parent.
            async with patiently(serving, deployment=deployment, seeing=seeing, notifier=Notifier({})) as tune:
                heard.tune = _with_log(tune, seeing)
                seeing.events.emit("process_ready", process=seeing.process)
                os.write(1, READY)
                await stop.wanted()
                seeing.events.emit("process_draining", process=seeing.process)
        watching.cancel_scope.cancel()


async def serve(
    deployment: Deployment, tasks: tuple[Task, ...], *, has_processes: bool, ready: Callable[[], None],
    reread: Callable[[], Cloud] | None = None,
) -> None:  # fmt: skip
    """Run these roles until a signal comes; call `ready` when they take messages, and all hosts of all are known.

    Whatever broker or database they need may be away when they start, and is waited for.  SIGHUP has them take up what
    `reread` gives of settings that may change meanwhile.
    """
    notifier = Notifier(os.environ)
    async with anyio.create_task_group() as watching, seen(deployment, tasks) as seeing:
        stop = _Stop(watching.cancel_scope)
        reload = Reload(deployment.cloud, reread, seeing.events)
        await watching.start(_until_signalled, stop, reload.run)
        watching.start_soon(notifier.live)

        @asynccontextmanager
        async def serving() -> AsyncGenerator[AsyncTune]:
            async with open_parts(deployment, seeing.events, needed={task.cell for task in tasks}) as opened:
                parts = attrs.evolve(opened, health=seeing.health)
                async with _running(parts, tasks, seeing, has_processes=has_processes) as tune:
                    if tasks == deployment.tasks():
                        await _settle(parts)
                    yield tune

        async with patiently(serving, deployment=deployment, seeing=seeing, notifier=notifier) as reload.tune:
            seeing.events.emit("process_ready", process=seeing.process)
            ready()
            notifier.ready()
            await stop.wanted()
            notifier.stopping()
            seeing.events.emit("process_draining", process=seeing.process)
        watching.cancel_scope.cancel()


@asynccontextmanager
async def _running(
    parts: Parts, tasks: tuple[Task, ...], seeing: Seeing, *, has_processes: bool
) -> AsyncGenerator[AsyncTune]:
    if not has_processes:
        async with run_tasks(parts, tasks) as tune:
            here = _with_log(tune, seeing)

            async def tune_here(cloud: Cloud) -> None:
                here(cloud)

            yield tune_here
        return
    async with anyio.create_task_group() as group:
        assert parts.health is not None, "who watches them is watched"
        children = Children(parts.deployment, tasks, keep=partial(_keep, parts.health))
        await children.start(group, parts.ports.events)

        async def tune_all(cloud: Cloud) -> None:
            seeing.log.change(cloud.log)
            await children.tune(cloud)

        yield tune_all
        group.cancel_scope.cancel()


def _with_log(tune: Tune, seeing: Seeing) -> Tune:
    def tuned(cloud: Cloud) -> None:
        seeing.log.change(cloud.log)
        tune(cloud)

    return tuned


async def _keep(
    health: Health, name: str, run: Callable[..., Coroutine[Any, Any, None]], events: Events, *,
    task_status: TaskStatus[None],
) -> None:  # fmt: skip
    await supervise(name, health.watched(name, run), events, task_status=task_status)


async def _settle(parts: Parts) -> None:
    """Wait for the hosts, and enter what the file says that there is."""
    cloud = parts.deployment.cloud
    async with user(parts) as post:
        client = Client(post, incarnation=parts.ports.ids.new().hex())
        with within(HOSTS_S_MAX, "the hosts have not all announced themselves to their cells"):
            await client.settle_hosts(len(cloud.hosts))
        await provide(client, cloud, parts.site.images)


class _Heard:
    """What comes from the parent: a deployment whose settings are to be taken up, and the end, when that dies."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.tune: Tune | None = None
        self._scope = scope

    async def run(self) -> None:
        """Read standard input until its end: the parent holds the other one, and lets go of it when it dies."""
        while True:
            await anyio.wait_readable(0)
            line = read_line()
            if not line.endswith(b"\n"):
                self._scope.cancel()
                return
            if self.tune is not None:
                self.tune(Deployment.decode(line).cloud)


async def _no_reload() -> None:
    """Do nothing: the parent is told, and tells its children."""


class _Stop:
    """What a signal does: the first has those that serve finish what they have taken, the next ends them at once."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope
        self._wanted: anyio.Event | None = None

    async def wanted(self) -> None:
        """Serve until the first signal."""
        self._wanted = anyio.Event()
        await self._wanted.wait()

    def signal(self) -> None:
        """Take a signal."""
        if self._wanted is None or self._wanted.is_set():
            self._scope.cancel()
        else:
            self._wanted.set()


async def _until_signalled(
    stop: _Stop, reload: Callable[[], Awaitable[None]], *, task_status: TaskStatus[None]
) -> None:  # fmt: skip
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for each in signals:
            if each is signal.SIGHUP:
                await reload()
            else:
                stop.signal()
