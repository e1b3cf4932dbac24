"""What is to happen when: a heap of events in virtual nanoseconds, those of one instant in the order they came."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

NS_PER_S: Final = 1_000_000_000


class Agenda:
    """Events to come, and the time."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.events = 0  # How many have happened.
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = 0

    @property
    def now_s(self) -> float:
        """The time in seconds."""
        return self.now_ns / NS_PER_S

    def after(self, delay_s: float, run: Callable[..., None], *arguments: object) -> None:
        """Have something happen later."""
        self.at(self.now_ns + int(delay_s * NS_PER_S), run, *arguments)

    def at(self, at_ns: int, run: Callable[..., None], *arguments: object) -> None:
        """Have something happen at a time."""
        self._serial += 1
        heappush(self._heap, (at_ns, self._serial, run, arguments))

    def clear(self) -> None:
        """Forget all that is to come."""
        self._heap.clear()

    def run_until(self, until_ns: int) -> None:
        """Let everything happen that is due until then."""
        heap = self._heap
        while heap and heap[0][0] <= until_ns:
            self.now_ns, _, run, arguments = heappop(heap)
            self.events += 1
            run(*arguments)
        self.now_ns = max(self.now_ns, until_ns)
