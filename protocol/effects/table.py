"""All effects, by who carries them out.  Importing this module is what fills the table."""

from typing import Any, Final

from protocol.effects import (
    capacity,
    changes,
    confirm,
    delete,
    fencing,
    groups,
    images,
    inside,
    ports,
    power,
    quotas,
    resize,
    revert,
    root,
    servers,
    volumes,
)
from protocol.effects.registry import EFFECTS
from protocol.requests import Request, Role

Requests = tuple[type[Request[Any]], ...]

_MODULES: Final = (
    capacity, changes, confirm, delete, fencing, groups, images, inside, ports, power, quotas, resize, revert, root,
    servers, volumes,
)  # fmt: skip
#: Where the requests are declared that only the root's cell carries out.
OF_ROOT: Final = frozenset(
    {"protocol.messages.root", "protocol.messages.fencing", "protocol.messages.groups", "protocol.messages.quotas"}
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
