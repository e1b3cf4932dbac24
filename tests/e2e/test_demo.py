"""The main job deployed: every actor a process of its own, over RabbitMQ and PostgreSQL; and embedded, to compare."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import asyncpg
import pytest

from tests.actors.cli.clouds import compared, demo, files, processes, read_until, started, write_cloud
from tests.guests import until
from tests.own_services import OwnRabbitMQ, aside
from tests.services import own_rabbitmq


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnRabbitMQ]:
    """Start a broker of the tests' own, whose queues can be listed."""
    with own_rabbitmq() as service:
        yield service


def schemas(url: str) -> list[str]:
    """List the schemas that cellferry has made in a database."""

    async def ask() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cellferry%'")
        finally:
            await connection.close()
        return [row["nspname"] for row in rows]

    return aside(ask)


def queues(broker: OwnRabbitMQ) -> list[str]:
    """List the queues of a broker."""
    return [name for name in broker.control("list_queues", "name").split() if name.startswith("cellferry")]


def test_deployed_it_ends_as_embedded(tmp_path: Path, broker: OwnRabbitMQ, postgresql_url: str) -> None:
    """The final tables are the same, but for ids, times and counters; and neither run leaves anything behind."""
    cloud = str(write_cloud(tmp_path))
    options = ("--wire", broker.url, "--store", postgresql_url, "--processes")
    embedded = demo(tmp_path, "--cloud", cloud, "-f", "json")
    deployed = demo(tmp_path, "--cloud", cloud, "-f", "json", *options)
    assert embedded.returncode == deployed.returncode == 0, embedded.stderr + deployed.stderr
    assert compared(deployed.stdout) == compared(embedded.stdout)
    assert not queues(broker)
    assert not schemas(postgresql_url)
    assert not processes(tmp_path)
    assert not files(tmp_path)


@pytest.mark.parametrize("moment", ["come up", "spawn_target"])
def test_an_interrupted_deployment_leaves_nothing(
    moment: str, tmp_path: Path, broker: OwnRabbitMQ, postgresql_url: str
) -> None:
    """Ctrl-C while processes start, and in mid-move: no process, queue, schema or file is left."""
    options = ("--cloud", str(write_cloud(tmp_path)), "--wire", broker.url, "--store", postgresql_url, "--processes")
    with started(tmp_path, *options, "-f", "json") as run:
        read_until(run.stderr, moment)
        os.killpg(run.pid, signal.SIGINT)
        said, complained = run.communicate()
        assert run.returncode == 1, complained
        assert not said
        assert not processes(tmp_path)
        assert not files(tmp_path)
    assert not queues(broker)
    assert not schemas(postgresql_url)


def test_processes_end_with_their_parent(tmp_path: Path, broker: OwnRabbitMQ) -> None:
    """A parent that is killed, and can end nothing in order, leaves no actor running."""
    # What it leaves in the broker stays apart, for nobody can remove it.
    broker.control("add_vhost", "orphans")
    broker.control("set_permissions", "--vhost", "orphans", "guest", ".*", ".*", ".*")
    options = ("--cloud", str(write_cloud(tmp_path)), "--wire", f"{broker.url}orphans", "--processes", "-f", "json")
    with started(tmp_path, *options) as run:
        read_until(run.stderr, "web-1: create")
        actors = [pid for pid in processes(tmp_path) if "actors" in _command(pid)]
        assert len(actors) > 10
        run.kill()
        anyio.run(until, lambda: not any("actors" in _command(pid) for pid in processes(tmp_path)))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
