"""What others are told of a change: the root's mirror of servers, and its map of hosts; and what effects tell.

Straight to the root, not by a broadcast up as in Nova: a path names its root, so no cell between has anything to do
with it, and the one answer that comes back is that of the root itself, which is what retires a row of the outbox.
"""

from collections.abc import Iterator
from typing import Any

from protocol.cell_path import Address, CellPath
from protocol.draft import Changes, News
from protocol.effects.consoles import grant_of
from protocol.effects.registry import Moment
from protocol.effects.usage import bandwidth_of
from protocol.ids import derived_id
from protocol.messages.mirror import DestroyMirror, TellDevice, TellDeviceGone, TellFault, UpdateMirror
from protocol.messages.root import RegisterHost, UnregisterHost
from protocol.messages.top import AuthoriseConsole, DeleteConsoleTokens, UpdateBandwidth
from protocol.mirroring import mirror_of, mirrored_device, mirrored_fault, newest_faults
from protocol.records import VERSIONS_MAX, BandwidthUse, BlockDevice, ConsoleToken, DeletedServer, Fault, Host, Server
from protocol.requests import Request


def news(changes: Changes, moment: Moment) -> tuple[News, ...]:
    """Tell what a cell's change calls for."""
    here = CellPath.parse(moment.cell)
    told: list[News] = list(changes.tells)
    servers = {row.uuid: row for row in changes.puts if isinstance(row, Server)}
    for row in changes.puts:
        if isinstance(row, Server):
            told.append(_of_server(row, here))
        elif isinstance(row, BlockDevice | Fault):
            assert row.server in servers, f"a change of a {type(row).__name__} raises the version of its server"
            told.append(_of_part(row, servers[row.server], here))
        elif isinstance(row, Host):
            told.append(_of_host(row, here))
        elif isinstance(row, ConsoleToken):
            told.append(_of_token(row, here))
        elif isinstance(row, BandwidthUse):
            told.append(_of_use(row, here))
    told.extend(_of_what_is_gone(changes, servers, here))
    told.extend(_of_void_tokens(changes, here))
    return tuple(told)


def news_of_record(
    server: Server, devices: tuple[BlockDevice, ...], faults: tuple[Fault, ...], *, cell: str
) -> tuple[News, ...]:
    """Tell a whole record again, as it is now: to a mirror that has heard all this, it is nothing new."""
    here = CellPath.parse(cell)
    parts: tuple[BlockDevice | Fault, ...] = (*devices, *newest_faults(faults))
    ids = tuple(device.id for device in devices)
    return (_of_server(server, here, ids), *(_of_part(part, server, here) for part in parts))


def news_of_deleted(deleted: DeletedServer, *, cell: str) -> News:
    """Tell again that a server was deleted."""
    return _gone(deleted.uuid, deleted.generation, deleted.version, CellPath.parse(cell))


def _gone(server: str, generation: int, version: int, here: CellPath) -> News:
    gone = DestroyMirror(server=server, cell=str(here), generation=generation, version=version)
    return _news(gone, here, server=server, what="mirror", name=server, generation=generation, version=version)


def _news(
    request: Request[Any], here: CellPath, *, server: str, what: str, name: str, generation: int, version: int
) -> News:  # fmt: skip
    return News(
        id=derived_id(what, name, str(here), str(generation), str(version)), target=Address(here.root, "cell"),
        server=server, request=request, about=f"{what} {name}", rank=generation * VERSIONS_MAX + version,
    )  # fmt: skip


def _of_server(server: Server, here: CellPath, devices: tuple[str, ...] | None = None) -> News:
    return _news(
        UpdateMirror(mirror=mirror_of(server, str(here)), devices=devices), here, server=server.uuid, what="mirror",
        name=server.uuid, generation=server.generation, version=server.version,
    )  # fmt: skip


def _of_part(part: BlockDevice | Fault, server: Server, here: CellPath) -> News:
    request: Request[Any]
    if isinstance(part, Fault):
        request = TellFault(fault=mirrored_fault(part, server, str(here)))
    else:
        request = TellDevice(device=mirrored_device(part, server, str(here)))
    return _news(
        request, here, server=server.uuid, what="fault" if isinstance(part, Fault) else "device", name=part.id,
        generation=server.generation, version=server.version,
    )  # fmt: skip


def _of_host(host: Host, here: CellPath, kind: type[RegisterHost | UnregisterHost] = RegisterHost) -> News:
    # Of all that is to be told of one host only the last is told: whether it is there.
    return News(
        id=derived_id(kind.METHOD.name, str(here), host.name), target=Address(here.root, "cell"), server="",
        request=kind(host=host.name, cell=here), about=f"host {host.name}",
    )  # fmt: skip


def _of_token(token: ConsoleToken, here: CellPath) -> News:
    name = derived_id("console", token.token_hash)
    request = AuthoriseConsole(grant=grant_of(token, str(here)))
    return News(id=name, target=Address(here.root, "cell"), server="", request=request)


def _of_void_tokens(changes: Changes, here: CellPath) -> Iterator[News]:
    # What has expired is void at the root by itself: only where a new one is told does an old one go for that.
    told = {row.server for row in changes.puts if isinstance(row, ConsoleToken)}
    tokens = {row.server: row for row in changes.drops if isinstance(row, ConsoleToken)}
    for server, token in tokens.items():
        if server not in told:
            request = DeleteConsoleTokens(server=server, cell=str(here))
            name = derived_id("void", token.token_hash)
            yield News(id=name, target=Address(here.root, "cell"), server="", request=request)


def _of_use(use: BandwidthUse, here: CellPath) -> News:
    # Newer news of the same period takes its place.
    return News(
        id=derived_id("bandwidth", use.server, str(here), use.period, str(use.version)),
        target=Address(here.root, "cell"), server="", about=f"bandwidth {use.server} {use.period}", rank=use.version,
        request=UpdateBandwidth(bandwidth=bandwidth_of(use, str(here))),
    )  # fmt: skip


def _of_what_is_gone(changes: Changes, servers: dict[str, Server], here: CellPath) -> Iterator[News]:
    for row in changes.drops:
        if isinstance(row, Host):
            yield _of_host(row, here, UnregisterHost)
        elif isinstance(row, Server):
            yield _gone(row.uuid, row.generation, row.version + 1, here)
        elif isinstance(row, BlockDevice) and (server := servers.get(row.server)) is not None:
            # Those of a record that is gone itself are gone with it.
            detached = TellDeviceGone(
                server=row.server, cell=str(here), generation=server.generation, version=server.version, id=row.id,
                device=row.device, volume=row.volume,
            )  # fmt: skip
            yield _news(
                detached, here, server=row.server, what="device", name=row.id, generation=server.generation,
                version=server.version,
            )  # fmt: skip
