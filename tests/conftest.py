"""What all tests share: the virtual loop, Hypothesis profiles, and the services, found or started once a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import hypothesis
import pytest

from tests.own_services import ServiceMissing
from tests.services import POSTGRESQL, RABBITMQ, database, postgresql, rabbitmq

# The gate tries the same examples each time: it is red by a change and not by chance.  dev and night look further.
hypothesis.settings.register_profile("dev", max_examples=100, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=500, deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("night", max_examples=20_000, deadline=None, derandomize=False, print_blob=True)
hypothesis.settings.load_profile(
    os.environ.get("CELLFERRY_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")
)


def pytest_configure(config: pytest.Config) -> None:
    """Find or start the services before xdist starts its workers: they inherit the URLs by the environment.

    Without xdist nothing happens here: the fixtures below do it, if a test asks for them at all.
    """
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.getoption("dist", "no") == "no" or config.getoption("collectonly"):
        return
    services = ExitStack()
    config.add_cleanup(services.close)
    try:
        os.environ[RABBITMQ.variable] = services.enter_context(rabbitmq())
        os.environ[POSTGRESQL.variable] = services.enter_context(postgresql())
    except ServiceMissing as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run async tests in virtual time, where none waits.  A module that needs the real world asks for `real_loop`."""
    from sim.clock import SimLoop

    return "asyncio", {"loop_factory": SimLoop}


@pytest.fixture(scope="session")
def real_loop() -> str:
    """Name the loop for tests of sockets, threads and processes; a module's own `anyio_backend` returns it."""
    return "asyncio"


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """Give the URL of a RabbitMQ that others use too: declare under names of your own, and delete what you declared."""
    with rabbitmq() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Give the URL of an empty database, this worker's own, on a PostgreSQL that others use too."""
    with postgresql() as url, database(url) as own_url:
        yield own_url
