"""All requests by their method's name, collected from where they are declared."""

from typing import Any, Final

from protocol import requests
from protocol.envelope import Direction
from protocol.messages import (
    capacity,
    changes,
    fencing,
    groups,
    hosts,
    inside,
    moves,
    orders,
    partners,
    power,
    quotas,
    root,
    servers,
)
from protocol.requests import Method, Request, Way

_MODULES: Final = (
    capacity, changes, fencing, groups, hosts, inside, moves, orders, partners, power, quotas, requests, root,
    servers,
)  # fmt: skip


def _collect() -> dict[str, type[Request[Any]]]:
    found: dict[str, type[Request[Any]]] = {}
    for module in _MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Request) and isinstance(vars(value).get("METHOD"), Method):
                assert found.setdefault(value.METHOD.name, value) is value, f"{value.METHOD.name} is declared twice"
    return found


METHODS: Final[dict[str, type[Request[Any]]]] = _collect()

_DIRECTIONS: Final = {Way.DOWN: Direction.DOWN, Way.UP: Direction.UP}


def direction_of(method: str) -> Direction | None:
    """Tell which way a method's requests may pass the tree; None when it is free, or not known here.

    A hop forwards what it does not know: it may be older than both ends.
    """
    request = METHODS.get(method)
    return None if request is None else _DIRECTIONS.get(request.METHOD.way)
