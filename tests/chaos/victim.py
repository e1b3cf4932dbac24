"""A process of a deployment that walks into traps: `python -m tests.chaos.victim`, with the options of a child.

It is the very process that a deployment has, on the same stores and queues, but for the points that its ports pass.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import attrs

from actors.compute.drivers.process import ProcessDriver
from actors.deployment import Deployment, Task
from actors.kernel.ports import Events, Store
from actors.process import Parts, Stores, open_parts
from actors.sites import ProcessSite
from tests.chaos.roles import play
from tests.chaos.trapped import (
    Notes,
    TrappedDriver,
    TrappedImages,
    TrappedInbox,
    TrappedJournals,
    TrappedStore,
    TrappedWire,
)
from tests.chaos.traps import Traps, Walker


class _Stores:
    """The stores of a process, each with traps."""

    def __init__(self, stores: Stores, notes: Notes) -> None:
        self._stores = stores
        self._notes = notes

    async def of(self, task: Task) -> Store:
        """Give the store of a role."""
        return TrappedStore(await self._stores.of(task), self._notes)


class _Site:
    """The site of a process, whose hypervisor has traps."""

    def __init__(self, site: ProcessSite, directory: Path, walker: Walker) -> None:
        self._site = site
        self._directory = directory
        self._walker = walker

    def __getattr__(self, name: str) -> Any:
        """Leave all else to the site itself."""
        return getattr(self._site, name)

    def driver(self, host: str) -> ProcessDriver:
        """Make the driver of a host."""
        images = TrappedImages(self._site.images, self._walker)
        beside = ProcessSite(self._directory)
        beside.images = cast("Any", images)
        return cast("ProcessDriver", TrappedDriver(beside.driver(host), images, self._walker))


@asynccontextmanager
async def open_trapped(deployment: Deployment, events: Events, task: Task) -> AsyncGenerator[Parts]:
    """Open the parts of a process, with traps in them."""
    role = str(attrs.evolve(task, replica=0))
    walker = Walker(Traps(deployment.directory), role=role, name=str(task))
    notes = Notes(walker)
    async with open_parts(deployment, events) as parts:
        ports = attrs.evolve(
            parts.ports, wire=TrappedWire(parts.ports.wire, notes), inbox=TrappedInbox(notes),
            journals=TrappedJournals(notes),
        )  # fmt: skip
        yield attrs.evolve(
            parts, ports=ports, stores=cast("Any", _Stores(parts.stores, notes)),
            site=cast("Any", _Site(cast("ProcessSite", parts.site), deployment.directory, walker)),
        )  # fmt: skip


if __name__ == "__main__":
    play(open_trapped)
