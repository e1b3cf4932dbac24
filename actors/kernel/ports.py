"""What the actors need from the world: small ports of ours, each with a memory implementation that ships."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

import attrs

from actors.kernel.metrics import Meters
from actors.kernel.traces import Traces
from protocol.cell_path import Address, CellPath
from protocol.envelope import Key
from protocol.journal import Entry, Journal
from protocol.moves.queueing import Other
from protocol.states import Goal

P = ParamSpec("P")
T = TypeVar("T")

#: A store's open transaction.  Opaque above `actors.store`: it is only handed on to the store's functions.
Connection: TypeAlias = Any


class Clock(Protocol):
    """A process's wall clock, which may drift and jump.  Waiting is anyio's."""

    def now_us(self) -> int:
        """Tell the time in microseconds since 1970."""
        ...


class Ids(Protocol):
    """A source of fresh ids."""

    def new(self) -> bytes:
        """Make 16 bytes that no other call of any process makes, rising with time."""
        ...


class Random(Protocol):
    """A source of chance."""

    def uniform(self) -> float:
        """Draw from 0 (included) to 1 (excluded)."""
        ...


class Events(Protocol):
    """What is seen of the actors from outside: the events that they tell, their figures, and the traces of calls."""

    @property
    def meters(self) -> Meters:
        """Where figures go."""
        ...

    @property
    def traces(self) -> Traces:
        """Who notes what is done for which request, and for how long."""
        ...

    def emit(self, event: str, /, **fields: object) -> None:
        """Note that `event` (one of `actors.kernel.events`) happened, with its data."""
        ...


@attrs.frozen(order=True, cache_hash=True)
class Queue:
    """A queue: the cell whose broker keeps it, and its name there (that of the mailbox it feeds)."""

    cell: CellPath
    name: str
    #: Whether it goes when the connection goes that declared it, and nobody else may read it.
    is_exclusive: bool = attrs.field(default=False, kw_only=True, eq=False, order=False)

    def __str__(self) -> str:
        return f"{self.cell}/{self.name}"


class Delivery(Protocol):
    """One frame that a queue handed to a consumer.  It must be settled once; later settlements are ignored."""

    @property
    def frame(self) -> bytes:
        """The bytes that were sent."""
        ...

    @property
    def sender(self) -> str:
        """Who has sent it, as the broker knows him; empty: the broker says nothing of that."""
        ...

    def ack(self) -> None:
        """Let the queue forget the frame: its effect is stored."""
        ...

    def reject(self, reason: str, why: str = "") -> None:
        """Put the frame among the dead letters of its queue's cell, with the reason, and in words `why`."""
        ...


Receive: TypeAlias = Callable[[Delivery], None]


@attrs.frozen(kw_only=True)
class Outage:
    """A broker that cannot be reached: since when, by the clock of waiting, and why, as far as that is known."""

    since_s: float
    reason: str


class Wire(Protocol):
    """Queues that keep frames until a consumer has settled them.

    Delivery is at least once: what was not settled when its consumer went away is delivered again.
    Frames of one sender to one queue keep their order while no consumer is lost.
    """

    async def declare(self, queue: Queue) -> None:
        """Make the queue exist (durable, or exclusive); declaring it again changes nothing."""
        ...

    async def send(self, queue: Queue, frame: bytes) -> None:
        """Return once the queue has taken the frame.

        Raises `Unroutable` when the queue does not exist, `TooLarge` over the size limit, `Overflow` when the queue
        is full, and `TransportLost` when the broker went away, in which case it may have been taken or not.
        """
        ...

    def consume(self, queue: Queue, receive: Receive, *, prefetch: int) -> AbstractAsyncContextManager[None]:
        """Hand the queue's frames to `receive` (which must not block) while the context is open.

        At most `prefetch` deliveries are unsettled at a time.  Consumers of one queue compete.
        """
        ...

    async def purge(self, queue: Queue) -> None:
        """Delete the queue with all that is in it; a missing queue is no error."""
        ...

    def outage(self, cell: CellPath) -> Outage | None:
        """Tell whether the cell's broker is away, as far as that was noticed, without asking anybody.

        The wire tries to reach it by itself for as long as it takes; what is sent there meanwhile is `TransportLost`.
        """
        ...


