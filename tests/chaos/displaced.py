"""A process of a deployment on a machine whose clock can be set: `python -m tests.chaos.displaced`.

A file beside its guests says by how many microseconds the clock is off; without it the clock is right.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from actors.deployment import Deployment, Task
from actors.ops.system import SystemClock
from actors.process import Parts, open_parts
from tests.chaos.roles import play

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


if __name__ == "__main__":
    play(open_displaced)
