"""The root's mirror of a deployment is set back in its own database: it mends itself, or by `cellferry cell sync`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.deployments import answering, cellferry, deployed, write_deployment
from tests.services import own_rabbitmq

pytestmark = pytest.mark.timeout(900)

TAKE_AWAY: Final = "DELETE FROM mirrors WHERE server = ?"
#: As it was told long ago: by an older version of the record.
MAKE_OLD: Final = "UPDATE mirrors SET version = 0, name = 'before', host = NULL, vm_state = 'building' WHERE server = ?"


def set_back(directory: Path, statement: str, server: str) -> None:
    """Change what the root has been told of a server, behind its back."""
    path = directory / "data" / "stores" / "api" / "cell.sqlite"
    with closing(sqlite3.connect(path, timeout=60.0)) as store, store:
        assert store.execute(statement, (server,)).rowcount == 1


def listed_until(answered: Callable[..., Any], *wanted: dict[str, Any]) -> None:
    """List all servers until the list is that."""
    while answered("server", "list") != list(wanted):
        pass


def test_a_mirror_that_was_set_back_is_mended_by_sync_and_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are gone and rows that are old; what is listed meanwhile says that nothing is known."""
    with own_rabbitmq() as broker:
        config = write_deployment(tmp_path, broker)
        monkeypatch.setenv("CELLFERRY_CONFIG", str(config))
        text = config.read_text(encoding="utf-8")
        answered = answering(tmp_path)
        config.write_text(f"{text}\n[mirror]\nheal_interval_s = 0\n", encoding="utf-8")
        with deployed(tmp_path, config):
            placed = ("--flavor", "tiny", "--image", "cirros", "--host", "h2", "--wait")
            server = answered("server", "create", "web", *placed)["id"]
            (whole,) = answered("server", "list")
            assert (whole["name"], whole["vm_state"], whole["cell"]) == ("web", "active", "api!us")
            set_back(tmp_path, TAKE_AWAY, server)
            (unheard,) = answered("server", "list")
            assert (unheard["id"], unheard["vm_state"], unheard["host"]) == (server, "unheard", None)
            told = {row.pop("cell"): row for row in answered("cell", "sync")}
            assert told == {
                cell: {"told": int(cell == "api!us"), "gone": 0, "error": None}
                for cell in ("api", "api!eu", "api!eu!eu-1", "api!us")
            }
            listed_until(answered, whole)
            set_back(tmp_path, MAKE_OLD, server)
            (old,) = answered("server", "list")
            assert (old["name"], old["vm_state"]) == ("before", "building")
            synced = cellferry(tmp_path, "cell", "sync", "api!us")
            assert [line.split() for line in synced.stdout.splitlines()] == [
                ["cell", "told", "gone", "error"],
                ["api!us", "1", "0", "-"],
            ]
            listed_until(answered, whole)
            answered("server", "stop", "web", "--wait")  # Or it stops with the deployment, which is news in itself.
            (whole,) = answered("server", "list")
        config.write_text(f"{text}\n[mirror]\nheal_interval_s = 1\n", encoding="utf-8")
        with deployed(tmp_path, config):
            for damage in (TAKE_AWAY, MAKE_OLD):
                set_back(tmp_path, damage, server)
                listed_until(answered, whole)
