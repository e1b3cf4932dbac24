"""All effects, by who carries them out.  Importing this module is what fills the table."""

from typing import Any, Final

from protocol.effects import (
    building,
    capacity,
    changes,
    confirm,
    consoles,
    delete,
    fencing,
    groups,
    histories,
    images,
    imaging,
    inside,
    instances,
    live,
    mirror,
    nodes,
    ports,
    power,
    quotas,
    rebuilding,
    repair,
    resize,
    revert,
    root,
    scheduling,
    servers,
    services,
    tree,
    usage,
    volumes,
)
from protocol.effects.registry import EFFECTS
from protocol.requests import Request, Role

Requests = tuple[type[Request[Any]], ...]

_MODULES: Final = (
    building,
    capacity,
    changes,
    confirm,
    consoles,
    delete,
    fencing,
    groups,
    histories,
    images,
    imaging,
    inside,
    instances,
    live,
    mirror,
    nodes,
    ports,
    power,
    quotas,
    rebuilding,
    repair,
    resize,
    revert,
    root,
    scheduling,
    servers,
    services,
    tree,
    usage,
    volumes,
)
#: Where the requests are declared that only the root's cell carries out.
OF_ROOT: Final = frozenset(
    f"protocol.messages.{name}" for name in ("root", "fencing", "groups", "handing", "mirror", "quotas", "top")
)


def _handled(role: Role, *, by_root: bool = False) -> Requests:
    return tuple(
        request for request in EFFECTS if request.METHOD.at is role and (request.__module__ in OF_ROOT) is by_root
    )


CELL: Final = _handled(Role.CELL)
ROOT: Final = _handled(Role.CELL, by_root=True)
IMAGE: Final = _handled(Role.IMAGE)
VOLUME: Final = _handled(Role.VOLUME)
NETWORK: Final = _handled(Role.NETWORK)
