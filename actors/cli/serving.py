"""One role of a cloud in this process, until it is asked to stop or its parent is gone."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import anyio

from actors.cli.children import READY
from actors.process import open_parts, run_tasks

if TYPE_CHECKING:
    from actors.process import Deployment, Task


class LoggedEvents:
    """Writes events to standard error, which is the process's log."""

    def emit(self, event: str, /, **fields: object) -> None:
        """Write one event as one line."""
        print(event, *(f"{name}={value!r}" for name, value in fields.items()), file=sys.stderr, flush=True)


def read_line() -> bytes:
    """Read the first line of standard input, and not a byte more: what follows is the parent's end."""
    line = bytearray()
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return bytes(line)


async def serve(deployment: Deployment, task: Task) -> None:
    """Run the role's actors; say when they take messages."""
    async with anyio.create_task_group() as watching:
        watching.start_soon(_until_orphaned, watching.cancel_scope)
        watching.start_soon(_until_signalled, watching.cancel_scope)
        async with open_parts(deployment, LoggedEvents()) as parts, run_tasks(parts, (task,)):
            os.write(1, READY)
            await anyio.sleep_forever()


async def _until_orphaned(scope: anyio.CancelScope) -> None:
    """Wait for the end of standard input: the parent holds the other end, and lets go of it when it dies."""
    await anyio.wait_readable(0)
    scope.cancel()


async def _until_signalled(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
