"""Messages of the inner level: questions and their answers, without envelopes or bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.cell_path import CellPath
    from protocol.errors import CellferryError
    from protocol.requests import Request
    from sim.faults import Fault, FaultKind
    from sim.inner.memory import Command, Reply
    from sim.inner.processes import Process


class Newest:
    """Of what one process has sent to another: when the last of it arrives, and its serial."""

    __slots__ = ("at_ns", "serial")

    def __init__(self) -> None:
        self.at_ns = self.serial = -1


class Way:
    """The way from one process to another, and what may befall a message on it."""

    __slots__ = ("back", "edges", "hazards", "newest", "source", "target")

    def __init__(self, edges: tuple[tuple[str, str], ...], newest: Newest) -> None:
        self.edges = edges  # The processes that a message passes, two by two: who hands it on, and to whom.
        self.source = edges[0][0]
        self.target = edges[-1][1]
        self.newest = newest
        self.back: Way | None = None
        self.hazards: dict[str, tuple[Hazard, ...]] = {}  # By method, of each edge; none at all: it is safe.


@attrs.frozen
class Hazard:
    """The cuts and mishaps of a plan that may befall messages of one method on one edge."""

    cuts: tuple[Fault, ...]
    mishaps: tuple[FaultKind, ...]


class Asker(Protocol):
    """Somebody who asks questions and waits for their answers."""

    process: Process
    cell: CellPath

    def take(self, question: Question, reply: Reply) -> None:
        """Take the answer to a question; one that nobody waits for any more is dropped."""
        ...

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a question went nowhere, as far as anybody knows."""
        ...

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        ...


class Parcel(Protocol):
    """What the network carries."""

    serial: int
    about: str  # Keys its chances.
    method: str
    way: Way

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for it, or for its answer."""
        ...

    def arrive(self) -> None:
        """Be handed to whom it is for."""
        ...

    def fail(self, error: CellferryError) -> None:
        """Have its sender told that it went nowhere."""
        ...


class Question:
    """A request on its way to an actor."""

    # Written out by hand: of these there are more than of anything else.
    __slots__ = (
        "about", "asker", "budget_s", "command", "epoch", "mailbox", "method", "receive", "request", "run", "serial",
        "server", "way",
    )  # fmt: skip

    def __init__(
        self, *, serial: int, about: str, way: Way, asker: Asker, mailbox: Process, receive: Callable[[Question], None],
        request: Request[Any], server: str, epoch: int, command: Command | None, budget_s: float,
    ) -> None:  # fmt: skip
        self.serial = serial
        self.about = about
        self.method = request.METHOD.name
        self.way = way
        self.asker = asker
        self.run = asker.process.run  # A later run of the asker knows nothing of it.
        self.mailbox = mailbox
        self.receive = receive
        self.request = request
        self.server = server
        self.epoch = epoch
        self.command = command  # None: it has no key.
        self.budget_s = budget_s

    @property
    def is_awaited(self) -> bool:
        """Whether its answer is waited for."""
        return self.run == self.asker.process.run and self.asker.waits_for(self)

    def arrive(self) -> None:
        """Go into the mailbox that it is for, and be read there as soon as anybody does."""
        mailbox = self.mailbox
        if mailbox.is_up and not mailbox.is_paused:
            self.receive(self)
        else:
            mailbox.keep(self.arrive)

    def fail(self, error: CellferryError) -> None:
        """Have its asker told that it went nowhere."""
        if self.run == self.asker.process.run:
            self.asker.fail(self, error)


class Answer:
    """The answer to a question, on its way back."""

    __slots__ = ("about", "method", "question", "reply", "serial", "way")

    def __init__(self, serial: int, way: Way, question: Question, reply: Reply) -> None:
        self.serial = serial
        self.about = f"re:{question.about}"
        self.method = question.method
        self.way = way
        self.question = question
        self.reply = reply

    @property
    def is_awaited(self) -> bool:
        """Whether it is waited for."""
        return self.question.is_awaited

    def arrive(self) -> None:
        """Reach whoever asked, unless he has died meanwhile: his successor did not ask."""
        question = self.question
        process = question.asker.process
        if process.run != question.run or not process.is_up:
            return
        if process.is_paused:
            process.keep(self.arrive)
        else:
            question.asker.take(question, self.reply)

    def fail(self, error: CellferryError) -> None:
        """Be lost without anybody being told: whoever asked asks again."""
