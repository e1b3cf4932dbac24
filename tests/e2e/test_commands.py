"""Users and operators drive a running deployment: create, resize, watch, confirm, list, from processes of their own."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployments import answering, cellferry, deployed, shown_until, write_deployment
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnRabbitMQ]:
    """Start a broker of the tests' own."""
    with own_rabbitmq() as service:
        yield service


def change_and_lock(answered: Callable[..., Any], directory: Path) -> None:
    """Change a server's record, and see that its lock holds."""
    changed = answered("server", "set", "web", "--name", "shop", "--tag", "blue", "--property", "tier=front")
    assert (changed["name"], changed["tags"], changed["metadata"]) == ("shop", ["blue"], {"tier": "front"})
    cleared = answered("server", "set", "shop", "--no-tag", "--no-property")
    assert (cleared["name"], cleared["tags"], cleared["metadata"]) == ("shop", [], {})
    assert answered("server", "lock", "shop")["locked"] is True
    locked = cellferry(directory, "server", "stop", "shop")
    assert locked.returncode == 1
    assert "is locked: unlock it first, with `cellferry server unlock`" in locked.stderr
    assert answered("server", "unlock", "shop")["locked"] is False


def test_a_server_is_created_moved_and_confirmed_by_hand(
    tmp_path: Path, broker: OwnRabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command ends well and tells what is true; a move is shown step by step; no queue of a client is left."""
    config = write_deployment(tmp_path, broker)
    monkeypatch.setenv("CELLFERRY_CONFIG", str(config))

    answered = answering(tmp_path)
    with deployed(tmp_path, config):
        (tmp_path / "laptop.pub").write_text("ssh-ed25519 AAAA\n")
        wanted = ("--flavor", "tiny", "--image", "cirros", "--key", "laptop.pub")
        made = answered("server", "create", "web", *wanted, "--wait")
        assert (made["vm_state"], made["cell"], made["key"]) == ("active", "api!eu!eu-1", "laptop")
        nowhere = cellferry(tmp_path, "server", "migrate", "web", "--host", "nowhere")
        assert nowhere.returncode == 1
        assert "there is no compute host nowhere; `cellferry host list` names them all" in nowhere.stderr
        accepted = answered("server", "resize", "web", "--flavor", "small", "--host", "h2")
        watched = cellferry(tmp_path, "migration", "watch", accepted["conversation"])
        assert "spawn_target" in watched.stdout
        assert watched.stdout.splitlines()[-1] == "done"
        (listed,) = answered("migration", "list")
        assert (listed["id"], listed["status"]) == (accepted["conversation"], "finished")
        settled = answered("server", "confirm", made["id"][:8], "--wait")
        assert (settled["vm_state"], settled["cell"], settled["flavor"]) == ("active", "api!us", "small")
        assert settled["key"] == "laptop"
        refused = cellferry(tmp_path, "server", "revert", "web", "--wait")
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1].startswith("Error: ")
        change_and_lock(answered, tmp_path)
        makes_images(answered)
        repairs(tmp_path, answered, made["id"])
        keeps_servers_apart(tmp_path, answered)
        speaks_to_cells(tmp_path, answered)
        limits_a_project(tmp_path, answered)
        unknown = cellferry(tmp_path, "server", "show", "nope")
        assert "there is no server nope; list them with: cellferry server list" in unknown.stderr
        asked = cellferry(tmp_path, "host", "fence", "h1")
        assert asked.returncode == 1
        assert "Is the machine of host h1 off" in asked.stderr
        fenced = cellferry(tmp_path, "host", "fence", "h1", "--yes")
        assert fenced.stdout == "host h1 of cell api!eu!eu-1 is fenced; what waits for it goes on without it\n"
        lifted = cellferry(tmp_path, "host", "unfence", "h1")
        assert lifted.stdout == "host h1 of cell api!eu!eu-1 may come back, when it has done what it owes\n"
        missing = cellferry(tmp_path, "host", "unfence", "h9")
        assert missing.returncode == 1
        assert "host h9 is not fenced" in missing.stderr
        assert not any("replies:client" in name for name in broker.control("list_queues", "name").split())
    away = cellferry(tmp_path, "server", "list")
    assert away.returncode == 1
    assert "is the deployment up? Start it with: cellferry run all" in away.stderr


def makes_images(answered: Callable[..., Any]) -> None:
    """Make a snapshot and two backups of a server that runs on; the older backup goes."""
    shown = answered("server", "snapshot", "shop", "shot", "--wait")
    assert (shown["vm_state"], shown["last_action"]) == ("active", "createImage")
    for image in ("old", "new"):
        answered("server", "backup", "shop", image, "--type", "daily", "--rotate", "1", "--wait")
    listed = answered("image", "list", "--server", "shop")
    assert [(each["id"], each["backup_type"]) for each in listed] == [("new", "daily"), ("shot", None)]

    rebuilt = answered("server", "rebuild", "shop", "--image", "shot", "--wait")
    assert (rebuilt["vm_state"], rebuilt["image"]) == ("active", "shot")
    answered("server", "reset-network", "shop", "--wait")
    [port] = answered("server", "network", "shop")
    assert port["what"] == "reset"


def repairs(tmp_path: Path, answered: Callable[..., Any], server: str) -> None:
    """Copy the disk of a server to a host where it is not: it is shown, and removed when that is asked."""
    there, elsewhere = (tmp_path / "data" / "hosts" / host / "guests" / server for host in ("h2", "h1"))
    elsewhere.mkdir(parents=True, exist_ok=True)
    shutil.copy(there / "disk", elsewhere / "disk")
    left = {"what": "disk", "where": "host h1 of api!eu!eu-1", "why": None}
    assert answered("server", "repair", "shop") == [left | {"state": "left over"}]
    assert (elsewhere / "disk").exists()
    assert answered("server", "repair", "shop", "--apply") == [left | {"state": "removed"}]
    assert not elsewhere.exists()
    assert answered("server", "repair", server) == []
    unknown = cellferry(tmp_path, "server", "repair", "nobody")
    assert "there is no server nobody; name one that is gone by its id in full" in unknown.stderr


def keeps_servers_apart(tmp_path: Path, answered: Callable[..., Any]) -> None:
    """Make a group, a server in it, and none beside that."""
    group = answered("group", "create", "apart")
    assert (group["name"], group["policy"]) == ("apart", "anti-affinity")
    placed = ("--flavor", "tiny", "--image", "cirros", "--group", "apart", "--host", "h1", "--wait")
    member = answered("server", "create", "one", *placed)
    shown = answered("group", "show", group["id"])
    assert shown["servers"] == [f"{member['id']} on h1"]
    taken = cellferry(tmp_path, "server", "create", "two", *placed)
    assert taken.returncode == 1
    assert "host h1 has, or expects, another server of its group; name another" in taken.stderr
    held = cellferry(tmp_path, "group", "delete", "apart")
    assert f"members is {member['id']}, but must be none" in held.stderr
    answered_none = cellferry(tmp_path, "server", "delete", "one", "--wait")
    assert answered_none.returncode == 0, answered_none.stderr
    assert cellferry(tmp_path, "group", "delete", "apart").stdout == "group apart is gone\n"
    assert answered("group", "list") == []


def speaks_to_cells(tmp_path: Path, answered: Callable[..., Any]) -> None:
    """Call one cell, one host and all of them by hand; disable a host, and see it."""
    assert answered("call", "api!eu!eu-1", "find_service", "host=h1")["is_enabled"] is True
    assert answered("host", "uptime", "h1")["up_s"] > 0
    cells = {row["cell"]: row["error"] for row in answered("gather", "show_node_stats")}
    assert cells == dict.fromkeys(("api", "api!eu", "api!eu!eu-1", "api!us"))
    unknown = cellferry(tmp_path, "call", "api!us", "ask_host", "host=h1", 'question={"is": "show_uptime"}')
    assert (unknown.returncode, "there is no compute host h1" in unknown.stderr) == (1, True)
    off = cellferry(tmp_path, "host", "disable", "h1", "--reason", "new disks")
    assert off.stdout == "host h1 of cell api!eu!eu-1 is disabled\n"
    [disabled] = answered("service", "list", "--disabled")
    assert (disabled["host"], disabled["reason"]) == ("h1", "new disks")
    assert cellferry(tmp_path, "host", "enable", "h1").returncode == 0
    console = answered("server", "console", "shop")
    with socket.create_connection((console["address"], console["port"]), timeout=10) as guest:
        assert guest.recv(100)
    history = answered("server", "history", "shop")
    assert [row["action"] for row in history if row["event"] is None][-1] == "create"


def limits_a_project(tmp_path: Path, answered: Callable[..., Any]) -> None:
    """Allow one server, and ask for two."""
    use = answered("quota", "set", "admin", "--servers", "1")
    assert (use["servers"], use["servers_limit"], use["vcpus_limit"]) == (1, 1, None)
    full = cellferry(tmp_path, "server", "create", "more", "--flavor", "tiny", "--image", "cirros")
    assert full.returncode == 1
    assert "project admin has 1 of 1 servers, 1 more are wanted" in full.stderr
    assert answered("quota", "show", "admin") == use


def swaps_a_volume(tmp_path: Path, answered: Callable[..., Any]) -> None:
    """Swap a server's volume while its guest runs: the server has the first one no more."""
    swapped = answered("server", "swap", "web", "data", "extra", "--wait")
    assert (swapped["volumes"], swapped["power_state"]) == (["extra on /dev/vdb"], "running")
    again = cellferry(tmp_path, "server", "swap", "web", "data", "root", "--wait")
    assert again.returncode == 1
    assert "volume data" in again.stderr.splitlines()[-1]


def test_a_volume_is_swapped_and_a_move_that_nobody_settles_is_confirmed_by_the_deployment(
    tmp_path: Path, broker: OwnRabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the deployment's file says: whoever looks sees that confirm as any other, and no user has asked for it."""
    config = write_deployment(tmp_path, broker, moves="confirm_after_s = 1")
    monkeypatch.setenv("CELLFERRY_CONFIG", str(config))
    answered = answering(tmp_path)
    with deployed(tmp_path, config):
        wanted = ("--flavor", "tiny", "--image", "cirros", "--volume", "data", "--host", "h1")
        answered("server", "create", "web", *wanted, "--wait")
        swaps_a_volume(tmp_path, answered)
        moved = answered("server", "resize", "web", "--flavor", "small", "--host", "h2")
        confirm = shown_until(answered, "web", kind="confirm")
        watched = cellferry(tmp_path, "migration", "watch", confirm["id"])
        assert watched.stdout.splitlines()[-1] == "done", watched.stderr
        (listed,) = answered("migration", "list")
        assert (listed["id"], listed["status"]) == (moved["conversation"], "confirmed")
        settled = answered("server", "show", "web")
        assert (settled["vm_state"], settled["host"], settled["last_action"]) == ("active", "h2", "confirmResize")
        assert settled["volumes"] == ["extra on /dev/vdb"]
