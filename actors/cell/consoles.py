"""Consoles of servers: the cell makes tokens, keeps their hashes, has the root authorise them, and asks its hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from actors.kernel.handlers import Ensuring
from actors.kernel.post import Stamp
from actors.store.effects import outgoing
from actors.store.outbox import enqueue
from actors.store.records import load, save
from protocol.draft import Changes, need
from protocol.effects.consoles import LIFE_US, kept, void_after
from protocol.effects.news import news
from protocol.errors import CellferryError, InvalidState, NotFound
from protocol.messages.consoles import CheckConsole, Console, ConsoleChecked, GuestConsole, OpenConsole, ShowConsole
from protocol.records import BandwidthUse, ConsoleToken, Server

if TYPE_CHECKING:
    from actors.cell.asking import Asking
    from actors.kernel.handlers import Handler
    from actors.kernel.ports import Connection, Store
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment


class Consoles:
    """What a cell does about its servers' consoles."""

    def __init__(self, post: Post, store: Store, asking: Asking) -> None:
        self._post = post
        self._store = store
        self._asking = asking

    def handlers(self) -> tuple[Handler, ...]:
        """List what is asked of it.  Whoever asked for a token that a crash cost asks again."""
        return (
            Ensuring(request=OpenConsole, ensure=self.open, settle=self.keep, is_resumed=False),
            Ensuring(request=CheckConsole, ensure=self.check, is_resumed=False),
        )

    async def open(self, request: OpenConsole, moment: Moment) -> Console:
        """Find out where the guest can be spoken to, and make a token."""
        host, found = await self._find(request.server)
        return Console(
            token=self._post.ids.new().hex(), server=request.server, host=host, kind=found.kind,
            address=found.address, port=found.port, expires_at_us=moment.now_us + LIFE_US,
        )  # fmt: skip

    def keep(self, connection: Connection, _request: OpenConsole, console: Console, moment: Moment) -> Console:
        """Store the token's hash, and what the root is to hear of it, in one transaction."""
        changes = kept(console, moment.now_us, _tokens(connection, console.server))
        save(connection, changes)
        enqueue(connection, tuple(map(outgoing, news(changes, moment))))
        return console

    async def check(self, request: CheckConsole, _moment: Moment) -> ConsoleChecked:
        """Ask the host where the console is now."""
        try:
            _, found = await self._find(request.server)
        except NotFound:
            raise
        except CellferryError as error:
            return ConsoleChecked(is_valid=False, reason=str(error))
        if (found.kind, found.port) != (request.kind, request.port):
            return ConsoleChecked(is_valid=False, reason="its guest was started anew since, and has another port")
        return ConsoleChecked(is_valid=True)

    async def _find(self, server: str) -> tuple[str, GuestConsole]:
        row = await self._store.transact(_server, server)
        if row is None:
            raise NotFound(kind="server", name=server)
        if row.host is None or row.is_hidden:
            raise InvalidState(
                kind="server", name=server, field="place", found="elsewhere", expected="on a host of this cell"
            )
        to, stamp = await self._asking.address_of(row.host), Stamp(server=server)
        found: GuestConsole = await self._asking.asked(to, ShowConsole(server=server), stamp, host=row.host)
        return row.host, found


def follow_servers(connection: Connection, changes: Changes) -> Changes:
    """Take away what goes with a server that is off, moved, or gone: its tokens, and of one gone what it has used."""
    servers = [row for row in (*changes.puts, *changes.drops) if isinstance(row, Server)]
    tokens = tuple(token for row in servers for token in _tokens(connection, row.uuid))
    gone = tuple(need(BandwidthUse, server=row.uuid) for row in changes.drops if isinstance(row, Server))
    more = (*void_after(changes, tokens), *(load(connection, gone) if gone else ()))
    if not more:
        return changes
    save(connection, Changes(drops=more))
    return attrs.evolve(changes, drops=(*changes.drops, *more))


def _tokens(connection: Connection, server: str) -> tuple[ConsoleToken, ...]:
    return tuple(row for row in load(connection, (need(ConsoleToken, server=server),)) if isinstance(row, ConsoleToken))


def _server(connection: Connection, server: str) -> Server | None:
    return next((row for row in load(connection, (need(Server, uuid=server),)) if isinstance(row, Server)), None)
