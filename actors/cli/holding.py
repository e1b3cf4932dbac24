"""That no role of a deployment runs twice on a machine: a lock for each, which the system lets go with the process."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from actors.cli.failures import RunsAlready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.deployment import Deployment, Task


@contextmanager
def held(deployment: Deployment, tasks: tuple[Task, ...]) -> Iterator[None]:
    """Hold the roles while the context is open; raise `RunsAlready` when another process has one."""
    directory = deployment.directory / "locks"
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    try:
        for task in tasks:
            path = directory / str(task).replace("/", ".").replace(":", "-")
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            files.append(file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                process = os.read(file, 32).decode(errors="replace").strip()
                where = f"{deployment.directory} (process {process})"
                raise RunsAlready(f"{task} runs already in {where}; end that one, or name another directory") from None
            os.truncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        for file in files:
            with suppress(OSError):
                os.close(file)
