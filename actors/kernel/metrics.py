"""Every figure that a process gives to who watches it, and the port by which actors give them.

The list is closed, and `docs/reference/metrics.md` is written from it.  No label names a server, a host of guests or a
user: what a label may be is bounded by the code or by the tree of cells.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import attrs

from protocol.methods import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: What labels a reading has, and what it is.
Readings: TypeAlias = "Mapping[tuple[str, ...], float]"

#: Where the buckets of a histogram of seconds end: from a look into memory to a disk that travels.
SECONDS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)


class Kind(StrEnum):
    """What a figure does: it only grows, it goes up and down, or it tells how values are spread."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@attrs.frozen(eq=False)  # Each is there once, and looked up at every message.
class Metric:
    """One figure, by Prometheus' conventions: base units, and `_total` behind what only grows."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str  # Seconds, or what is counted.
    help: str


class Meters(Protocol):
    """Where figures go.  Labels are given in the order of the metric's declaration."""

    def add(self, metric: Metric, /, *labels: str) -> None:
        """Count one more."""
        ...

    def observe(self, metric: Metric, value: float, /, *labels: str) -> None:
        """Enter a value into a histogram."""
        ...

    def tell(self, metric: Metric, readings: Readings, /) -> None:
        """Say what a gauge is from now on; what it was with other labels is void."""
        ...

    def watch(self, metric: Metric, read: Callable[[], Readings], /) -> Callable[[], None]:
        """Have a gauge read when it is asked for, until what this gives is called.  Several readings add up."""
        ...


class NoMeters:
    """Meters that nobody reads: for simulators, and for who only speaks to a deployment."""

    def add(self, metric: Metric, /, *labels: str) -> None:
        """Forget it."""

    def observe(self, metric: Metric, value: float, /, *labels: str) -> None:
        """Forget it."""

    def tell(self, metric: Metric, readings: Readings, /) -> None:
        """Forget it."""

    def watch(self, metric: Metric, read: Callable[[], Readings], /) -> Callable[[], None]:  # noqa: ARG002 - the port's
        """Never read it."""
        return _nothing


def _nothing() -> None:
    return None


NO_METERS: Final = NoMeters()

#: What each label says.
LABELS: Final[dict[str, str]] = {
    "cell": "path of a cell",
    "event": "name of an [event](logs.md)",
    "goal": "what the conversation is to bring about, such as `resize` or `confirm`",
    "method": "name of a [method](methods.md); `other` for what is none",
    "neighbour": "path of the cell at the other end of the link",
    "outcome": "how it ended",
    "process": "role, cell and replica of the process",
    "reason": "code of an [error](errors.md), or reason of a [dead letter](../how-to/read-dead-letters.md)",
    "role": "kind of actor: `cell`, `host`, `link`, `conductor`, `image`, `volume`, `network` or `client`",
    "state": "how it stands",
    "step": "name of a [step](steps.md)",
    "store": "`sqlite` or `postgresql`",
    "version": "version of cellferry",
    "way": "`execute` or `undo`",
}


def _counter(name: str, *labels: str, unit: str, means: str) -> Metric:
    return Metric(f"cellferry_{name}_total", Kind.COUNTER, labels, unit, means)


def _gauge(name: str, *labels: str, unit: str, means: str) -> Metric:
    return Metric(f"cellferry_{name}", Kind.GAUGE, labels, unit, means)


def _seconds(name: str, *labels: str, means: str) -> Metric:
    return Metric(f"cellferry_{name}_duration_seconds", Kind.HISTOGRAM, labels, "seconds", means)


# --- messages and calls

ENVELOPES_SENT: Final = _counter(
    "envelopes_sent", "role", "method", unit="envelopes", means="Envelopes that an actor or router put into a queue."
)
ENVELOPES_RECEIVED: Final = _counter(
    "envelopes_received", "role", "method", unit="envelopes",
    means="Envelopes that an actor or router took from its queue, doubled ones included.",
)  # fmt: skip
ENVELOPES_REFUSED: Final = _counter(
    "envelopes_refused", "method", "reason", unit="envelopes",
    means="Requests that were answered with an error, and what could not be passed on.",
)  # fmt: skip
DEAD_LETTERS: Final = _counter("dead_letters", "reason", unit="frames", means="Frames put among the dead letters.")
CALLS: Final = _seconds(
    "call", "method", "outcome",
    means="Calls, by the caller's clock: `answered`, `refused` (with an error), `timeout`, or `failed` (not sent).",
)  # fmt: skip
CALLS_PENDING: Final = _gauge("calls_pending", "role", unit="calls", means="Calls that wait for their answers.")
HANDLERS: Final = _seconds(
    "handler", "method", "outcome", means="What an actor takes to carry a message out: `done`, or `refused`."
)
MAILBOX_LETTERS: Final = _gauge(
    "mailbox_letters", "role", unit="letters",
    means="Messages taken from the queue and not carried out; from 1,024 on a mailbox takes no more.",
)  # fmt: skip

# --- exactly once

