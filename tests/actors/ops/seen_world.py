"""A simulated cloud whose processes give figures and spans, as real ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors.ops.meters import MemoryMeters
from actors.ops.otel import Spans
from actors.ops.scopes import Scopes
from sim.edges.watching import WatchedEvents
from sim.world import World
from tests.clouds import FLAT

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class SeenWorld(World):
    """A world of which everything is seen; without the SDK, when that is not there."""

    def __init__(self, *, has_sdk: bool = True) -> None:
        self.meters = MemoryMeters()
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.provider = provider
        self._has_sdk = has_sdk
        super().__init__(FLAT)

    def _events(self, name: str) -> WatchedEvents:
        events = WatchedEvents(self.history, name)
        events.meters = self.meters
        events.traces = Spans(self.provider.get_tracer(name)) if self._has_sdk else Scopes()
        return events

    def spans(self) -> tuple[ReadableSpan, ...]:
        """Give the spans that have ended since the last time."""
        found = self.exporter.get_finished_spans()
        self.exporter.clear()
        return found
