"""Cell filters and weighers of other packages come by entry points, as ours do."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from actors.cli.schedulers import rows
from actors.ops.checks import SettingsError
from actors.ops.plugins import FILTER_GROUP, TABLES, WEIGHER_GROUP, check_names, install
from actors.ops.sections import SchedulerSettings
from actors.ops.settings import parse_cloud
from protocol.cell_path import CellPath
from protocol.records import Flavor
from protocol.scheduling import FILTERS, WEIGHERS, Asked, Candidate, Scheduler
from tests.actors.cli.clouds import CLOUD
from tests.tidy_rules import ROOT

API = CellPath.parse("api")


def of_names(asked: Asked, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Keep the cells whose names are short."""
    return tuple(each for each in candidates if len(each.cell.name) <= len(asked.method))


def by_name(_asked: Asked, candidate: Candidate) -> float:
    """Weigh by the length of the name."""
    return float(len(candidate.cell.name))


@pytest.mark.parametrize("group", TABLES)
def test_ours_are_declared_as_entry_points_too(group: str) -> None:
    """So that who writes one has examples, and a list of what is installed shows them all."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][group]
    assert list(declared) == list(TABLES[group])
    for name, where in declared.items():
        assert EntryPoint(name, where, group).load() is TABLES[group][name]


@pytest.mark.proves("R125")
def test_a_filter_and_a_weigher_of_another_package_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was asked and the candidates at hand; a name that is taken stays whose it was."""
    for group, table in TABLES.items():
        monkeypatch.setitem(TABLES, group, dict(table))
    theirs: Any = (
        EntryPoint("of_names", f"{__name__}:of_names", FILTER_GROUP),
        EntryPoint("by_name", f"{__name__}:by_name", WEIGHER_GROUP),
        EntryPoint("ram", f"{__name__}:by_name", WEIGHER_GROUP),
        EntryPoint("other", f"{__name__}:by_name", "some.group"),
    )
    monkeypatch.setattr(EntryPoint, "load", lambda point: globals()[point.attr])
    install(theirs)
    assert list(TABLES[FILTER_GROUP]) == [*FILTERS, "of_names"]
    assert list(TABLES[WEIGHER_GROUP]) == [*WEIGHERS, "by_name"]
    assert TABLES[WEIGHER_GROUP]["ram"] is WEIGHERS["ram"]
    monkeypatch.setitem(FILTERS, "of_names", of_names)
    monkeypatch.setitem(WEIGHERS, "by_name", by_name)
    names = ("a", "abcdef", "abcdefghi")
    candidates = tuple(Candidate(cell=API.child(name)) for name in names)
    asked = Asked(method="create", flavor=Flavor(name="m", vcpus=1, memory_mb=1, disk_gb=1), top=API)
    chosen = Scheduler(filters=("of_names",), weighers={"by_name": 1.0}).rank(asked, candidates)
    assert [cell.name for cell in chosen] == ["abcdef", "a"]


def test_settings_name_only_what_is_installed() -> None:
    """The refusal says what comes close."""
    check_names(FILTERS, WEIGHERS)
    with pytest.raises(
        SettingsError, match=r"scheduler.filters: 'target_cel' is not installed; did you mean target_cell?"
    ):
        check_names(["target_cel"], [])
    with pytest.raises(SettingsError, match=r"scheduler.multipliers: 'cpu' is not installed"):
        check_names([], ["cpu"])


def test_the_list_shows_what_is_used_in_its_order() -> None:
    """What is installed and not used comes behind; each weigher with the multiplier that counts."""
    text = '\n[scheduler]\nfilters = ["different_cell"]\nmultipliers = {ram = -1.5}\n'
    listed = rows(parse_cloud((CLOUD + text).encode()).scheduler)
    assert [(row["name"], row["used"]) for row in listed[:3]] == [
        ("different_cell", True), ("target_cell", False), ("image_properties", False),
    ]  # fmt: skip
    assert {row["name"]: row["multiplier"] for row in listed[3:]} == {"ram": -1.5, "offset": 1.0, "mute": -10_000.0}
    assert not any(row["used"] for row in rows(SchedulerSettings(enabled=False)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('enabled = "no"', "scheduler.enabled: true or false is expected"),
        ("multipliers = {ram = 1e300}", "scheduler.multipliers.ram: it must be from"),
        ("multipliers = {ram = nan}", "scheduler.multipliers.ram: it must be from"),
    ],
)
def test_settings_of_the_scheduler_that_cannot_be_are_refused(text: str, said: str) -> None:
    """With the path of what is wrong."""
    with pytest.raises(SettingsError, match=said):
        parse_cloud(f"{CLOUD}\n[scheduler]\n{text}\n".encode())
