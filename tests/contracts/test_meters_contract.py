"""What every meter promises: a figure is what was counted, entered, told or read, with bounded labels."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.kernel.metrics import (
    CALLS,
    DEAD_LETTERS,
    GUESTS,
    LABELS,
    MAILBOX_LETTERS,
    METRICS,
    NO_METERS,
    TAKEOVERS,
    Kind,
    Meters,
    watched,
)
from actors.ops.meters import MemoryMeters
from actors.ops.prometheus import OTHER, PrometheusMeters

Readable: TypeAlias = MemoryMeters | PrometheusMeters
SOME = 7


@pytest.fixture(params=[MemoryMeters, PrometheusMeters])
def meters(request: pytest.FixtureRequest) -> Readable:
    """Give fresh meters of each kind."""
    made: Readable = request.param()
    return made


def test_a_counter_grows_by_one_each_time_for_its_labels_alone(meters: Readable) -> None:
    """With labels and without; nothing is there before."""
    assert meters.value(DEAD_LETTERS, "stale") == meters.value(TAKEOVERS) == 0
    for _ in range(SOME):
        meters.add(DEAD_LETTERS, "stale")
        meters.add(TAKEOVERS)
    meters.add(DEAD_LETTERS, "poison")
    assert (meters.value(DEAD_LETTERS, "stale"), meters.value(DEAD_LETTERS, "poison")) == (SOME, 1)
    assert meters.value(TAKEOVERS) == SOME


def test_a_histogram_counts_its_values(meters: Readable) -> None:
    """Per labels."""
    for value in range(SOME):
        meters.observe(CALLS, float(value), "ping", "answered")
    assert (meters.value(CALLS, "ping", "answered"), meters.value(CALLS, "ping", "timeout")) == (SOME, 0)


def test_a_gauge_is_what_was_told_last(meters: Readable) -> None:
    """What is not told of any more is void."""
    meters.tell(GUESTS, {("running",): 3.0, ("paused",): 1.0})
    meters.tell(GUESTS, {("running",): 2.0})
    assert (meters.value(GUESTS, "running"), meters.value(GUESTS, "paused")) == (2, 0)


def test_readings_of_several_add_up_while_they_are_watched(meters: Readable) -> None:
    """One process may have several actors of a role."""
    sizes = [1.0, 2.0]
    with watched(meters, MAILBOX_LETTERS, lambda: {("host",): sizes[0]}):
        with watched(meters, MAILBOX_LETTERS, lambda: {("host",): sizes[1]}):
            assert meters.value(MAILBOX_LETTERS, "host") == sum(sizes)
            sizes[1] = 5.0
            assert meters.value(MAILBOX_LETTERS, "host") == sum(sizes)
        assert meters.value(MAILBOX_LETTERS, "host") == sizes[0]
    assert meters.value(MAILBOX_LETTERS, "host") == 0


def test_meters_that_nobody_reads_take_the_same() -> None:
    """Actors need not know whether they are watched."""
    silent: Meters = NO_METERS
    silent.add(TAKEOVERS)
    silent.observe(CALLS, 1.0, "ping", "answered")
    silent.tell(GUESTS, {})
    with watched(silent, GUESTS, dict):
        pass


def test_the_text_is_what_prometheus_reads() -> None:
    """Every metric that has a value is there under its declared name and labels, beside those of the process."""
    meters = PrometheusMeters()
    for metric in METRICS.values():
        labels = tuple(f"some {label}" for label in metric.labels)
        match metric.kind:
            case Kind.COUNTER:
                meters.add(metric, *labels)
            case Kind.HISTOGRAM:
                meters.observe(metric, 1.0, *labels)
            case Kind.GAUGE:
                meters.tell(metric, {labels: 1.0})
    families = {each.name: each for each in text_string_to_metric_families(meters.text().decode())}
    for metric in METRICS.values():
        found = families[metric.name.removesuffix("_total")]
        assert (found.type, found.documentation) == (metric.kind.value, metric.help)
        wanted = {label: f"some {label}" for label in metric.labels}
        assert wanted.items() <= found.samples[0].labels.items()
    assert "process_resident_memory_bytes" in families


def test_whatever_labels_come_a_metric_has_so_many_series_and_no_more() -> None:
    """Nothing is lost by that: the rest counts as other."""
    meters, most = PrometheusMeters(series_max=SOME), 10 * SOME
    for number in range(most):
        meters.add(DEAD_LETTERS, f"reason {number}")
    meters.tell(GUESTS, {(f"state {number}",): 1.0 for number in range(most)})
    text = meters.text().decode()
    families = {each.name: each.samples for each in text_string_to_metric_families(text)}
    for name in (DEAD_LETTERS.name.removesuffix("_total"), GUESTS.name):
        counted = [sample for sample in families[name] if not sample.name.endswith("_created")]
        assert len(counted) == SOME + 1
        assert sum(sample.value for sample in counted) == most
    assert meters.value(DEAD_LETTERS, OTHER) == most - SOME


def test_names_follow_the_conventions() -> None:
    """A prefix, base units, `_total` for counters alone; every label is explained, and none names one of very many."""
    for metric in METRICS.values():
        assert metric.name.startswith("cellferry_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert ("_seconds" in metric.name) == (metric.unit == "seconds")
        assert metric.help.endswith(".")
        assert set(metric.labels) <= LABELS.keys()
    assert {label for metric in METRICS.values() for label in metric.labels} == LABELS.keys()
    assert not LABELS.keys() & {"server", "host", "conversation", "request", "user"}
