"""A whole process is seen: ready when it is, with its figures, and in its log nothing that is secret."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import pytest

from actors.deployment import Deployment
from actors.kernel.metrics import METRICS, Kind
from actors.ops.secrets import complete_secrets
from actors.ops.settings import parse_cloud
from actors.ops.watching import HttpSettings, LogSettings
from actors.process import open_parts, run_tasks
from actors.seeing import secrets_of, seen
from protocol.cell_path import CellPath
from tests.actors.cli.clouds import CLOUD
from tests.own_services import spare_port

pytestmark = pytest.mark.anyio

HOST: Final = "127.0.0.1"
#: What only shows where something has gone on: conversations, steps, and a database of another kind.
LATER: Final = frozenset({"cellferry_conversations_open", "cellferry_guests"})


@pytest.fixture(scope="module")
def anyio_backend(real_loop: str) -> str:
    """A process has threads and sockets."""
    return real_loop


async def ask(port: int, path: str) -> tuple[int, str]:
    """Ask the process for a page."""
    heard = b""
    async with await anyio.connect_tcp(HOST, port) as stream:
        await stream.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                heard += await stream.receive()
    head, _, body = heard.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


def deployment(directory: Path, port: int) -> Deployment:
    cloud = attrs.evolve(
        parse_cloud(CLOUD.replace('"process"', '"memory"').encode()), http=HttpSettings(port=port),
        log=LogSettings(level="debug"),
    )  # fmt: skip
    return Deployment(cloud=cloud, directory=directory, prefix="seen")


async def test_a_process_is_seen_from_its_start_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It lives before it is ready, says what is missing, and tells every gauge that it knows when it is."""
    made = deployment(tmp_path, port := spare_port())
    async with seen(made, made.tasks()) as seeing, open_parts(made, seeing.events) as parts:
        assert (await ask(port, "/livez"))[0] == 200
        assert await ask(port, "/readyz") == (503, "consuming: starting\n")
        async with run_tasks(attrs.evolve(parts, health=seeing.health), made.tasks()):
            while (ready := await ask(port, "/readyz"))[0] != 200:
                assert ready[1].startswith("stores: "), "all else was there when the roles took messages"
            document: dict[str, Any] = json.loads((await ask(port, "/healthcheck?detailed"))[1])
            assert [each["class"] for each in document["reasons"]][-2:] == ["brokers", "stores"]
            figures = (await ask(port, "/metrics"))[1]
        assert (await ask(port, "/readyz"))[1].startswith("stopping: asked to stop\n")
        assert (await ask(port, "/livez"))[0] == 200
    told = {line.split("{")[0].split(" ")[0] for line in figures.splitlines() if not line.startswith("#")}
    gauges = {name for name, metric in METRICS.items() if metric.kind is Kind.GAUGE}
    assert gauges - told <= LATER
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0]["event"] == "http_listening"
    with pytest.raises(OSError, match="connection"):
        await ask(port, "/livez")


def test_every_password_of_a_deployment_is_known_to_its_log(tmp_path: Path) -> None:
    """Of its wire, its stores, its cells' brokers, its links, and of the files of secrets that it can read."""
    settings = """
[[links]]
source = "api"
target = "api!eu"
broker = "amqp://link:of-the-link@h/"
"""
    cells = CLOUD.replace('path = "api!eu"\n', 'path = "api!eu"\nbroker = "amqp://a:of-the-broker@h/"\n', 1)
    cloud = parse_cloud((cells + settings).encode())
    kept = complete_secrets(tmp_path, CellPath.parse("api"), ["cell"])
    made = Deployment(
        cloud=cloud, wire="amqp://u:of-the-wire@h/", store="postgresql://u:of-the-store@h/d", directory=tmp_path,
        prefix="p", secrets=tmp_path,
    )  # fmt: skip
    assert set(secrets_of(made)) == {"of-the-wire", "of-the-store", "of-the-broker", "of-the-link", *kept.values()}
