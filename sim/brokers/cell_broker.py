"""One cell's broker: its queues and dead letters, who is connected, and whether it is there at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.errors import Unroutable
from sim.brokers.queues import SimQueue

if TYPE_CHECKING:
    from actors.kernel.ports import Queue
    from actors.wire.topology import DeadLetter
    from protocol.cell_path import CellPath
    from protocol.errors import CellferryError
    from sim.brokers.ground import Ground, Strike
    from sim.brokers.mishaps import Mishaps
    from sim.brokers.queues import Frame
    from sim.brokers.wire import Session


class CellBroker:
    """A broker: what it keeps is gone only when it is wiped."""

    def __init__(self, ground: Ground, mishaps: Mishaps, cell: CellPath) -> None:
        self._ground = ground
        self._mishaps = mishaps
        self.cell = cell
        self.queues: dict[Queue, SimQueue] = {}
        self.dead: list[DeadLetter] = []
        self.sessions: dict[Session, None] = {}
        self.outages: dict[Strike, None] = {}
        self.deleted: dict[Queue, Strike] = {}

    @property
    def is_down(self) -> bool:
        """Tell whether it is away."""
        return bool(self.outages)

    @property
    def kept(self) -> int:
        """Count the frames that it has taken and that are not settled."""
        return sum(queue.kept for queue in self.queues.values())

    def declare(self, queue: Queue) -> None:
        """Make a queue exist; declaring it again changes nothing."""
        if queue not in self.queues:
            self.queues[queue] = SimQueue(self._ground, queue, self.dead)
            self.deleted.pop(queue, None)

    def delete(self, queue: Queue, why: str) -> int:
        """Delete a queue; whoever consumed from it notices and makes it again.  Tell how many frames were lost."""
        source = self.queues.pop(queue, None)
        if source is None:
            return 0
        lost = source.delete(why)
        for session in self.consuming(queue):
            session.lose(f"the broker cancelled the consumer of {queue}")
        return lost

    def consuming(self, queue: Queue) -> list[Session]:
        """List the connections with a consumer of a queue."""
        return [each for each in self.sessions if any(consumer.queue == queue for consumer in each.consumers)]

    def take(self, frame: Frame) -> CellferryError | None:
        """Take a frame into its queue; give what its sender is to be told, if that is not a confirm."""
        queue = self.queues.get(frame.queue)
        if queue is None:
            if (strike := self.deleted.get(frame.queue)) is not None:
                strike.matter()
            return Unroutable(cell=str(self.cell), queue=frame.queue.name)
        overflow = queue.take(frame)
        return self._mishaps.befall(frame, queue) if overflow is None else overflow

    def miss(self) -> None:
        """Note that somebody has sent to it while it was away."""
        for strike in self.outages:
            strike.matter()
