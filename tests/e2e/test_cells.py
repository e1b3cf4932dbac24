"""A cell joins a running deployment from a process of its own, takes servers, and leaves it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployments import answering, cellferry, deployed, write_deployment
from tests.services import own_rabbitmq

pytestmark = pytest.mark.timeout(900)

ASIA = """
[[cells]]
path = "api!asia"
capabilities = {os = ["linux"]}
[[hosts]]
name = "h4"
cell = "api!asia"
vcpus = 8
memory_mb = 32768
disk_gb = 100
"""


def tree_until(answered: Callable[..., Any], cell: str, **wanted: object) -> Any:
    """Look at the tree until a cell's row has these values."""
    while True:
        rows = {row["cell"]: row for row in answered("cell", "tree")}
        if cell in rows and wanted.items() <= rows[cell].items():
            return rows[cell]


def freezes(directory: Path, answered: Callable[..., Any], cell: str, server: str) -> None:
    """Freeze a cell, see that this holds and is shown, and thaw it."""
    frozen = cellferry(directory, "cell", "set", cell, "--frozen", "--reason", "new switches")
    assert frozen.stdout == f"cell {cell} is frozen: nothing new begins there; what has begun goes on\n"
    shown = answered("cell", "show", cell)
    assert (shown["frozen"], shown["frozen_for"], shown["memory_mb_free"]) == (True, "new switches", 0)
    assert "asia: " in (tree := cellferry(directory, "cell", "tree").stdout)
    assert "FROZEN (new switches)" in tree
    refused = cellferry(directory, "server", "stop", server)
    assert refused.returncode == 1
    assert f"cell {cell} is frozen (new switches)" in refused.stderr
    assert f"thawed, with: cellferry cell set '{cell}' --no-frozen" in refused.stderr
    named = ("--flavor", "tiny", "--image", "cirros", "--host", "h4", "--wait")
    assert f"h4 takes no server: cell {cell} is frozen" in cellferry(directory, "server", "create", "db", *named).stderr
    assert answered("server", "show", server)["vm_state"] == "active"
    refused_create = answered("server", "show", "db")
    assert (refused_create["vm_state"], refused_create["error"]) == ("error", "no_valid_host")
    assert f"cell {cell} is frozen (new switches)" in refused_create["last_error"]
    thawed = cellferry(directory, "cell", "set", cell, "--no-frozen", "--weight-scale", "0.5")
    assert thawed.stdout.splitlines()[-1] == f"cell {cell} takes orders and servers again"
    assert answered("cell", "show", cell)["frozen"] is False


def test_a_cell_joins_takes_a_server_and_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is started again; a removal is refused as long as the server is there."""
    other = tmp_path / "asia"
    other.mkdir()
    with own_rabbitmq() as broker:
        config = write_deployment(tmp_path, broker)
        theirs = other / "cloud.toml"
        text = config.read_text(encoding="utf-8")
        theirs.write_text(
            text.replace("[deployment]", f"{ASIA}\n[deployment]").replace('directory = "data"', 'directory = "../data"')
        )
        monkeypatch.setenv("CELLFERRY_CONFIG", str(config))
        answered = answering(tmp_path)
        with deployed(tmp_path, config):
            missing = cellferry(tmp_path, "cell", "show", "api!asia")
            assert missing.returncode == 1
            assert "cell api has no neighbour api!asia" in missing.stderr
            added = cellferry(tmp_path, "cell", "add", "api!asia", "--weight-offset", "2.5")
            assert "cell api!asia is a child of api now" in added.stdout, added.stderr
            assert "it does not run yet" in added.stderr
            with deployed(other, theirs, "--cell", "api!asia"):
                row = tree_until(answered, "api!asia", mute=False, trouble=None, hosts=1)
                assert (row["capabilities"], row["weight_offset"]) == ("os=linux", 2.5)
                placed = ("--flavor", "tiny", "--image", "cirros", "--host", "h4", "--wait")
                assert answered("server", "create", "web", *placed)["cell"] == "api!asia"
                freezes(tmp_path, answered, "api!asia", "web")
                held = cellferry(tmp_path, "cell", "remove", "api!asia")
                assert held.returncode == 1
                assert "1 server(s) are there" in held.stderr
                assert cellferry(tmp_path, "server", "delete", "web", "--wait").returncode == 0
                removed = cellferry(tmp_path, "cell", "remove", "api!asia")
                assert removed.returncode == 0, removed.stderr
            assert "api!asia" not in {row["cell"] for row in answered("cell", "tree")}
