"""Roles of a deployment in this process, or in children of it, until it is asked to stop or its parent is gone."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from actors.cli.children import READY, Children
from actors.cli.failures import within
from actors.cli.providing import provide
from actors.client import Client
from actors.kernel.supervisor import supervise
from actors.process import open_parts, run_tasks, user
from actors.seeing import seen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import TaskStatus

    from actors.deployment import Deployment, Task
    from actors.kernel.ports import Events
    from actors.ops.health import Health
    from actors.process import Parts

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
        watching.start_soon(_until_orphaned, watching.cancel_scope)
        await watching.start(_until_signalled, stop)
        tasks = deployment.tasks()
        place = 1 + tasks.index(task) if task in tasks else 0
        async with (
            seen(deployment, (task,), place=place) as seeing,
            opening(deployment, seeing.events) as parts,
            run_tasks(attrs.evolve(parts, health=seeing.health), (task,)),
        ):
            seeing.events.emit("process_ready", process=seeing.process)
            os.write(1, READY)
            await stop.wanted()
            seeing.events.emit("process_draining", process=seeing.process)
        watching.cancel_scope.cancel()


async def serve(
    deployment: Deployment, tasks: tuple[Task, ...], *, has_processes: bool, ready: Callable[[], None]
) -> None:
    """Run these roles until a signal comes; call `ready` when they take messages, and all hosts of all are known."""
    async with anyio.create_task_group() as watching:
        stop = _Stop(watching.cancel_scope)
        await watching.start(_until_signalled, stop)
        async with AsyncExitStack() as stack:
            seeing = await stack.enter_async_context(seen(deployment, tasks))
            opening = open_parts(deployment, seeing.events, needed={task.cell for task in tasks})
            parts = attrs.evolve(await stack.enter_async_context(opening), health=seeing.health)
            await stack.enter_async_context(_running(parts, tasks, has_processes=has_processes))
            if tasks == deployment.tasks():
                await _settle(parts)
            seeing.events.emit("process_ready", process=seeing.process)
            ready()
            await stop.wanted()
            seeing.events.emit("process_draining", process=seeing.process)
        watching.cancel_scope.cancel()


@asynccontextmanager
async def _running(parts: Parts, tasks: tuple[Task, ...], *, has_processes: bool) -> AsyncGenerator[None]:
    if not has_processes:
        async with run_tasks(parts, tasks):
            yield
        return
    async with anyio.create_task_group() as group:
        assert parts.health is not None, "who watches them is watched"
        keep = partial(_keep, parts.health)
        await Children(parts.deployment, tasks, keep=keep).start(group, parts.ports.events)
        yield
        group.cancel_scope.cancel()


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


async def _until_orphaned(scope: anyio.CancelScope) -> None:
    """Wait for the end of standard input: the parent holds the other end, and lets go of it when it dies."""
    await anyio.wait_readable(0)
    scope.cancel()


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


async def _until_signalled(stop: _Stop, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            stop.signal()
