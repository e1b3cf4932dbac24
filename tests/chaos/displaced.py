"""A process of a deployment on a machine whose clock can be set: `python -m tests.chaos.displaced`.

A file beside its guests says by how many microseconds the clock is off; without it the clock is right.
"""

from __future__ import annotations

import argparse
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import attrs

from actors.cli.serving import read_line, serve_child
from actors.deployment import Deployment, Duty, Task
from actors.ops.system import SystemClock
from actors.process import Parts, open_parts
from protocol.cell_path import CellPath

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.kernel.ports import Events


def displacement(directory: Path, host: str) -> Path:
    """Name the file that says how far a host's clock is off."""
    return directory / f"clock-of-{host}"


class DisplacedClock(SystemClock):
    """The clock of a machine that somebody has set."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now_us(self) -> int:
        """Tell what it shows."""
        off_us = int(self._file.read_text(encoding="ascii")) if self._file.exists() else 0
        return super().now_us() + off_us


@asynccontextmanager
async def open_displaced(deployment: Deployment, events: Events, task: Task) -> AsyncGenerator[Parts]:
    """Open the parts of a process; a host's with its machine's clock."""
    async with open_parts(deployment, events, needed=(task.cell,)) as parts:
        if not task.host:
            yield parts
            return
        clock = DisplacedClock(displacement(deployment.directory, task.host))
        yield attrs.evolve(parts, ports=attrs.evolve(parts.ports, clock=clock))


def main() -> None:
    """Play one role of the deployment that standard input describes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", type=Duty)
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--cell", type=CellPath.parse, required=True)
    parser.add_argument("--host", default="")
    parser.add_argument("--replica", type=int, default=0)
    options = parser.parse_args()
    task = Task(duty=options.role, cell=options.cell, host=options.host, replica=options.replica)
    anyio.run(partial(serve_child, opening=partial(open_displaced, task=task)), Deployment.decode(read_line()), task)


if __name__ == "__main__":
    main()
