"""Who of a deployment is who to which broker: one user for all, or one for each actor and each link."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

import attrs

from actors.kernel.ports import Queue
from actors.ops.checks import SettingsError
from actors.ops.secrets import complete_secrets, read_secrets
from actors.ops.system import SystemRandom
from actors.wire import identities
from actors.wire.identities import FROM, OPERATOR, Access, Kind, Party, Thing
from actors.wire.memory import MemoryWire
from actors.wire.rabbitmq import RabbitWire
from actors.wire.topology import Topology
from protocol.cell_path import replies_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable
    from contextlib import AsyncExitStack
    from pathlib import Path

    from actors.kernel.ports import Events, Wire
    from actors.ops.settings import Cloud
    from protocol.cell_path import CellPath

#: The wire that has no brokers.
MEMORY: Final = "memory"
#: The mailbox of users of the cloud.
CLIENT: Final = identities.CLIENT
CELL: Final = "cell"
LINK: Final = "link"
#: Whom those may send to that are only asked: back to who has asked, and out of the cell.
ANSWERING: Final = (LINK, "replies:.*")
HOST: Final = "host:"
PARTNERS: Final = frozenset({"image", "volume", "network"})


@attrs.frozen(kw_only=True)
class Accounts:
    """The users of a cloud's brokers.  Without a directory of secrets there are none: the URLs' own users do all."""

    cloud: Cloud
    #: The broker of the cells that have none of their own.
    wire: str = attrs.field(repr=False)
    prefix: str
    secrets: Path | None

    @cached_property
    def topology(self) -> Topology:
        """How things are called in the brokers."""
        return Topology(self.prefix)

    @property
    def is_one_user(self) -> bool:
        """Tell whether all processes get to all brokers alike."""
        return self.wire == MEMORY or (self.secrets is None and not self.cloud.links)

    def broker_of(self, cell: CellPath) -> str:
        """Give the URL of a cell's broker."""
        return self.cloud.cell(cell).broker or self.wire

    def access(self, cell: CellPath, mailbox: str) -> dict[CellPath, Access]:
        """Tell how the process of an actor reaches the brokers that it needs; a cell's link needs the neighbours'."""
        found = {cell: self._own(cell, mailbox)}
        if mailbox == CELL:
            found |= {neighbour: self._over(cell, neighbour) for neighbour in self.cloud.neighbours(cell)}
        return found

    def senders(self, cell: CellPath, neighbour: CellPath) -> frozenset[str]:
        """Tell by which users what comes by a neighbour's queue may have been sent; none: the broker knows nobody."""
        if self.secrets is None:
            return frozenset()
        operator = identities.user_of(self.topology, cell, OPERATOR)
        return frozenset({self.link_user(neighbour, cell), operator})

    def link_user(self, source: CellPath, target: CellPath) -> str:
        """Name the user that the link of `source` is to the broker of `target`."""
        given = self.cloud.link(source, target)
        named = unquote(urlsplit(given).username or "") if given else ""
        return named or identities.link_user(self.topology, source, target)

    def things(self, cell: CellPath, queues: Iterable[Queue], parties: Iterable[str]) -> tuple[Thing, ...]:
        """List what the broker of a cell must have, for these queues of it and the actors of these mailboxes."""
        queues = tuple(queues)
        return identities.things_of(
            self.topology, cell=cell, vhost=vhost_of(self.broker_of(cell)),
            parties=tuple(_party(mailbox, queues) for mailbox in parties),
            neighbours={neighbour: self.link_user(neighbour, cell) for neighbour in self.cloud.neighbours(cell)},
        )  # fmt: skip

    def complete(self, things: Iterable[Thing], cell: CellPath) -> dict[str, str]:
        """Give all users of a cell's broker passwords, each in the file of the cell that needs it; give them all."""
        assert self.secrets is not None, "without secrets nobody is told apart"
        users = [thing.name for thing in things if thing.kind is Kind.USER]
        holders = {self.link_user(neighbour, cell): neighbour for neighbour in self.cloud.neighbours(cell)}
        found: dict[str, str] = {}
        for holder in dict.fromkeys(holders.get(user, cell) for user in users):
            own = [user for user in users if holders.get(user, cell) == holder]
            known = complete_secrets(self.secrets, holder, own)
            found |= {user: known[user] for user in own}
        return found

    def known(self, things: Iterable[Thing], cell: CellPath) -> dict[str, str]:
        """Give the passwords that users of a cell's broker have already."""
        assert self.secrets is not None, "without secrets nobody is told apart"
        found: dict[str, str] = {}
        for holder in (cell, *self.cloud.neighbours(cell)):
            found |= read_secrets(self.secrets, holder)
        return {thing.name: found[thing.name] for thing in things if thing.kind is Kind.USER and thing.name in found}

    def _own(self, cell: CellPath, mailbox: str) -> Access:
        if self.secrets is None:
            return Access(url=self.broker_of(cell))
        user = identities.user_of(self.topology, cell, mailbox)
        return Access(url=self._as(user, self.broker_of(cell), holder=cell), is_named=True)

    def _over(self, source: CellPath, target: CellPath) -> Access:
        given = self.cloud.link(source, target)
        if self.secrets is None:
            return Access(url=given or self.broker_of(target))
        if given is not None and urlsplit(given).password:
            return Access(url=given, is_named=True)
        user = self.link_user(source, target)
        return Access(url=self._as(user, given or self.broker_of(target), holder=source), is_named=True)

    def _as(self, user: str, url: str, *, holder: CellPath) -> str:
        assert self.secrets is not None, "without secrets nobody is told apart"
        password = read_secrets(self.secrets, holder).get(user)
        if password is None:
            what = f"{self.secrets} has no password of {user}; make one with: cellferry broker apply"
            raise SettingsError(where="deployment.secrets", what=what)
        parts = urlsplit(url)
        place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{place}").geturl()


