"""A deployment that stays: it says when it is ready, ends in order, and goes on where it was."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.cli.clouds import processes, read_until, started
from tests.e2e.deployments import cellferry, deployed, end, write_deployment
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnRabbitMQ]:
    """Start a broker of the tests' own."""
    with own_rabbitmq() as service:
        yield service


@pytest.mark.parametrize("options", [(), ("--processes",)])
def test_it_is_ready_and_ends_in_order_and_starts_again(
    options: tuple[str, ...], tmp_path: Path, broker: OwnRabbitMQ
) -> None:
    """Both signals end it with exit code 0, no process is left, and what it made is there for the next start."""
    config = write_deployment(tmp_path, broker)
    for ending in (signal.SIGTERM, signal.SIGINT):
        with started(tmp_path, "all", "--config", str(config), *options, of="run") as run:
            read_until(run.stdout, "ready: 4 cell(s) and 3 host(s)")
            end(run, ending)
            assert not processes(tmp_path)
        assert (tmp_path / "data" / "images" / "cirros").exists()


def test_no_queue_of_a_passing_user_is_left(tmp_path: Path, broker: OwnRabbitMQ) -> None:
    """What a client of the root read its answers from is gone with it."""
    config = write_deployment(tmp_path, broker)
    with deployed(tmp_path, config):
        names = broker.control("list_queues", "name").split()
        assert any("replies:conductor" in name for name in names)
        assert not any("replies:client" in name for name in names)


def test_single_roles_make_up_a_cell(tmp_path: Path, broker: OwnRabbitMQ) -> None:
    """Roles may run each by itself, and a second start of one is refused by name."""
    config = write_deployment(tmp_path, broker)
    # The root is first: a host asks it whether it was fenced, and is ready when it was told.
    (tmp_path / "of-root").mkdir()
    with (
        deployed(tmp_path / "of-root", config, "--cell", "api"),
        deployed(tmp_path, config, "--cell", "api!us"),
    ):
        second = cellferry(tmp_path, "run", "host", "--host", "h2", "--config", str(config))
        assert second.returncode == 1
        assert "api!us/host:h2 runs already in" in second.stderr
    with deployed(tmp_path, config, role="network"):
        pass
