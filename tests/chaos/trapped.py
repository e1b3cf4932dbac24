"""The ports of a process, each saying which points its actors pass.

A point of a step is `STEP/do/POSITION` or `STEP/undo/POSITION`.  Positions of the conductor: the intent is `intended`
(durable), the answer is `answered` (the outcome is about to be written) and `recorded` (it is durable).  Positions of
whom it asks: a command that takes long is `accepted` (durable), its effect is `carrying` (about to be committed),
`carried` (durable) and `replied` (the answer is with the broker).  A hypervisor's call is `driver/CALL/before`,
`midway` and `after`.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from actors.kernel.frames import take_apart
from actors.kernel.ports import Fresh, Known
from actors.store.inbox import SqlInbox
from actors.store.journal import SqlJournals
from protocol.envelope import Response
from protocol.errors import HypervisorFailed
from protocol.journal import Kind
from tests.chaos.traps import FORGET, REFUSE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable
    from contextlib import AbstractAsyncContextManager

    from actors.compute.drivers.process import ProcessDriver
    from actors.kernel.ports import Command, Connection, Lease, Outage, Queue, Receive, Store, Verdict, Wire
    from actors.partners.files import FileImages
    from actors.partners.ports import ImageDigest
    from protocol.cell_path import CellPath
    from protocol.envelope import Key
    from protocol.journal import Entry, Journal
    from protocol.states import Goal
    from tests.chaos.traps import Walker

#: Calls of a hypervisor that change nothing.
LOOKS: Final = frozenset({"guest", "guests"})
OUTCOMES: Final = frozenset({Kind.DONE, Kind.REFUSED, Kind.END, Kind.CLOSED, Kind.RELEASED})


class Notes:
    """What the open transaction of each connection has done, to be told once it is committed."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker
        self.replying: list[tuple[str, str]] = []
        self._of: dict[int, list[tuple[str, str]]] = {}

    def begin(self, connection: Connection) -> list[tuple[str, str]]:
        """Begin anew on a connection."""
        noted: list[tuple[str, str]] = []
        self._of[id(connection)] = noted
        return noted

    def add(self, connection: Connection, server: str, point: str) -> None:
        """Note a point that is passed with the commit."""
        self._of[id(connection)].append((server, point))

    def tell(self, noted: list[tuple[str, str]]) -> None:
        """Pass what was noted: it is durable."""
        for server, point in noted:
            self.walker.passes(server, point)
            if point.endswith("/carried"):
                self.replying.append((server, point.replace("/carried", "/replied")))


