"""`cellferry upgrade check`: what is right, what is to be thought of, and what fails, by exit code and by name."""

from __future__ import annotations

import json
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from click.testing import CliRunner

from actors.cli.configuring import deployment_of
from actors.cli.main import cellferry
from actors.cli.upgrades import pin
from actors.deployment import Duty
from actors.kernel.metrics import NO_METERS
from actors.kernel.ports import Connection, Lease
from actors.ops import upgrading
from actors.ops.settings import parse_cloud
from actors.process import Stores
from actors.store.journal import SqlJournals
from protocol import pins
from protocol.bodies import encode_body
from protocol.messages.orders import DeleteServer
from protocol.messages.servers import Origin
from protocol.moves.parties import Brief
from protocol.states import Goal
from tests.actors.cli.clouds import CLOUD, write_cloud

DEPLOYMENT: Final = '\n[deployment]\nwire = "amqp://guest:guest@127.0.0.1:1/"\ndirectory = "data"\n'
USER: Final = Origin(request_id="r1", user="u", project="p")
CHECKS: Final = ("settings", "databases", "brokers", "pin", "journals", "parked")


def checked(config: Path) -> tuple[int, dict[str, tuple[str, str]]]:
    """Give the exit code, and what came of each check."""
    done = CliRunner().invoke(cellferry, ["upgrade", "check", "--config", str(config), "-f", "json"])
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return done.exit_code, {row["check"]: (row["result"], row["details"]) for row in rows}


def fill(config: Path, *, waits_for: str = "", goal: str = Goal.DELETE.value) -> Path:
    """Have a conductor begin a conversation; give the file of its store."""
    deployment = deployment_of(config)
    (task,) = [task for task in deployment.tasks() if task.duty is Duty.CONDUCTOR]

    def begin(connection: Connection) -> None:
        journals, lease = SqlJournals(), Lease(conversation="c1", server="s1", owner="me")
        brief = Brief(root=deployment.cloud.root, order=DeleteServer(server="s1", origin=USER))
        journals.begin(connection, lease, goal=Goal.DELETE, payload=encode_body(brief), at_us=1)
        if waits_for:
            journals.park(connection, "c1", waits_for)

    async def work() -> None:
        async with AsyncExitStack() as stack:
            await (await Stores(deployment, stack, NO_METERS).of(task)).transact(begin)

    anyio.run(work)
    path = deployment.place_of(task).path
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE conversations SET goal = ?", (goal,))
        connection.commit()
    return path


def test_where_all_is_right_the_code_is_0(tmp_path: Path) -> None:
    """Before anything was started, too."""
    code, results = checked(write_cloud(tmp_path, CLOUD + DEPLOYMENT))
    assert (code, tuple(results)) == (0, CHECKS)
    assert {result for result, _ in results.values()} == {"success"}


def test_what_is_parked_is_a_warning(tmp_path: Path) -> None:
    """Named with what it waits for."""
    config = write_cloud(tmp_path, CLOUD + DEPLOYMENT)
    fill(config, waits_for="a host")
    code, results = checked(config)
    assert (code, results["parked"]) == (
        1, ("warning", "c1 waits for a host; they are kept, and go on; see: cellferry migration list"),
    )  # fmt: skip


def test_what_this_version_cannot_go_on_with_is_a_failure(tmp_path: Path) -> None:
    """A journal of another version's, and a database that is behind, with the next step."""
    config = write_cloud(tmp_path, CLOUD + DEPLOYMENT)
    path = fill(config, goal="teleport")
    code, results = checked(config)
    assert (code, results["journals"][0]) == (2, "failure")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alembic_version")
    code, results = checked(config)
    assert (code, results["databases"]) == (2, ("failure", "api/conductor is behind; say: cellferry db upgrade"))


def test_settings_that_are_no_good_fail_alone(tmp_path: Path) -> None:
    """What follows from them is not looked at; a file that is none is no crash."""
    code, results = checked(write_cloud(tmp_path, CLOUD + DEPLOYMENT + "\n[tree]\nlook_s = -1\n"))
    assert (code, list(results)) == (2, ["settings"])
    assert checked(tmp_path / "none.toml")[0] == 2


def test_a_broker_that_is_not_known_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where users are told apart, it is asked; here is nothing that could ask."""
    monkeypatch.setenv("PATH", "")
    code, results = checked(write_cloud(tmp_path, CLOUD + DEPLOYMENT + 'secrets = "secrets"\n'))
    assert (code, results["brokers"][0]) == (1, "warning")
    assert results["brokers"][1].startswith("not known: ")


def test_a_pin_that_could_be_lifted_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as there is a newer version of messages."""
    cloud = parse_cloud((CLOUD + "\n[upgrade]\npin = 1\n").encode())
    assert pin(cloud).verdict.name == "SUCCESS"
    monkeypatch.setattr("actors.cli.upgrades.NEWEST", pins.NEWEST + 1)
    monkeypatch.setattr(upgrading, "NEWEST", pins.NEWEST + 1)
    assert pin(cloud).verdict.name == "WARNING"
    assert pin(parse_cloud(CLOUD.encode())).verdict.name == "SUCCESS"


def test_what_breaks_the_check_itself_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 255, which is no verdict."""
    monkeypatch.setattr("actors.cli.upgrades._results", lambda *_: 1 / 0)
    done = CliRunner().invoke(cellferry, ["upgrade", "check", "--config", str(tmp_path)])
    assert done.exit_code == 255
