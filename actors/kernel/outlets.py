"""Sends envelopes to queues in frames: what gathers while the last confirm is outstanding travels together."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from protocol.codec import encode_frame
from protocol.errors import CellferryError, Overflow, TransportLost

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from actors.kernel.ports import Queue, Wire

WAITING_MAX: Final = 10_000
FRAME_ENVELOPES_MAX: Final = 256
FRAME_BYTES_AIM: Final = 1024 * 1024


@attrs.define
class _Item:
    data: bytes
    sent: anyio.Event = attrs.field(factory=anyio.Event)
    failure: CellferryError | None = None


@attrs.define
class _Outlet:
    items: deque[_Item] = attrs.field(factory=deque)
    is_busy: bool = False


class Outlets:
    """One outlet a destination; each has at most one frame on its way."""

    def __init__(self, wire: Wire, tasks: TaskGroup) -> None:
        self._wire = wire
        self._tasks = tasks
        self._outlets: dict[Queue, _Outlet] = {}

    async def put(self, queue: Queue, data: bytes) -> None:
        """Return when the queue has taken the envelope; raise what the wire raises."""
        outlet = self._outlets.setdefault(queue, _Outlet())
        if len(outlet.items) >= WAITING_MAX:
            raise Overflow(what=f"the outlet to {queue}", limit=WAITING_MAX)
        item = _Item(data)
        outlet.items.append(item)
        if not outlet.is_busy:
            outlet.is_busy = True
            self._tasks.start_soon(self._flush, queue, outlet, name=f"outlet {queue}")
        await item.sent.wait()
        if item.failure is not None:
            raise item.failure

    async def _flush(self, queue: Queue, outlet: _Outlet) -> None:
        try:
            while outlet.items:
                await self._send(queue, _batch(outlet.items))
        finally:
            # Also when the replica is being stopped: whoever waits must not wait for ever.
            del self._outlets[queue]
            for item in outlet.items:
                item.failure = TransportLost(cell=str(queue.cell), reason="the sender was stopped")
                item.sent.set()

    async def _send(self, queue: Queue, batch: list[_Item]) -> None:
        failure: CellferryError | None = TransportLost(cell=str(queue.cell), reason="the sender was stopped")
        try:
            await self._wire.send(queue, encode_frame([item.data for item in batch]))
            failure = None
        except CellferryError as error:
            failure = error
        finally:
            for item in batch:
                item.failure = failure
                item.sent.set()


def _batch(items: deque[_Item]) -> list[_Item]:
    batch, size = [items.popleft()], 0
    while items and len(batch) < FRAME_ENVELOPES_MAX and size + len(items[0].data) < FRAME_BYTES_AIM:
        size += len(items[0].data)
        batch.append(items.popleft())
    return batch
