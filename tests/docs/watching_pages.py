"""The pages of what a process tells those who watch it: the events of its log, and its figures."""

from __future__ import annotations

from typing import Final

from actors.kernel.events import CONTEXT, EVENTS, FIELDS, Level
from actors.kernel.metrics import COUNTED, LABELS, METRICS, SECONDS, Kind
from actors.ops.logs import LINES_MAX, MASK, WINDOW_S
from actors.ops.prometheus import OTHER, SERIES_MAX
from tests.docs.markdown import code, listed, page, table

LOGS_INTRO: Final = f"""
A process of a deployment that stays writes a line to its standard error for each event: one JSON object, or on a
terminal a line for people. `[log]` in the [settings](settings.md) says what is left out and how it looks. The list is
closed: no other event is ever written. [How to watch a deployment](../how-to/watch-a-deployment.md) uses it.

Each line has `timestamp` (UTC), `level`, `event`, the event's own fields, and whatever is known of what the actor is
doing just then. Secrets are written as `{MASK}`. Of one event {LINES_MAX} lines are written within {WINDOW_S:g} s at
most; how many were left out, `left_out` says in the next one.
"""

METRICS_INTRO: Final = f"""
A process of a deployment that stays tells these at `/metrics`, where `[http]` in the [settings](settings.md) says so,
in Prometheus' text format; beside them those of the process itself (`process_cpu_seconds_total`,
`process_resident_memory_bytes` and the like). No label names a server, a user or a conversation, and no metric has more
than {SERIES_MAX:,} series: what comes after them is counted under `{OTHER}`.

A histogram of `NAME` has `NAME_bucket`, `NAME_sum` and `NAME_count`; its buckets end at
{", ".join(f"{each:g}" for each in SECONDS)} seconds.

A gauge that is not there is not known to that process: journals are counted by conductors, permits by the root's cell,
guests by hosts.
"""


def logs_page() -> str:
    """Write the page of events, the worst first."""
    parts = [
        "## What is known of what an actor is doing",
        table(("Field", "Holds"), [(code(name), text) for name, text in CONTEXT.items()]),
    ]
    for level in sorted(Level, reverse=True):
        rows = [
            (code(event.name), event.means, listed(event.fields), _counted(event.name))
            for event in EVENTS.values()
            if event.level is level
        ]
        parts.extend([f"## {level.name.capitalize()}", table(("Event", "Means", "Fields", "Counted in"), rows)])
    fields = table(("Field", "Holds"), [(code(name), text) for name, text in sorted(FIELDS.items())])
    return page("Log", LOGS_INTRO, *parts, "## Fields", fields)


def _counted(event: str) -> str:
    return code(COUNTED[event][0].name) if event in COUNTED else ""


def metrics_page() -> str:
    """Write the page of metrics, by kind."""
    parts = []
    for kind in Kind:
        rows = [
            (code(metric.name), listed(metric.labels), metric.unit, metric.help)
            for metric in METRICS.values()
            if metric.kind is kind
        ]
        parts.extend([f"## {kind.value.capitalize()}s", table(("Metric", "Labels", "Unit", "Means"), rows)])
    labels = table(("Label", "Says"), [(code(name), text) for name, text in LABELS.items()])
    return page("Metrics", METRICS_INTRO, *parts, "## Labels", labels)
