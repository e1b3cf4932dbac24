"""Removes what a run of the demo has made: guests, queues, schemas, files.  Also when it failed or was interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from actors.accounts import MEMORY, open_wire
from actors.deployment import SQLITE, Duty
from actors.ops.events import MemoryEvents
from actors.sites import ProcessSite
from actors.store.postgresql import drop_postgresql
from protocol.errors import CellferryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.compute.drivers.process import ProcessDriver
    from actors.deployment import Deployment

#: Nobody waits longer than this for an end, however much is broken.
SWEEP_S_MAX: Final = 60.0


class Sweep:
    """What there may be of one run.  Services are only asked to forget what they were seen to take."""

    def __init__(self, deployment: Deployment, *, is_kept: bool, warn: Callable[[str], None]) -> None:
        """Sweep after this deployment; `is_kept`: its files stay."""
        self._deployment = deployment
        self._is_kept = is_kept
        self._warn = warn
        self.has_wire = False
        self.has_stores = False

    async def clean(self) -> None:
        """Remove everything; what cannot be removed is named."""
        deployment = self._deployment
        if deployment.cloud.driver != MEMORY:
            await self._try("guests", self._end_guests)
        if self.has_wire and deployment.wire != MEMORY:
            await self._try(f"queues whose names begin with {deployment.prefix}", self._delete_queues)
        if self.has_stores:
            await self._try(f"schemas like {deployment.schema('', deployment.cloud.root)}", self._drop_schemas)
        if not self._is_kept:
            await self._try(f"the directory {deployment.directory}", self._remove_files)

    async def _try(self, what: str, remove: Callable[[], Awaitable[None]]) -> None:
        try:
            with anyio.fail_after(SWEEP_S_MAX):
                await remove()
        except* (CellferryError, OSError, TimeoutError) as group:
            error = _leaf(group)
            why = f"not done after {SWEEP_S_MAX:g} s" if isinstance(error, TimeoutError) else str(error)
            self._warn(f"left behind: {what} ({why}); remove them by hand")

    async def _end_guests(self) -> None:
        site = ProcessSite(self._deployment.directory)
        async with anyio.create_task_group() as tasks:
            for host in self._deployment.cloud.hosts:
                for guest in site.inspect(host.name):
                    tasks.start_soon(self._end, site.driver(host.name), guest.server)

    async def _end(self, driver: ProcessDriver, server: str) -> None:
        if self._is_kept:
            await driver.power_off(server)
        else:
            await driver.destroy(server)

    async def _delete_queues(self) -> None:
        async with open_wire(self._deployment.accounts, MemoryEvents()) as wire:
            for queue in self._deployment.queues():
                await wire.purge(queue)

    async def _drop_schemas(self) -> None:
        async with anyio.create_task_group() as tasks:
            for task in self._deployment.tasks():
                if task.replica:
                    continue
                url = self._deployment.store_of(task.cell)
                if url != SQLITE and task.duty is not Duty.HOST:
                    schema = self._deployment.schema("" if task.duty is Duty.CELL else task.duty, task.cell)
                    tasks.start_soon(drop_postgresql, url, schema)

    async def _remove_files(self) -> None:
        await anyio.to_thread.run_sync(shutil.rmtree, self._deployment.directory)


def _leaf(error: BaseException) -> BaseException:
    return _leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


@asynccontextmanager
async def swept(deployment: Deployment, *, is_kept: bool, warn: Callable[[str], None]) -> AsyncGenerator[Sweep]:
    """Make the run's directory, and leave nothing behind when the context is left, whatever the reason."""
    deployment.directory.mkdir(parents=True, exist_ok=True)
    sweep = Sweep(deployment, is_kept=is_kept, warn=warn)
    try:
        yield sweep
    finally:
        with anyio.CancelScope(shield=True):
            await sweep.clean()
