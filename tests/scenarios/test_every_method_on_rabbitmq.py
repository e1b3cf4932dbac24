"""The same table over a real RabbitMQ, in real time: each cell has a virtual host, and none reads another's."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from protocol.cell_path import CellPath
from sim import Scenario
from tests.scenarios.every_method import CELLS, HOSTS, show
from tests.scenarios.methods_all import ALL, levels_of
from tests.scenarios.on_wires import on_rabbitmq
from tests.services import own_rabbitmq
from tests.shares import part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from protocol.requests import Request

#: By day, one method in so many: the simulator shows them all.
ONE_IN: Final = 4
ALL_RIGHTS: Final = {"user": "guest", "configure": ".*", "write": ".*", "read": ".*"}

pytestmark = pytest.mark.xdist_group("methods-on-rabbitmq")


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[CellPath, str]]:
    """Give each cell a virtual host, in a broker of our own."""
    vhosts = [f"of.{name.replace('!', '.')}" for name in CELLS]
    definitions = {
        "vhosts": [{"name": name} for name in vhosts],
        "permissions": [{"vhost": name, **ALL_RIGHTS} for name in vhosts],
    }
    path = tmp_path_factory.mktemp("broker") / "definitions.json"
    path.write_text(json.dumps(definitions))
    path.parent.chmod(0o755)
    path.chmod(0o644)
    with own_rabbitmq() as own:
        own.control("import_definitions", str(path))
        yield {CellPath.parse(cell): own.url + vhost for cell, vhost in zip(CELLS, vhosts, strict=True)}


@pytest.mark.parametrize("request_type", part(ALL, ONE_IN))
def test_a_method_does_over_brokers_of_their_own_what_it_says(
    request_type: type[Request[Any]], brokers: Mapping[CellPath, str], request: pytest.FixtureRequest
) -> None:
    """What leaves a cell leaves it by the broker of a neighbour, and nothing is left wrong behind it."""
    story = partial(show, request_type=request_type, levels=levels_of(request_type))
    Scenario.run(story, cells=CELLS, hosts=HOSTS, on=on_rabbitmq(brokers, request))
