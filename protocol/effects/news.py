"""What others are told of a change: the root's mirror of servers, and its map of hosts."""

from typing import Any, Final

import attrs

from protocol.cell_path import Address, CellPath
from protocol.draft import Changes
from protocol.effects.registry import Moment
from protocol.ids import derived_id
from protocol.messages.root import RegisterHost, UpdateMirror
from protocol.records import Host, Mirror, Server
from protocol.requests import Request

#: A record has fewer versions than that within one generation of its server's home.
VERSIONS_MAX: Final = 1 << 32


@attrs.frozen(kw_only=True)
class News:
    """A message that a change calls for; the same change always has the same id."""

    id: str
    target: Address
    server: str
    request: Request[Any]
    #: What it tells of, and how new it is: older news of the same need not be told any more.
    about: str = ""
    rank: int = 0


def news(changes: Changes, moment: Moment) -> tuple[News, ...]:
    """Tell what a cell's change calls for."""
    here = CellPath.parse(moment.cell)
    root = Address(here.root, "cell")
    told: list[News] = []
    for row in changes.puts:
        if isinstance(row, Server):
            told.append(_mirror(row, moment.cell, root, is_gone=False))
        if isinstance(row, Host):
            name = derived_id("register", moment.cell, row.name)
            told.append(News(id=name, target=root, server="", request=RegisterHost(host=row.name, cell=here)))
    told.extend(_mirror(row, moment.cell, root, is_gone=True) for row in changes.drops if isinstance(row, Server))
    return tuple(told)


def _mirror(server: Server, cell: str, root: Address, *, is_gone: bool) -> News:
    version = server.version + 1 if is_gone else server.version
    mirror = Mirror(
        server=server.uuid, cell=cell, generation=server.generation, version=version, name=server.name,
        vm_state=server.vm_state, task_state=server.task_state, power_state=server.power_state, host=server.host,
        flavor=server.flavor.name, is_gone=is_gone,
    )  # fmt: skip
    name = derived_id("mirror", server.uuid, cell, str(server.generation), str(version))
    return News(
        id=name, target=root, server=server.uuid, request=UpdateMirror(mirror=mirror), about=f"mirror {server.uuid}",
        rank=server.generation * VERSIONS_MAX + version,
    )  # fmt: skip
