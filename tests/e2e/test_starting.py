"""A deployment that is started before its broker or its database: it waits, says so, and tells its service manager."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

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


class Manager:
    """A service manager: it takes what it is told at once, since its socket holds few words."""

    def __init__(self, address: Path) -> None:
        """Listen there."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self._told = SimpleQueue[str]()
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def heard(self, word: str) -> list[str]:
        """Give what it was told, up to this."""
        heard = list[str]()
        while not heard or word not in heard[-1]:
            heard.append(self._told.get())
        return heard

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _take(self) -> None:
        while told := self._socket.recv(4096):
            self._told.put(told.decode())


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """Be the service manager, and ask for a sign of life each second."""
    with closing(Manager(tmp_path / "notify")) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        yield manager


@pytest.mark.parametrize("away", ["RabbitMQ cannot be used", "PostgreSQL at "])
def test_it_waits_for_what_is_away_and_its_manager_knows(
    away: str, tmp_path: Path, manager: Manager, broker: OwnRabbitMQ, postgresql: OwnPostgreSQL
) -> None:
    """Named by what it is and where; ready when it is there; and alive all the time."""
    service: OwnService = broker if "RabbitMQ" in away else postgresql
    config = write_deployment(tmp_path, broker, store=postgresql.url)
    service.stop()
    try:
        with started(tmp_path, "all", "--config", str(config), of="run") as run:
            read_until(run.stderr, away)
            assert not any("READY=1" in each for each in manager.heard("EXTEND_TIMEOUT_USEC="))
            assert away in manager.heard("STATUS=")[-1]
            service.start()
            read_until(run.stdout, "ready: ")
            assert any("WATCHDOG=1" in each for each in manager.heard("READY=1"))
            end(run)
            assert "STOPPING=1" in manager.heard("STOPPING=1")[-1]
    finally:
        service.stop()
        service.start()
