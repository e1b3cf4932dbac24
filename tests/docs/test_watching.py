"""The dashboard and the alerts name figures that there are, by labels and values that these have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from actors.cli.main import COMMANDS
from actors.kernel.events import EVENTS
from actors.kernel.metrics import METRICS, Kind, Metric
from actors.ops.health import State
from tests.tidy_rules import ROOT

DASHBOARD: Final = ROOT / "deploy" / "grafana" / "cellferry.json"
ALERTS: Final = ROOT / "deploy" / "prometheus" / "alerts.yml"
NAME: Final = re.compile(r"\b(cellferry_\w+)(?:\{([^}]*)\})?")
MATCHER: Final = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPED: Final = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
SUFFIX: Final = re.compile(r"_(bucket|sum|count)$")
#: Labels that Prometheus itself gives, or that are only there within an expression.
FOREIGN: Final = frozenset({"instance", "job", "le"})
#: What an operator must be told of.
MUST: Final = frozenset({
    "CellferryMoveParked", "CellferryDeadLettersGrow", "CellferryCellSilent", "CellferryJournalLag",
    "CellferryLinkDown", "CellferryTakeoverStorm", "CellferryProcessGone",
})  # fmt: skip


def alerts() -> list[dict[str, Any]]:
    """Read the rules."""
    document = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def shown() -> list[str]:
    """Read the expressions of the dashboard."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def metric_of(name: str) -> Metric:
    """Find the metric that a series is of."""
    metric = METRICS.get(name) or METRICS.get(SUFFIX.sub("", name))
    assert metric is not None, f"there is no metric {name}"
    assert (metric.name != name) == (metric.kind is Kind.HISTOGRAM), f"{name} has no such series"
    return metric


EXPRESSIONS: Final = [*shown(), *(rule["expr"] for rule in alerts())]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_what_there_is(expression: str) -> None:
    """Metrics by their series, and labels that these have; events and states that exist."""
    known = set(FOREIGN)
    for name, matchers in NAME.findall(expression):
        metric = metric_of(name)
        known |= set(metric.labels)
        for label, value in MATCHER.findall(matchers):
            assert label in {*metric.labels, *FOREIGN}, f"{name} has no label {label}"
            if label == "event":
                assert set(value.split("|")) <= EVENTS.keys()
            if metric.name == "cellferry_actors" and label == "state":
                assert value in set(State)
    for grouped in GROUPED.findall(expression):
        assert {label.strip() for label in grouped.split(",")} <= known


def test_every_figure_is_somewhere_on_the_dashboard() -> None:
    """Nothing is measured that nobody is shown."""
    seen = {metric_of(name).name for expression in shown() for name, _ in NAME.findall(expression)}
    assert seen == METRICS.keys()


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    """By a name of its own, with how much it matters; what must be told is told."""
    names = [rule["alert"] for rule in alerts()]
    assert set(names) >= MUST
    assert len(names) == len(set(names))
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "action"}


def test_the_commands_that_alerts_name_are_there() -> None:
    """Who is woken up types what is written."""
    for rule in alerts():
        for command in re.findall(r"cellferry ([a-z-]+)", rule["annotations"]["action"]):
            assert command in COMMANDS, f"{rule['alert']} names cellferry {command}"


def test_no_two_panels_lie_on_each_other() -> None:
    """Each has a place of its own, within the width that there is."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_both_files_are_where_the_documents_say() -> None:
    """Who deploys finds them."""
    how = (Path(ROOT) / "docs" / "how-to" / "watch-a-deployment.md").read_text(encoding="utf-8")
    for path in (DASHBOARD, ALERTS):
        assert path.relative_to(ROOT).as_posix() in how
