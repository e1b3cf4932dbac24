"""All requests by their method's name, collected from where they are declared."""

from typing import Any, Final

from protocol import requests
from protocol.envelope import Direction
from protocol.messages import (
    building,
    capacity,
    changes,
    consoles,
    creates,
    fencing,
    groups,
    handing,
    histories,
    hosts,
    imaging,
    inside,
    instances,
    live,
    mirror,
    moves,
    nodes,
    orders,
    partners,
    power,
    quotas,
    rebuilding,
    repair,
    root,
    scheduling,
    servers,
    services,
    sync,
    top,
    tree,
    usage,
    wiring,
)
from protocol.requests import Method, Request, Way

_MODULES: Final = (
    building,
    capacity,
    changes,
    consoles,
    creates,
    fencing,
    groups,
    handing,
    histories,
    hosts,
    imaging,
    inside,
    instances,
    live,
    mirror,
    moves,
    nodes,
    orders,
    partners,
    power,
    quotas,
    rebuilding,
    repair,
    requests,
    root,
    scheduling,
    servers,
    services,
    sync,
    top,
    tree,
    usage,
    wiring,
)


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
