"""A cell that starts takes over its settings as soon as its database is there."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors.assembly import Ports
from actors.cell.announcing import Announcing
from actors.kernel.ports import Store
from actors.ops.events import MemoryEvents
from actors.store.records import load
from actors.store.sqlite import open_inline
from actors.store.tables import CELL_TABLES
from actors.wire.memory import MemoryWire
from protocol.cell_path import CellPath
from protocol.draft import need
from protocol.errors import StoreUnavailable
from protocol.records import CellProfile, Neighbour
from protocol.tree import Edge, Rules
from sim.ports import SeededRandom, SerialIds, VirtualClock

pytestmark = pytest.mark.anyio
HERE = CellPath.parse("api")


class AwayAtFirst:
    """A store whose database is away for the first so many transactions."""

    def __init__(self, store: Store, *, times: int) -> None:
        self._store = store
        self.times = times

    async def transact(self, work: Any, /, *arguments: Any, **named: Any) -> Any:
        if self.times:
            self.times -= 1
            raise StoreUnavailable(store="api", reason="it is being upgraded")
        return await self._store.transact(work, *arguments, **named)


@pytest.mark.proves("R113")
async def test_a_database_that_is_away_at_the_start_is_waited_for() -> None:
    """However long that is: nobody has to start the cell again."""
    store = open_inline(CELL_TABLES)
    events = MemoryEvents()
    ports = Ports(wire=MemoryWire(), clock=VirtualClock(), ids=SerialIds(), random=SeededRandom(0), events=events)
    rules = Rules(profile=CellProfile(cell="api"), children=(Edge(cell=HERE.child("eu")),))
    away = AwayAtFirst(store, times=30)
    began_s = anyio.current_time()
    await Announcing(post=ports.post(HERE, "cell"), store=away, clock=ports.clock, rules=rules).prepare()
    assert anyio.current_time() - began_s > 200
    rows = await store.transact(load, (need(Neighbour),))
    assert [row.key for row in rows] == [("api!eu",)]
    store.close()