class TrappedStore:
    """A store after whose commits a process may die."""

    def __init__(self, store: Store, notes: Notes) -> None:
        self._store = store
        self._notes = notes

    async def transact(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Run the work, and pass what it noted."""
        last: list[list[tuple[str, str]]] = []

        def noting(connection: Connection) -> Any:
            last.append(self._notes.begin(connection))
            return work(connection, *arguments, **named)

        result = await self._store.transact(noting)
        self._notes.tell(last[-1])  # Of the run that was committed.
        return result


class TrappedJournals(SqlJournals):
    """Journals that say what is written into them."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._servers: dict[str, str] = {}

    def begin(self, connection: Connection, lease: Lease, *, goal: Goal, payload: bytes, at_us: int) -> Journal:
        """Open a conversation."""
        self._servers[lease.conversation] = lease.server
        self._notes.add(connection, lease.server, "begin/do/recorded")
        return super().begin(connection, lease, goal=goal, payload=payload, at_us=at_us)

    def standing(self, connection: Connection, conversation: str) -> tuple[Journal, str | None]:
        """Give a journal, and learn whose it is."""
        found = super().standing(connection, conversation)
        self._servers[conversation] = found[0].server
        return found

    def append(self, connection: Connection, conversation: str, entry: Entry) -> None:
        """Write an entry."""
        server = self._servers[conversation]
        where = f"{entry.step or entry.kind}/{'undo' if entry.is_undo else 'do'}"
        if entry.kind in OUTCOMES:
            self._notes.walker.passes(server, f"{where}/answered")
        super().append(connection, conversation, entry)
        self._notes.add(connection, server, f"{where}/{'recorded' if entry.kind in OUTCOMES else 'intended'}")


class TrappedInbox(SqlInbox):
    """An inbox that says what is done; and that can be made to forget."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def look(self, connection: Connection, command: Command) -> Verdict:
        """Tell what is known of a command."""
        found = super().look(connection, command)
        if isinstance(found, Known) and not command.key.is_plain:
            deed = self._notes.walker.passes(command.server, f"{_where(command.key)}/known")
            if deed == FORGET:
                return Fresh(undoes_nothing=False)
        return found

    def accept(self, connection: Connection, command: Command) -> None:
        """Write that a command is being worked on."""
        super().accept(connection, command)
        if not command.key.is_plain:
            self._notes.add(connection, command.server, f"{_where(command.key)}/accepted")

    def settle(self, connection: Connection, command: Command, *, reply: bytes, is_error: bool) -> None:
        """Write a command's reply."""
        super().settle(connection, command, reply=reply, is_error=is_error)
        if not command.key.is_plain:
            self._notes.walker.passes(command.server, f"{_where(command.key)}/carrying")
            self._notes.add(connection, command.server, f"{_where(command.key)}/carried")


class TrappedWire:
    """A wire that says when an answer is out."""

    def __init__(self, wire: Wire, notes: Notes) -> None:
        self._wire = wire
        self._notes = notes

    async def declare(self, queue: Queue) -> None:
        """Make the queue exist."""
        await self._wire.declare(queue)

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Send; then pass what the answers in it are to."""
        await self._wire.send(queue, frame)
        envelopes, _ = take_apart(frame, lambda envelope: envelope)
        if any(isinstance(envelope, Response) for envelope in envelopes):
            replying, self._notes.replying = self._notes.replying, []
            for server, point in replying:
                self._notes.walker.passes(server, point)

    def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AbstractAsyncContextManager[None]:
        """Hand the queue's frames on."""
        return self._wire.consume(queue, receive, prefetch=prefetch)

    async def purge(self, queue: Queue) -> None:
        """Delete the queue."""
        await self._wire.purge(queue)

    def outage(self, cell: CellPath) -> Outage | None:
        """Tell what the wire itself knows."""
        return self._wire.outage(cell)


class TrappedImages:
    """Images that a host may die in the middle of reading; it does so to make a guest's disk."""

    def __init__(self, images: FileImages, walker: Walker) -> None:
        self._images = images
        self._walker = walker
        self.server = ""  # Whose guest is being made.

    def __getattr__(self, name: str) -> Any:
        """Leave all else to the images themselves."""
        return getattr(self._images, name)

    async def write(self, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        """Keep an image's bytes."""
        return await self._images.write(image, chunks)

    async def read(self, image: str) -> AsyncGenerator[bytes, None]:
        """Give an image's bytes."""
        async with aclosing(self._images.read(image)) as chunks:
            async for chunk in chunks:
                yield chunk
                self._walker.passes(self.server, "driver/spawn/midway")


class TrappedDriver:
    """A hypervisor that says what is asked of it; and that can be made to refuse."""

    def __init__(self, driver: ProcessDriver, images: TrappedImages, walker: Walker) -> None:
        self._driver = driver
        self._images = images
        self._walker = walker

    def __getattr__(self, name: str) -> Any:
        """Give a call of the hypervisor with points around it."""
        call = getattr(self._driver, name)
        if name in LOOKS:
            return call

        async def passing(*arguments: Any, **named: Any) -> Any:
            server = arguments[0] if isinstance(arguments[0], str) else arguments[0].server
            self._images.server = server
            if self._walker.passes(server, f"driver/{name}/before") == REFUSE:
                raise HypervisorFailed(server=server, host="", action=name, reason="so it was to be")
            result = await call(*arguments, **named)
            self._walker.passes(server, f"driver/{name}/after")
            return result

        return passing

    async def snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Read a disk, with points before, in the middle and after."""
        self._walker.passes(server, "driver/snapshot/before")
        async with aclosing(self._driver.snapshot(server)) as chunks:
            async for chunk in chunks:
                yield chunk
                self._walker.passes(server, "driver/snapshot/midway")
        self._walker.passes(server, "driver/snapshot/after")


def _where(key: Key) -> str:
    return f"{key.step}/{'undo' if key.is_undo else 'do'}"
