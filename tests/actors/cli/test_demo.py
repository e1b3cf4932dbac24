"""The main job, embedded: real guests, real files, one process; its end, and what is left when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.actors.cli.clouds import CLOUD, demo, files, processes, read_until, started, write_cloud


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of the one run that most of these tests look at."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def end(directory: Path) -> dict[str, Any]:
    """Run the demo once, keep its files, and give its document."""
    cloud = str(write_cloud(directory))
    run = demo(directory, "--cloud", cloud, "--keep", str(directory / "kept"), "-f", "json")
    assert run.returncode == 0, run.stderr
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def test_the_demo_ends_well(end: dict[str, Any]) -> None:
    """Every invariant holds over the truth read from disks, processes and databases."""
    assert end["ok"]
    assert all(end["invariants"].values())
    assert end["not_judged"] == []


def test_each_server_is_where_its_flow_took_it(end: dict[str, Any]) -> None:
    """One was confirmed in another cell, one came back, one waits for its user at the host that was named."""
    web, database, batch = end["servers"]
    # Which of the other cells it went to is theirs to say: it follows from what they had free when they were asked.
    assert web["home_cell"] in {"api!us", "api!eu"}
    assert (web["vm_state"], web["boots"]) == ("active", 2)
    assert (database["home_cell"], database["vm_state"], database["boots"]) == ("api!eu!eu-1", "active", 3)
    assert (batch["home_cell"], batch["host"], batch["vm_state"]) == ("api!eu", "h3", "resized")
    assert batch["power_state"] == "shutdown"


def test_no_guest_has_forgotten_what_it_counted(end: dict[str, Any]) -> None:
    """Those that run have counted on, and the stopped one has kept its count."""
    *running, stopped = end["servers"]
    assert all(server["counter_after"] > server["counter_before"] > 0 for server in running)
    assert stopped["counter_after"] == stopped["counter_before"] > 0


def test_what_was_attached_while_the_move_waited_came_back(end: dict[str, Any]) -> None:
    """The volume attached in VERIFY_RESIZE is connected at the source after the revert."""
    connected = {row["volume"]: row["host"] for row in end["attachments"]}
    web = end["servers"][0]
    data = f"{web['home_cell']}/host:{web['host']}"
    assert connected == {"data": data, "root": "api!eu!eu-1/host:h1", "extra": "api!eu!eu-1/host:h1"}


def test_both_cells_tell_of_the_move_that_waits(end: dict[str, Any]) -> None:
    """The target's record is the server, the source's is the hidden copy, and the mapping names the target."""
    batch = end["servers"][2]["uuid"]
    seen = {
        cell["cell"]: record["is_hidden"]
        for cell in end["cells"]
        for record in cell["servers"]
        if record["uuid"] == batch
    }
    assert seen == {"api!eu": False, "api!eu!eu-1": True}
    assert [row["cell"] for row in end["mappings"] if row["server"] == batch] == ["api!eu"]


def test_guests_in_memory_are_ferried_too(tmp_path: Path) -> None:
    """The same job over the hypervisor in memory, shown as tables in plain text."""
    cloud = write_cloud(tmp_path, CLOUD.replace('"process"', '"memory"'))
    run = demo(tmp_path, "--cloud", str(cloud))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "OK: 11 of 11 invariants hold; 3 servers ferried" in run.stdout
    assert not files(tmp_path)


@pytest.mark.usefixtures("end")
def test_files_are_kept_where_that_is_asked_for(directory: Path) -> None:
    """Disks and databases stay for whoever wants to look; guests do not run on, and nothing else is left."""
    kept = directory / "kept"
    assert not processes(directory)
    assert not files(directory)
    assert {path.name for path in kept.iterdir()} == {"hosts", "images", "stores", "volumes"}
    assert len(list(kept.glob("hosts/*/guests/*/definition.json"))) == 3


@pytest.mark.parametrize("moment", ["come up", "issue_permit", "return_permit", "seal_target"])
def test_an_interrupted_demo_leaves_nothing(moment: str, tmp_path: Path) -> None:
    """Ctrl-C at any moment: one message, exit code 1, and no process and no file is left."""
    cloud = write_cloud(tmp_path)
    with started(tmp_path, "--cloud", str(cloud), "-f", "json") as run:
        read_until(run.stderr, moment)
        os.killpg(run.pid, signal.SIGINT)
        said, complained = run.communicate()
        assert run.returncode == 1
        assert not said
        assert complained.endswith("Error: interrupted; what there was has been cleaned up\n")
        assert not processes(tmp_path)
        assert not files(tmp_path)
