"""What tests of commands that administer a broker share: one of their own, and a command line in this very process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.cli.main import main
from tests.e2e.deployments import Run
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnRabbitMQ]:
    """Give a broker of our own."""
    with own_rabbitmq() as own:
        yield own


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Give what runs a command line, and gives its exit code, what it printed and what it complained of."""

    def running(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return running
