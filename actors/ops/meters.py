"""Figures kept in memory: for tests, and wherever a few are to be looked at without more ado."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.kernel.metrics import Metric, Readings


class MemoryMeters:
    """Meters that can be asked what they say."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._values: defaultdict[tuple[str, tuple[str, ...]], list[float]] = defaultdict(list)
        self._gauges: dict[str, dict[tuple[str, ...], float]] = {}
        self._watched: defaultdict[str, list[Callable[[], Readings]]] = defaultdict(list)

    def add(self, metric: Metric, /, *labels: str) -> None:
        """Count one more."""
        self._counts[metric.name, labels] += 1

    def observe(self, metric: Metric, value: float, /, *labels: str) -> None:
        """Keep the value."""
        self._values[metric.name, labels].append(value)

    def tell(self, metric: Metric, readings: Readings, /) -> None:
        """Keep the readings in place of those before."""
        self._gauges[metric.name] = dict(readings)

    def watch(self, metric: Metric, read: Callable[[], Readings], /) -> Callable[[], None]:
        """Read it when it is asked for."""
        self._watched[metric.name].append(read)
        return lambda: self._watched[metric.name].remove(read)

    def value(self, metric: Metric, *labels: str) -> float:
        """Give what a counter or a gauge says, or how many values a histogram has; 0: nothing yet."""
        watched = sum(read().get(labels, 0.0) for read in self._watched[metric.name])
        set_ = self._gauges.get(metric.name, {}).get(labels, 0.0)
        return self._counts[metric.name, labels] + len(self._values[metric.name, labels]) + set_ + watched

    def labels(self, metric: Metric) -> set[tuple[str, ...]]:
        """Give the labels with which a counter or a histogram was used."""
        return {labels for name, labels in (*self._counts, *self._values) if name == metric.name}