OUTBOX_ROWS: Final = _gauge(
    "outbox_rows", "cell", unit="rows", means="News that waits to be sent; of what waits 64 rows are looked at."
)
OUTBOX_LAG: Final = _gauge(
    "outbox_lag_seconds", "cell", unit="seconds", means="For how long the first row of the outbox could not be sent."
)
INBOX_ROWS: Final = _gauge("inbox_rows", "role", unit="rows", means="Commands that are remembered with their replies.")
INBOX_UNFINISHED: Final = _gauge(
    "inbox_unfinished", "role", unit="rows", means="Commands that were accepted and are not answered yet."
)
PERMITS: Final = _gauge(
    "permits", "state", unit="permits", means="The root's permits to run guests: `held` by a host, or `returned`."
)

# --- conversations

STEPS: Final = _seconds(
    "step", "step", "way", "outcome",
    means="Steps of conversations, from the first try to the outcome: `done`, `refused`, or `ended` by another order.",
)  # fmt: skip
STEP_RETRIES: Final = _counter(
    "step_retries", "step", "way", unit="tries", means="Tries of steps after the first, since the outcome was unknown."
)
CONVERSATIONS: Final = _seconds(
    "conversation", "goal", "outcome",
    means="Conversations, from the order to their outcome (`done`, or `undone`), as the journal has it.",
)  # fmt: skip
CONVERSATIONS_OPEN: Final = _gauge(
    "conversations_open", "goal", "state", unit="conversations",
    means="Moves and others in flight: `under_way`, `parked` (says what it waits for), `closing` (the outcome stands).",
)  # fmt: skip
JOURNAL_LAG: Final = _gauge(
    "journal_lag_seconds",
    unit="seconds",
    means="How long ago the open conversation that has stood still longest wrote its last entry; 0: none is open.",
)
JOURNAL_UNSWEPT: Final = _gauge(
    "journal_unswept", unit="conversations", means="Conversations that are over and that receivers still remember."
)
TAKEOVERS: Final = _counter(
    "takeovers", unit="conversations", means="Conversations that a conductor took over from another one."
)

# --- the tree and its brokers

LINK_UP: Final = _gauge("link_up", "cell", "neighbour", unit="1 or 0", means="Whether a cell can send to a neighbour.")
CHILDREN_MUTE: Final = _gauge(
    "children_mute", "cell", unit="cells", means="Children that have said nothing for `mute_child_s`."
)
BROKER_UP: Final = _gauge(
    "broker_up", "cell", unit="1 or 0", means="Whether the broker of a cell that this process serves is connected."
)
BROKER_CONNECTS: Final = _counter("broker_connects", unit="connections", means="Connections made to brokers.")
BROKER_LOSSES: Final = _counter(
    "broker_losses", unit="connections", means="Connections to brokers that were lost, or could not be made."
)

# --- stores and hosts

TRANSACTIONS: Final = _seconds(
    "store_transaction", "store", "outcome",
    means="Transactions, waiting included: `committed`, `undone` (its work raised), or `unavailable`.",
)  # fmt: skip
GUESTS: Final = _gauge(
    "guests", "state", unit="guests",
    means="Guests of this process's hosts: `running`, `paused`, `suspended`, `shutdown`, or `undefined` (a disk only).",
)  # fmt: skip

# --- the process itself

EVENTS_TOLD: Final = _counter("events", "event", unit="events", means="Events, whether or not the log shows them.")
ACTORS: Final = _gauge(
    "actors", "state", unit="actors",
    means="Actors and routers of this process: `up` (take messages), `down` (to be started again), `gone` (for good).",
)  # fmt: skip
RESTARTS: Final = _counter("actor_restarts", unit="restarts", means="Actors that died and were to be started again.")
LOOP_LAG: Final = _gauge(
    "event_loop_lag_seconds",
    unit="seconds",
    means="By how much the event loop was late at its last beat.",
)
SAMPLE_AGE: Final = _gauge(
    "sample_age_seconds",
    unit="seconds",
    means="How old the figures are that are counted now and then: of inboxes, journals, permits and guests.",
)
PROCESS: Final = _gauge("process_info", "process", "version", unit="1", means="What this process is.")

METRICS: Final[dict[str, Metric]] = {
    value.name: value for value in tuple(globals().values()) if isinstance(value, Metric)
}

#: Events that are figures of their own, each with the fields that become its labels.
COUNTED: Final[dict[str, tuple[Metric, tuple[str, ...]]]] = {
    "dead_letter": (DEAD_LETTERS, ("reason",)),
    "conversation_taken": (TAKEOVERS, ()),
    "broker_connected": (BROKER_CONNECTS, ()),
    "broker_lost": (BROKER_LOSSES, ()),
    "child_died": (RESTARTS, ()),
}


#: What a method is counted as that is none: whoever sends may call it anything, and labels are bounded.
OTHER: Final = "other"


def known_method(method: str) -> str:
    """Give the name of a method for a label."""
    return method if method in METHODS else OTHER


@contextmanager
def watched(meters: Meters, metric: Metric, read: Callable[[], Readings]) -> Iterator[None]:
    """Have a gauge read while the context is open."""
    stop = meters.watch(metric, read)
    try:
        yield
    finally:
        stop()


def role_of(mailbox: str) -> str:
    """Name the kind of actor that reads a mailbox."""
    return mailbox.partition(":")[0]