@asynccontextmanager
async def open_wire(
    accounts: Accounts, events: Events, *, needed: Collection[CellPath] | None = None
) -> AsyncIterator[Wire]:
    """Open the wire that all share who are one user; raise `TransportLost` when the broker of a needed cell is away.

    None: of any cell.  Where each is a user of his own, it is nobody's wire.
    """
    if accounts.wire == MEMORY or not accounts.is_one_user:
        yield MemoryWire()
        return
    brokers: dict[CellPath | None, str]
    brokers = {cell.path: accounts.broker_of(cell.path) for cell in accounts.cloud.cells}
    if accounts.wire in brokers.values():
        brokers[None] = accounts.wire  # Of cells that join later, and are not in this process's file.
    connecting = RabbitWire.connect(
        brokers, prefix=accounts.prefix, events=events, random=SystemRandom(), required=needed
    )  # fmt: skip
    async with connecting as wire:
        yield wire


class Wires:
    """The wires of a process whose actors are users of their own: one for each."""

    def __init__(self, accounts: Accounts, stack: AsyncExitStack, events: Events) -> None:
        """Open nothing yet; what will be opened is closed with the stack."""
        self._accounts = accounts
        self._stack = stack
        self._events = events
        self._opened: dict[tuple[CellPath, str], Wire] = {}

    async def of(self, cell: CellPath, mailbox: str) -> Wire:
        """Give the wire of an actor; raise `TransportLost` when its cell's broker is away.  A neighbour's may be."""
        if (cell, mailbox) not in self._opened:
            opening = RabbitWire.connect(
                self._accounts.access(cell, mailbox), prefix=self._accounts.prefix, events=self._events,
                random=SystemRandom(), required=[cell],
            )  # fmt: skip
            self._opened[cell, mailbox] = await self._stack.enter_async_context(opening)
        return self._opened[cell, mailbox]


def vhost_of(url: str) -> str:
    """Name the virtual host of a broker's URL."""
    return unquote(urlsplit(url).path[1:]) or "/"


def server_of(url: str) -> str:
    """Name the server of a broker's URL."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"


def _party(mailbox: str, queues: tuple[Queue, ...]) -> Party:
    names, starts = {mailbox}, [replies_of(mailbox, "")]
    if mailbox == CELL:  # Its process runs the link, too.
        names.add(LINK)
        starts += [replies_of(LINK, ""), FROM]
    reads = tuple(queue for queue in queues if queue.name in names or any(map(queue.name.startswith, starts)))
    sends: tuple[str, ...] = ()
    if mailbox in PARTNERS:
        sends = ANSWERING
    elif mailbox.startswith(HOST):
        sends = (CELL, *ANSWERING)
    return Party(mailbox=mailbox, reads=reads, sends=sends)
