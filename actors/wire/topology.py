"""What the wire's queues are called in a broker, how they are made there, and the limits that every wire keeps."""

from __future__ import annotations

import enum
import hashlib
import re
from typing import Final

import attrs

from actors.kernel.ports import Queue
from protocol.cell_path import CellPath
from protocol.errors import InvalidName

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
"""A frame may be no larger.  RabbitMQ 4 closes the channel at 16 MiB."""

MESSAGES_MAX: Final = 100_000
"""As many frames may wait in a queue; the next one is refused to its sender."""

DELIVERIES_MAX: Final = 1_000
"""A quorum queue gives a frame up to the dead letters after as many deliveries.

It is a backstop against the low default of RabbitMQ 4: what is poison is counted and decided in our own store.
"""

PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAME_BYTES_MAX: Final = 255
DIGEST_CHARS: Final = 64

#: What dead letters are called by.
DEAD_ID_BYTES: Final = 6

Arguments = dict[str, bool | int | str]


class QueueType(enum.StrEnum):
    """How a broker keeps a queue."""

    CLASSIC = "classic"  # On a single node: a fresh quorum queue there lost in a kill what it had confirmed.
    QUORUM = "quorum"  # On three nodes or more.


@attrs.frozen(kw_only=True)
class RabbitSettings:
    """How the wire treats its brokers; the defaults suit brokers at the same site."""

    queue_type: QueueType = QueueType.CLASSIC
    messages_max: int = MESSAGES_MAX
    frame_bytes_max: int = FRAME_BYTES_MAX
    window: int = 200  # So many frames may await a broker's confirm.
    deadline_s: float = 5.0  # Of each call of the library, and of the wait for a connection.
    close_s: float = 3.0
    heartbeat_s: int = 10
    ping_interval_s: float = 5.0
    pings_missed_max: int = 2
    reconnect_min_s: float = 0.25
    reconnect_max_s: float = 5.0


@attrs.frozen
class DeadLetter:
    """A frame that its consumer rejected, the queue it was in, and why."""

    queue: Queue
    frame: bytes
    reason: str
    #: The same in words.
    why: str = attrs.field(default="", eq=False)
    #: Who has sent it, as the broker knows him.
    sender: str = attrs.field(default="", eq=False)

    @property
    def id(self) -> str:
        """What it is called: the same as long as it is there."""
        return hashlib.blake2b(f"{self.queue}|".encode() + self.frame, digest_size=DEAD_ID_BYTES).hexdigest()


def dead_letter_queue(cell: CellPath) -> Queue:
    """Give the queue of a cell's dead letters; no mailbox can be called so."""
    return Queue(cell, ".dead")


def _check_prefix(_topology: object, _field: object, prefix: str) -> None:
    if PREFIX.fullmatch(prefix) is None:
        raise InvalidName(kind="prefix", text=prefix, rule=PREFIX.pattern)


@attrs.frozen
class Topology:
    """The names and the make of all queues whose names begin with `prefix`.

    A queue's name is never that of another: neither a prefix nor a cell contains `/`, and no prefix contains a dot.
    """

    prefix: str = attrs.field(validator=_check_prefix)
    queue_type: QueueType = attrs.field(default=QueueType.CLASSIC, kw_only=True)
    messages_max: int = attrs.field(default=MESSAGES_MAX, kw_only=True, validator=attrs.validators.ge(1))

    @property
    def exchange(self) -> str:
        """Name the exchange that frames are published to: the default one, whose routing keys are queue names."""
        return ""

    def name(self, queue: Queue) -> str:
        """Name a queue in its broker: `cellferry.api+eu+eu-1/host:h1`."""
        return _fit(f"{self.prefix}.{queue.cell}/{queue.name}")

    def arguments(self, queue: Queue) -> Arguments:
        """Give a queue's arguments.  All are durable or exclusive, without priorities, and refuse what overflows."""
        arguments: Arguments = {
            "x-queue-type": QueueType.CLASSIC.value if queue.is_exclusive else self.queue_type.value,
            "x-max-length": self.messages_max,
            "x-overflow": "reject-publish",
        }
        buried = dead_letter_queue(queue.cell)
        if self.queue_type is QueueType.QUORUM and not queue.is_exclusive and queue != buried:
            arguments |= {
                "x-delivery-limit": DELIVERIES_MAX,
                "x-dead-letter-exchange": self.exchange,
                "x-dead-letter-routing-key": self.name(buried),
                "x-dead-letter-strategy": "at-least-once",
            }
        return arguments


def _fit(name: str) -> str:
    """Make of a name one that the client library and the broker take, unlike any other.

    `!` is none of the characters that the library allows in it, and `+` none of those in our own names.  A name that
    is too long keeps its start, with the digest of all of it behind a sign that no other name has.
    """
    name = name.replace("!", "+")
    if len(name) <= NAME_BYTES_MAX:  # All characters are ASCII.
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: NAME_BYTES_MAX - DIGEST_CHARS - 1]}#{digest}"
