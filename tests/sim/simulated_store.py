"""A simulated store for the contract of all stores, which any other may take the place of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import sqlalchemy

from actors.kernel.ports import Store
from actors.store.engine import open_store
from sim.edges.disk import Disk
from sim.process import Process
from tests.sim.weather import weather

URL: Final = "sim://"
#: Kinds of stores that need neither threads nor sockets, and end with whoever opened them.
IN_MEMORY: Final = ("inline", "sim")


def opened(url: str, *, schema: str, metadata: sqlalchemy.MetaData) -> AbstractAsyncContextManager[Store]:
    """Open the store that a URL names, simulated ones as well."""
    return _simulated(metadata) if url == URL else open_store(url, schema=schema, metadata=metadata)


@asynccontextmanager
async def _simulated(metadata: sqlalchemy.MetaData) -> AsyncIterator[Store]:
    air = weather()
    disk = Disk(metadata, name="disk", history=air.history, injector=air.injector, chance=air.chance)
    yield disk.mount(Process("test"))
    disk.close()
