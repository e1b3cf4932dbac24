"""A deployment that is started before its broker or its database: it waits, says so, and tells its service manager."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.actors.cli.clouds import read_until, started
from tests.e2e.deployments import end, write_deployment
from tests.own_services import OwnPostgreSQL, OwnRabbitMQ, OwnService
from tests.services import own_postgresql


@pytest.fixture(scope="module")
def postgresql() -> Iterator[OwnPostgreSQL]:
    """Start a database of our own."""
    with own_postgresql() as service:
        yield service


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Be the service manager: give the socket on which it is told, and ask for a sign of life each second."""
    address = tmp_path / "notify"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(address))
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        yield manager


def _heard(manager: socket.socket, word: str) -> list[str]:
    """Read what the manager is told until it is this."""
    heard = list[str]()
    while not heard or word not in heard[-1]:
        heard.append(manager.recv(4096).decode())
    return heard


@pytest.mark.parametrize("away", ["RabbitMQ cannot be used", "PostgreSQL at "])
def test_it_waits_for_what_is_away_and_its_manager_knows(
    away: str, tmp_path: Path, told: socket.socket, broker: OwnRabbitMQ, postgresql: OwnPostgreSQL
) -> None:
    """Named by what it is and where; ready when it is there; and alive all the time."""
    service: OwnService = broker if "RabbitMQ" in away else postgresql
    config = write_deployment(tmp_path, broker, store=postgresql.url)
    service.stop()
    try:
        with started(tmp_path, "all", "--config", str(config), of="run") as run:
            read_until(run.stderr, away)
            assert not any("READY=1" in each for each in _heard(told, "EXTEND_TIMEOUT_USEC="))
            assert away in _heard(told, "STATUS=")[-1]
            service.start()
            read_until(run.stdout, "ready: ")
            assert any("WATCHDOG=1" in each for each in _heard(told, "READY=1"))
            end(run)
            assert "STOPPING=1" in _heard(told, "STOPPING=1")[-1]
    finally:
        service.stop()
        service.start()