class Store(Protocol):
    """A database.  A transaction is a plain function of a connection and values, and may run more than once."""

    async def transact(
        self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run `work` in one serializable transaction: committed when it returns, undone when it raises.

        Raises what `work` raises, or `StoreUnavailable`.
        """
        ...


# --- exactly-once: what is kept with each effect -----------------------------------------------------------


@attrs.frozen(kw_only=True)
class Command:
    """A keyed request as an inbox keeps it."""

    key: Key
    server: str
    epoch: int
    method: str
    body: bytes


@attrs.frozen(kw_only=True)
class Fresh:
    """The command is new; of an undo: whether its execute never took effect here."""

    undoes_nothing: bool


@attrs.frozen(kw_only=True)
class Known:
    """The command was carried out before: its reply, again."""

    body: bytes
    is_error: bool


@attrs.frozen
class Accepted:
    """The command is being worked on, or was when the process died."""


Verdict: TypeAlias = Fresh | Known | Accepted


@attrs.frozen(kw_only=True)
class Outgoing:
    """A message that a transaction wants to send."""

    id: str
    target: Address
    method: str
    server: str
    body: bytes
    #: What it is news of: it takes the place of what waits and is about the same, and ranks no higher.  Empty: nothing.
    about: str = ""
    rank: int = 0
    key: Key | None = None  # For who takes it only once, and only under a key.


@attrs.frozen(kw_only=True)
class Closing:
    """The end of a conversation, as its receivers hear of it."""

    conversation: str
    server: str
    epoch: int
    lowest_open: int


class Inbox(Protocol):
    """What an actor remembers of commands.  Each method runs inside the transaction of the effect that it guards."""

    def look(self, connection: Connection, command: Command) -> Verdict:
        """Tell what is known of a command; raise `StaleEpoch`, `Superseded` or `Stale` for one that is refused."""
        ...

    def accept(self, connection: Connection, command: Command) -> None:
        """Write that a command is being worked on."""
        ...

    def settle(self, connection: Connection, command: Command, *, reply: bytes, is_error: bool) -> None:
        """Write a command's reply."""
        ...

    def unfinished(self, connection: Connection) -> tuple[Command, ...]:
        """List the commands that were accepted and never answered."""
        ...

    def close(self, connection: Connection, closing: Closing) -> None:
        """Refuse what is older for the server, forget what is behind the lowest open epoch."""
        ...

    def renounce(self, connection: Connection, epoch: int) -> None:
        """Refuse and forget everything of a lower epoch, for whichever server.

        From then on no undo is known to undo nothing: what it takes back may be among what was forgotten.
        """
        ...


@attrs.frozen(kw_only=True)
class Lease:
    """Who has a conversation from now on, and for as long as it renews the lease of all that it has."""

    conversation: str
    server: str
    owner: str


@attrs.frozen(kw_only=True)
class Holder:
    """Who has open conversations, how many, and how often it has renewed its lease; None: it has given it up."""

    owner: str
    beats: int | None
    count: int


class Journals(Protocol):
    """The journals of all conversations.  Each method runs inside a transaction of the journal's store."""

    def begin(self, connection: Connection, lease: Lease, *, goal: Goal, payload: bytes, at_us: int) -> Journal:
        """Open a conversation under the next epoch."""
        ...

    def others(self, connection: Connection, server: str, *, but: str) -> tuple[Other, ...]:
        """List the conversations that are open for a server, `but` left out."""
        ...

    def end(self, connection: Connection, conversation: str, *, cause: bytes) -> None:
        """Want a conversation to end, for this cause (a report of an error)."""
        ...

    def ends_for(self, connection: Connection, conversation: str) -> bytes | None:
        """Give the cause for which a conversation is to end, if somebody wants that."""
        ...

    def append(self, connection: Connection, conversation: str, entry: Entry) -> bytes | None:
        """Write an entry; raise `StaleEpoch` when another owner has the conversation.

        Gives the cause for which the conversation is to end, if somebody wants that.
        """
        ...

    def keep(self, connection: Connection, owner: str, *, is_first: bool = False) -> None:
        """Renew the lease of all that an owner has; for the first time, forget those of its slot's earlier lives."""
        ...

    def let_go(self, connection: Connection, owner: str) -> None:
        """Give the lease up of all that an owner has."""
        ...

    def holders(self, connection: Connection) -> tuple[Holder, ...]:
        """List who has open conversations."""
        ...

    def held_by(self, connection: Connection, owner: str) -> tuple[str, ...]:
        """List the conversations that an owner has, oldest first."""
        ...

    def take(self, connection: Connection, conversation: str, *, owner: str, holder: Holder) -> bool:
        """Take a conversation over if it is the holder's and he has not renewed his lease; tell whether it was."""
        ...

    def take_over(self, connection: Connection, conversation: str, *, owner: str) -> None:
        """Become the owner, under the next epoch."""
        ...

    def renew(self, connection: Connection, conversation: str, *, owner: str) -> int:
        """Take the next epoch for a conversation that this owner still has; raise `StaleEpoch` when it has not."""
        ...

    def park(self, connection: Connection, conversation: str, waits_for: str | None) -> None:
        """Write what a conversation waits for."""
        ...

    def read(self, connection: Connection, conversation: str) -> Journal:
        """Give a journal; raise `NotFound` when there is none."""
        ...

    def standing(self, connection: Connection, conversation: str) -> tuple[Journal, str | None]:
        """Give a journal and what its conversation waits for; raise `NotFound` when there is none."""
        ...

    def epoch(self, connection: Connection, conversation: str, *, owner: str) -> int:
        """Give the epoch a conversation is at; raise `StaleEpoch` when another owner has it."""
        ...

    def next_epoch(self, connection: Connection) -> int:
        """Take the next epoch."""
        ...

    def lowest_open(self, connection: Connection, *, but: str) -> int:
        """Give the lowest epoch of the conversations that are not closed."""
        ...

    def unswept(self, connection: Connection, lowest_open: int) -> tuple[Journal, ...]:
        """Give the closed conversations that receivers may still remember, though they need not."""
        ...

    def swept(self, connection: Connection, conversation: str) -> None:
        """Write that every receiver has forgotten a conversation."""
        ...
