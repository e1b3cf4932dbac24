"""`cellferry config`: what is shown, what is checked, and that no secret leaves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from actors.cli.configuring import masked
from actors.cli.main import cellferry
from tests.actors.cli.clouds import CLOUD, write_cloud

DEPLOYMENT: Final = '\n[deployment]\nwire = "amqp://guest:hunter2@h:5672/v?key=hunter2"\ndirectory = "data"\n'


def run(*arguments: str, **variables: str) -> Result:
    """Run a command with these environment variables."""
    return CliRunner(env=variables).invoke(cellferry, ["config", *arguments])


def test_the_sample_passes_the_check(tmp_path: Path) -> None:
    """As it is written."""
    path = write_cloud(tmp_path, run("sample").output)
    assert run("check", "--config", str(path)).output == f"good: {path}: 3 cell(s), 2 host(s)\n"


def test_every_setting_is_shown_with_where_it_comes_from(tmp_path: Path) -> None:
    """Those of the file, of a variable, of an option, and defaults; secrets without their passwords."""
    path = write_cloud(tmp_path, CLOUD + DEPLOYMENT)
    shown = run(
        "show", "--origin", "--config", str(path), "--set", "moves.confirm_after_s=9", "-f", "json",
        CELLFERRY_TREE__LOOK_S="3",
    )  # fmt: skip
    rows = {row["setting"]: (row["value"], row["origin"]) for row in json.loads(shown.output)}
    line = CLOUD.count("\n") + 3
    assert rows["deployment.wire"] == ("amqp://guest:***@h:5672/v?***", f"{path}:{line}")
    assert rows["moves.confirm_after_s"] == (9, "--set moves.confirm_after_s")
    assert rows["tree.look_s"] == (3, "CELLFERRY_TREE__LOOK_S")
    assert rows["hosts[1].memory_mb"][0] == 8192
    assert rows["cells[0].replicas"] == (1, "default")
    assert "hunter2" not in shown.output
    assert run("show", "--config", str(path)).output.startswith("setting ")


def test_a_check_tells_all_problems_and_ends_with_1(tmp_path: Path) -> None:
    """Also for programs; what is not installed here, and what makes no deployment, is told of good settings."""
    bad = write_cloud(tmp_path, CLOUD + "\n[tree]\nlook_s = -1\n[mirror]\nheal_batch = 0\n")
    checked = run("check", "--config", str(bad), "-f", "json")
    assert checked.exit_code == 1
    assert [row["where"].rpartition(" ")[2] for row in json.loads(checked.output)] == [
        "tree.look_s",
        "mirror.heal_batch",
    ]
    odd = write_cloud(
        tmp_path, CLOUD.replace("process", "memory") + DEPLOYMENT + '\n[scheduler]\nfilters = ["tarot"]\n'
    )
    checked = run("check", "--config", str(odd), "-f", "json")
    assert checked.exit_code == 1
    assert [row["what"].partition(";")[0] for row in json.loads(checked.output)] == [
        "'tarot' is not installed", "guests in memory do not survive a restart",
    ]  # fmt: skip
    good = write_cloud(tmp_path)
    checked = run("check", "--config", str(good), "-f", "json")
    assert (checked.exit_code, json.loads(checked.output)) == (0, [])


def test_what_cannot_be_read_at_all_is_no_problem_of_a_setting(tmp_path: Path) -> None:
    """A file that is not there, or is no TOML, ends the command like any other one."""
    for path in (tmp_path / "none.toml", write_cloud(tmp_path, "a = ")):
        assert type(run("check", "--config", str(path)).exception).__name__ == "SettingsError"
        assert type(run("show", "--config", str(path)).exception).__name__ == "SettingsError"


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("amqps://u:p@h/v", "amqps://u:***@h/v"),
        ("postgresql://h/d?password=p&sslmode=require", "postgresql://h/d?***"),
        ("hunter2", "***"),
    ],
)
def test_of_a_secret_only_what_is_none_is_shown(secret: str, shown: str) -> None:
    """A URL says where it leads, and who goes there."""
    assert masked(secret) == shown
