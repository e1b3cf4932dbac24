"""One actor over memory ports, whose requests are made up, and a caller beside it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import attrs

from actors.kernel.actor import Actor
from actors.kernel.handlers import Ensuring, Handler
from actors.kernel.ports import Connection, Queue
from actors.kernel.post import Post, Stamp
from actors.ops.events import MemoryEvents
from actors.store.inbox import SqlInbox
from actors.store.records import load, save
from actors.store.sqlite import open_inline
from actors.store.tables import HOST_TABLES
from actors.store.truth import memory
from actors.wire.memory import MemoryWire
from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath, replies_of
from protocol.codec import encode, encode_frame
from protocol.draft import Changes, need
from protocol.effects.registry import Moment
from protocol.envelope import Envelope, Key, Targeted
from protocol.errors import CellferryError
from protocol.records import HeldPermit
from protocol.requests import Close, Done, Method, Request, Role
from protocol.truth import Memory
from sim.ports import SerialIds, VirtualClock

CELL: Final = CellPath.parse("api!eu")
ACTOR: Final = Address(CELL, "host:h1")
QUEUE: Final = Queue(CELL, "host:h1")


@attrs.frozen(kw_only=True)
class Counted:
    """How often something was done to a server."""

    number: int


@attrs.frozen(kw_only=True)
class Count(Request[Counted]):
    """Do something to a server that its store can count."""

    METHOD = Method(name="count", at=Role.HOST)

    server: str = "s1"


@attrs.frozen(kw_only=True)
class Uncount(Request[Done]):
    """Undo of `Count`."""

    METHOD = Method(name="uncount", at=Role.HOST)

    server: str = "s1"


@attrs.frozen(kw_only=True)
class Pull(Request[Counted]):
    """Do something that takes its time to something outside."""

    METHOD = Method(name="pull", at=Role.HOST)

    server: str = "s1"


@attrs.frozen(kw_only=True)
class Push(Request[Done]):
    """Undo of `Pull`."""

    METHOD = Method(name="push", at=Role.HOST)

    server: str = "s1"


@attrs.frozen(kw_only=True)
class Slow(Request[Done]):
    """Take ten seconds."""

    METHOD = Method(name="slow", at=Role.HOST)

    server: str = "s1"


class Sleeper:
    """The handler of `Slow`, which knows how often it began and ended."""

    def __init__(self) -> None:
        self.runs = self.ended = 0
        self.handler = Ensuring(request=Slow, ensure=self.ensure)

    async def ensure(self, _request: Slow, _moment: Moment) -> Done:
        """Sleep."""
        self.runs += 1
        await anyio.sleep(10)
        self.ended += 1
        return Done()


def count(connection: Connection, request: Count, _moment: Moment) -> Counted:
    """Count in the transaction."""
    counted = counts(connection, request.server) + 1
    save(connection, Changes(puts=(HeldPermit(server=request.server, number=counted),)))
    return Counted(number=counted)


def counts(connection: Connection, server: str) -> int:
    """Tell how far a server was counted."""
    [*rows] = load(connection, (need(HeldPermit, server=server),))
    return next((row.number or 0 for row in rows if isinstance(row, HeldPermit)), 0)


class Rig:
    """The ports, and what is made of them."""

    def __init__(self, wire: MemoryWire | None = None) -> None:
        self.wire = wire or MemoryWire()
        self.ids = SerialIds()
        self.events = MemoryEvents()
        self.store = open_inline(HOST_TABLES)

    def post(self, mailbox: str, cell: CellPath = CELL) -> Post:
        """Make an actor's way to all others."""
        return Post(
            me=Address(cell, mailbox),
            replies=replies_of(mailbox, "0"),
            wire=self.wire,
            ids=self.ids,
            events=self.events,
        )

    @asynccontextmanager
    async def serving(
        self, *handlers: Handler, background: tuple[Callable[[], Any], ...] = ()
    ) -> AsyncIterator[tuple[Actor, Post]]:
        """Run the actor, and give a caller; leaving kills both."""
        post, caller = self.post("host:h1"), self.post("client")
        actor = self.actor(post, *handlers, background=background)
        async with post.open(), caller.open(), anyio.create_task_group() as tasks:
            await tasks.start(actor.run)
            yield actor, caller
            tasks.cancel_scope.cancel()

    def actor(self, post: Post, *handlers: Handler, background: tuple[Callable[[], Any], ...] = ()) -> Actor:
        """Make the actor."""
        return Actor(
            post=post, store=self.store, inbox=SqlInbox(), clock=VirtualClock(), handlers=handlers,
            background=background,
        )  # fmt: skip

    async def counted(self, server: str = "s1") -> int:
        """Tell how far a server was counted."""
        return await self.store.transact(counts, server)

    async def memory(self) -> Memory:
        """Tell what the actor remembers."""
        return await self.store.transact(memory, str(ACTOR))

    async def frame(self, *parts: Envelope | bytes, queue: Queue = QUEUE) -> None:
        """Send a frame of envelopes, and of bytes that are none."""
        await self.wire.send(queue, encode_frame([part if isinstance(part, bytes) else encode(part) for part in parts]))

    def dead(self, cell: CellPath = CELL) -> list[str]:
        """Tell why frames were rejected."""
        return [letter.reason for letter in self.wire.dead_letters(cell)]


def key(step: str = "do", *, attempt: int = 1, is_undo: bool = False) -> Key:
    """Name a step of a conversation."""
    return Key(scope="c1", attempt=attempt, step=step, is_undo=is_undo)


def stamp(step: str = "do", *, epoch: int = 1, is_undo: bool = False, server: str = "s1") -> Stamp:
    """Stamp a step's command."""
    return Stamp(server=server, key=key(step, is_undo=is_undo), epoch=epoch)


def asked(caller: Post, request: Request[Any], by: Stamp, *, budget_s: float = 30.0) -> Targeted:
    """Make the envelope of a call to the actor."""
    return caller.targeted(ACTOR, type(request).METHOD.name, encode_body(request), stamp=by, budget_s=budget_s)


async def refusal(caller: Post, request: Request[Any], by: Stamp) -> CellferryError:
    """Call, and give the error."""
    try:
        reply = await caller.call(ACTOR, request, stamp=by)
    except CellferryError as error:
        return error
    raise AssertionError(f"not refused: {reply}")


def close(*, lowest_open: int, conversation: str = "c1") -> Close:
    """End a conversation."""
    return Close(server="s1", conversation=conversation, lowest_open=lowest_open)
