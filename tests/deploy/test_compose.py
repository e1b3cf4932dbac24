"""`deploy/compose`: what it starts is a command there is, over a file that is good, beside services that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from actors.cli.running import run
from actors.deployment import DRAIN_S_MAX, Deployment
from actors.ops.settings import load_cloud

DIRECTORY: Final = Path(__file__).parents[2] / "deploy" / "compose"
SERVICES: Final[dict[str, dict[str, Any]]] = yaml.safe_load((DIRECTORY / "compose.yaml").read_text("utf-8"))["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if service["image"] == "cellferry"}


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    """Read the deployment's file."""
    cloud = load_cloud(DIRECTORY / "cloud.toml")
    assert cloud.deployment is not None
    return Deployment(
        cloud=cloud, wire=cloud.deployment.wire, store=cloud.deployment.store or "", prefix=cloud.deployment.prefix,
        directory=Path(cloud.deployment.directory),
    )  # fmt: skip


def test_each_role_is_started_once_and_nothing_else(deployment: Deployment) -> None:
    """By commands that take these options."""
    started = []
    for service in OURS.values():
        command, *arguments = service["command"]
        assert command == "run"
        given = run.make_context("run", list(arguments)).params
        replica = f"~{given['replica']}" if given["replica"] else ""
        name = f"host:{given['host']}" if given["host"] else given["role"]
        cells = [
            task.cell for task in deployment.tasks() if task.mailbox == name and given["cell"] in {None, task.cell}
        ]
        started.append(f"{cells[0]}/{name}{replica}")
    assert sorted(started) == sorted(map(str, deployment.tasks()))


def test_brokers_and_databases_are_services_of_the_same_file(deployment: Deployment) -> None:
    """Each cell has its own broker and its own database."""
    paths = [cell.path for cell in deployment.cloud.cells]
    brokers = [urlsplit(deployment.broker_of(path)).hostname for path in paths]
    stores = [urlsplit(deployment.store_of(path)) for path in paths]
    assert {*brokers, *(store.hostname for store in stores)} <= set(SERVICES)
    assert len(set(brokers)) == len({store.path for store in stores}) == len(paths)
    made = (DIRECTORY / "databases.sql").read_text("utf-8") + SERVICES["postgresql"]["environment"]["POSTGRES_DB"]
    assert all(store.path[1:] in made for store in stores)


@pytest.mark.parametrize("name", OURS)
def test_a_stop_leaves_time_to_drain(name: str) -> None:
    """And all of them read the same file and share the same directory."""
    assert int(OURS[name]["stop_grace_period"].removesuffix("s")) > DRAIN_S_MAX
    assert OURS[name]["volumes"] == next(iter(OURS.values()))["volumes"]
