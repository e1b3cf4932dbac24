"""Two cells on two brokers, of which one goes away and comes back: what people are told meanwhile, and what goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.actors.cli.clouds import read_until, write_cloud
from tests.e2e.deployments import answering, cellferry, deployed
from tests.services import own_rabbitmq

pytestmark = pytest.mark.timeout(900)

CLOUD: Final = """
driver = "process"
[[cells]]
path = "api"
[[cells]]
path = "api!eu"
broker = "{theirs}"
[[hosts]]
name = "h1"
cell = "api!eu"
vcpus = 8
memory_mb = 16384
disk_gb = 100
[[hosts]]
name = "h2"
cell = "api"
vcpus = 8
memory_mb = 16384
disk_gb = 100
[[flavors]]
name = "tiny"
vcpus = 1
memory_mb = 512
disk_gb = 1
[deployment]
wire = "{ours}"
directory = "{directory}"
prefix = "cellferry-links"
"""
CALL: Final = ("call", "api!eu", "show_cell", "--timeout", "20")
UP: Final = {"cell": "api!eu", "is_up": True, "down_s": None, "reason": ""}


def test_a_neighbours_broker_goes_away_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes there ends by name in time; who is above says why, even one that has just started; then all goes on."""
    theirs_at = tmp_path / "eu"
    theirs_at.mkdir()
    with own_rabbitmq() as ours, own_rabbitmq() as theirs, ExitStack() as cells:
        text = CLOUD.format(ours=ours.url, theirs=theirs.url, directory=tmp_path / "data")
        config = write_cloud(tmp_path, text)
        monkeypatch.setenv("CELLFERRY_CONFIG", str(config))
        answered, first = answering(tmp_path), ExitStack()
        with first:
            root = first.enter_context(deployed(tmp_path, config, "--cell", "api"))
            eu = cells.enter_context(deployed(theirs_at, config, "--cell", "api!eu"))
            tree_until(answered, mute=False, trouble=None, hosts=1, link_down_s=None)
            assert answered("cell", "show", "api")["links"] == [UP]
            theirs.stop()
            read_until(root.stderr, '"reason": "connection refused"')
            check_refused(tmp_path)
            check_shown(tmp_path, answered)
        with deployed(tmp_path, config, "--cell", "api") as root:
            (link,) = answered("cell", "show", "api")["links"]
            assert (link["is_up"], link["reason"]) == (False, "connection refused")
            theirs.start()
            read_until(root.stderr, f'"broker_connected", "broker": "{theirs.url.partition("@")[2].rstrip("/")}"')
            tree_until(answered, mute=False, trouble=None, hosts=1, link_down_s=None)
            assert answered(*CALL)["links"] == [{"cell": "api", "down_s": None, "reason": ""}]
            assert eu.poll() is None


def tree_until(answered: Callable[..., Any], **wanted: object) -> None:
    """Look at the tree until the other cell's row has these values."""
    rows: dict[str, Any] = {}
    while not wanted.items() <= rows.get("api!eu", {}).items():
        rows = {row["cell"]: row for row in answered("cell", "tree")}


def check_refused(directory: Path) -> None:
    """Ask the cell itself, and all: who is asked says why not, and that is no time-out."""
    refused = cellferry(directory, *CALL)
    assert refused.returncode == 1
    assert "cell api!eu cannot be reached" in refused.stderr
    assert "connection refused (in cell api)" in refused.stderr
    gathered = cellferry(directory, "gather", "show_cell")
    assert "1 of 2 answers are errors: of api!eu" in gathered.stderr


def check_shown(directory: Path, answered: Callable[..., Any]) -> None:
    """Look at the cell above, and at the tree."""
    (link,) = answered("cell", "show", "api")["links"]
    assert link["down_s"] > 0
    assert link == {"cell": "api!eu", "is_up": False, "down_s": link["down_s"], "reason": "connection refused"}
    drawn = cellferry(directory, "cell", "tree").stdout.splitlines()
    (line,) = [line for line in drawn if "eu:" in line]
    assert "link down for " in line
    assert line.endswith(": connection refused")
