"""The units of `deploy/systemd`: systemd accepts them, they are hardened, and what they start is a command there is."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import pytest

from actors.cli.running import run
from actors.deployment import DRAIN_S_MAX

UNITS: Final = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES: Final = sorted(UNITS.glob("*.service"))
PROGRAM: Final = "/usr/bin/cellferry"


class Unit(ConfigParser):
    """A unit as systemd reads it: a setting that is given twice has its last value, and capitals count."""

    def optionxform(self, optionstr: str) -> str:
        """Leave a name as it is written."""
        return optionstr


def read(path: Path) -> ConfigParser:
    """Read a unit."""
    unit = Unit(strict=False, interpolation=None, delimiters=("=",))
    unit.read_string(path.read_text(encoding="utf-8"))
    return unit


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd's own checker."""
    program = shutil.which("systemd-analyze")
    assert program, (
        "the units are checked by systemd-analyze: install systemd (Debian, Ubuntu: apt-get install systemd)"
    )
    return subprocess.run([program, *arguments], text=True, capture_output=True, check=False)


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """Copy the units, with a program that there is on every machine."""
    for path in UNITS.iterdir():
        text = path.read_text(encoding="utf-8").replace(PROGRAM, sys.executable)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    return [str(tmp_path / path.name) for path in UNITS.iterdir()]


def test_systemd_accepts_all_units(units: list[str]) -> None:
    """Without a word of complaint."""
    checked = analyze("verify", "--man=no", *units)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_unit_with_a_mistake_is_not_accepted(units: list[str]) -> None:
    """The check can fail."""
    Path(units[0]).write_text("[Service]\nExecStart=/nowhere/cellferry\nTypo=yes\n", encoding="utf-8")
    assert analyze("verify", "--man=no", *units).stderr


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_has_no_more_of_the_machine_than_it_needs(path: Path) -> None:
    """By the measure of systemd-analyze: from 0, which is nothing, to 10."""
    judged = analyze("security", "--offline=true", "--threshold=20", str(path))
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_starts_a_command_there_is(path: Path) -> None:
    """With options it takes, the deployment's file from the manager, and time to drain."""
    unit = read(path)["Service"]
    program, command, *arguments = shlex.split(unit["ExecStart"])
    assert (program, command) == (PROGRAM, "run")
    instance = "image" if "partner" in path.name else "api!eu" if "%I" in arguments else "0"
    parsed = run.make_context("run", [each.replace("%I", instance).replace("%i", instance) for each in arguments])
    assert instance in {str(value) for value in parsed.params.values()}
    assert unit["Environment"] == "CELLFERRY_CONFIG=%d/cellferry.toml"
    assert int(unit["TimeoutStopSec"]) > DRAIN_S_MAX
    assert unit["Type"] == "notify"
