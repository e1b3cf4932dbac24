"""The figures of a process as Prometheus reads them.  A metric has so many series and no more: the rest is `other`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import prometheus_client as client
from prometheus_client.core import GaugeMetricFamily

from actors.kernel.metrics import METRICS, SECONDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.kernel.metrics import Metric, Readings

#: How many combinations of labels one metric may have; what comes after them is counted as one more.
SERIES_MAX: Final = 1_000
OTHER: Final = "other"


class PrometheusMeters:
    """Meters in a registry of their own, with those of the process itself (`process_...`) beside them."""

    def __init__(self, *, series_max: int = SERIES_MAX) -> None:
        """Declare every metric."""
        # When a counter began would be a second series of each, which nobody reads.
        client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        self._series_max = series_max
        self._registry = client.CollectorRegistry(auto_describe=False)
        client.ProcessCollector(registry=self._registry)
        kept = (each for each in METRICS.values() if each.kind is not Kind.GAUGE)
        self._kept: dict[Metric, Any] = {each: _made(each, self._registry) for each in kept}
        self._series: defaultdict[Metric, dict[tuple[str, ...], Any]] = defaultdict(dict)
        self._gauges = _Gauges(series_max)
        self._registry.register(self._gauges)

    def add(self, metric: Metric, /, *labels: str) -> None:
        """Count one more."""
        self._of(metric, labels).inc()

    def begin(self, metric: Metric, /, *labels: str) -> None:
        """Have a series at zero, so that the first one counted is seen as a rise."""
        self._of(metric, labels)

    def observe(self, metric: Metric, value: float, /, *labels: str) -> None:
        """Enter a value into a histogram."""
        self._of(metric, labels).observe(value)

    def tell(self, metric: Metric, readings: Readings, /) -> None:
        """Say what a gauge is from now on."""
        self._gauges.told[metric] = dict(readings)

    def watch(self, metric: Metric, read: Callable[[], Readings], /) -> Callable[[], None]:
        """Have a gauge read at each scrape."""
        readers = self._gauges.watched[metric]
        readers.append(read)
        return lambda: readers.remove(read)

    def text(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        return bytes(client.generate_latest(self._registry))

    def value(self, metric: Metric, *labels: str) -> float:
        """Give what a counter or a gauge says, or how many values a histogram has; 0: nothing yet."""
        name = f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name
        found = self._registry.get_sample_value(name, dict(zip(metric.labels, labels, strict=True)))
        return 0.0 if found is None else found

    def _of(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        series = self._series[metric]
        found = series.get(labels)
        if found is None:
            if len(series) >= self._series_max:
                labels = (OTHER,) * len(labels)
            made = self._kept[metric]
            found = made.labels(*labels) if metric.labels else made
            series.setdefault(labels, found)
        return found


def _made(metric: Metric, registry: client.CollectorRegistry) -> Any:
    if metric.kind is Kind.HISTOGRAM:
        return client.Histogram(metric.name, metric.help, metric.labels, buckets=SECONDS, registry=registry)
    return client.Counter(metric.name.removesuffix("_total"), metric.help, metric.labels, registry=registry)


class _Gauges:
    """All gauges, read when they are asked for."""

    def __init__(self, series_max: int) -> None:
        self._series_max = series_max
        self.told: dict[Metric, dict[tuple[str, ...], float]] = {}
        self.watched: defaultdict[Metric, list[Callable[[], Readings]]] = defaultdict(list)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for metric in METRICS.values():
            if metric.kind is Kind.GAUGE:
                family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in self._read(metric).items():
                    family.add_metric(labels, value)
                yield family

    def _read(self, metric: Metric) -> dict[tuple[str, ...], float]:
        total: dict[tuple[str, ...], float] = {}
        readings: list[Readings] = [
            self.told.get(metric, {}),
            *(read() for read in tuple(self.watched.get(metric, ()))),
        ]
        for each in readings:
            for labels, value in each.items():
                own = labels if labels in total or len(total) < self._series_max else (OTHER,) * len(labels)
                total[own] = total.get(own, 0.0) + value
        return total
