"""Sends envelopes to queues in frames: what gathers while the last confirm is outstanding travels together."""

from __future__ import annotations

import asyncio
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
#: How many outlets are kept beside the busy ones: to most queues more is sent soon.
IDLE_MAX: Final = 256
FRAME_ENVELOPES_MAX: Final = 256
FRAME_BYTES_AIM: Final = 1024 * 1024


@attrs.define
class _Item:
    data: bytes
    failure: CellferryError | None = None
    sent: anyio.Event | None = None  # Set when its frame is through; whoever does not wait for that has none.

    def settle(self, failure: CellferryError | None) -> None:
        self.failure = failure
        if self.sent is not None:
            self.sent.set()


@attrs.define
class _Outlet:
    queue: Queue
    #: What is to go with the next frame.
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
        outlet = self._outlets.get(queue) or self._outlets.setdefault(queue, _Outlet(queue))
        if len(outlet.items) >= WAITING_MAX:
            raise Overflow(what=f"the outlet to {queue}", limit=WAITING_MAX)
        item = _Item(data)
        outlet.items.append(item)
        if not outlet.is_busy and await self._go_alone(outlet, data):
            return
        item.sent = anyio.Event()
        await item.sent.wait()
        if item.failure is not None:
            raise item.failure

    async def _go_alone(self, outlet: _Outlet, data: bytes) -> bool:
        """Send a frame of one from the caller's own task, for a task more costs more; tell whether it went so.

        It does not when others came in the same instant: who sends for several must not be cancelled as one of them.
        """
        outlet.is_busy = True
        try:
            await asyncio.sleep(0)
            if len(outlet.items) > 1:
                return False
            outlet.items.clear()
            await self._wire.send(outlet.queue, encode_frame([data]))
        finally:
            self._go_on(outlet)
        if self._is_stopped:
            raise _stopped(outlet.queue)
        return True

    def _go_on(self, outlet: _Outlet) -> None:
        if outlet.items and not self._is_stopped:
            self._tasks.start_soon(self._flush, outlet, name=f"outlet {outlet.queue}")
        else:
            self._rest(outlet)

    @property
    def _is_stopped(self) -> bool:
        return self._tasks.cancel_scope.cancel_called

    async def _flush(self, outlet: _Outlet) -> None:
        try:
            while outlet.items:
                await self._send(outlet.queue, _batch(outlet.items))
        finally:
            self._rest(outlet)

    def _rest(self, outlet: _Outlet) -> None:
        # Also when the replica is being stopped: whoever waits must not wait for ever.
        while outlet.items:
            outlet.items.popleft().settle(_stopped(outlet.queue))
        outlet.is_busy = False
        if len(self._outlets) > IDLE_MAX:
            del self._outlets[outlet.queue]

    async def _send(self, queue: Queue, batch: list[_Item]) -> None:
        failure: CellferryError | None = _stopped(queue)
        try:
            await self._wire.send(queue, encode_frame([item.data for item in batch]))
            failure = None
        except CellferryError as error:
            failure = error
        finally:
            for item in batch:
                item.settle(failure)


def _stopped(queue: Queue) -> TransportLost:
    return TransportLost(cell=str(queue.cell), reason="the sender was stopped")


def _batch(items: deque[_Item]) -> list[_Item]:
    batch, size = [items.popleft()], 0
    while items and len(batch) < FRAME_ENVELOPES_MAX and size + len(items[0].data) < FRAME_BYTES_AIM:
        size += len(items[0].data)
        batch.append(items.popleft())
    return batch
