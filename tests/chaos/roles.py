"""The command line of a process that plays one role of a deployment: that of a child, with parts of a test's own."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Protocol

import anyio

from actors.cli.serving import read_line, serve_child
from actors.deployment import Deployment, Duty, Task
from protocol.cell_path import CellPath

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from actors.kernel.ports import Events
    from actors.process import Parts


class Opening(Protocol):
    """Opens the parts of the process that plays a role."""

    def __call__(self, deployment: Deployment, events: Events, *, task: Task) -> AbstractAsyncContextManager[Parts]:
        """Open them until the context is left."""


def play(opening: Opening) -> None:
    """Play one role of the deployment that standard input describes, on what `opening` gives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", type=Duty)
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--cell", type=CellPath.parse, required=True)
    parser.add_argument("--host", default="")
    parser.add_argument("--replica", type=int, default=0)
    options = parser.parse_args()
    task = Task(duty=options.role, cell=options.cell, host=options.host, replica=options.replica)
    anyio.run(partial(serve_child, opening=partial(opening, task=task)), Deployment.decode(read_line()), task)
