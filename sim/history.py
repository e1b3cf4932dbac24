"""What has happened in a simulated world, line by line, and the hash of it: equal hashes are equal runs.

Lines are facts, never an actor's belief: what a transaction notes becomes one when it is durable, and else never.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import attrs

from protocol.journal import Entry
from protocol.states import Goal
from sim.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sim.cases.workload import Wish


@attrs.frozen(kw_only=True)
class Happening:
    """Something that happened; `process` is who did it, or whom it befell (empty: the world)."""

    #: Its class's name and fields, and how they are written.
    fields: ClassVar[Callable[[Any], Any]]
    form: ClassVar[str]
    process: str = ""

    def __str__(self) -> str:
        """Write the happening for the trace."""
        cls = type(self)
        if "form" not in cls.__dict__:
            names = [field.name for field in attrs.fields(cls)]
            # Two fields at least: of one alone `attrgetter` would give no tuple.
            cls.fields = attrgetter("__class__.__name__", *names)
            cls.form = " ".join("%s" for _ in ("", *names))
        text: str = cls.form % cls.fields(self)
        return text


@attrs.frozen(kw_only=True)
class Line:
    """One line of a history: its number, when it was written (virtual ns), and what happened."""

    number: int
    at_ns: int
    what: Happening


# --- processes ---------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Started(Happening):
    """A process was started, for the `run`-th time."""

    run: int


@attrs.frozen(kw_only=True)
class Crashed(Happening):
    """A process was killed."""


@attrs.frozen(kw_only=True)
class Paused(Happening):
    """A process stands still."""


@attrs.frozen(kw_only=True)
class Resumed(Happening):
    """A process goes on."""


@attrs.frozen(kw_only=True)
class Noted(Happening):
    """An actor counted or logged something (its `Events` port)."""

    event: str
    detail: str


# --- the wire ----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Note:
    """An envelope at a glance.  `kind`: call, cast, gather, spread or answer."""

    id: str
    kind: str
    method: str
    source: str
    target: str  # Of a broadcast: its direction.
    route: tuple[str, ...]
    hops_max: int
    server: str
    key: str  # Empty: none.
    epoch: int
    answers: str = ""
    is_error: bool = False


@attrs.frozen(kw_only=True)
class Sent(Happening):
    """A process put a frame into a queue.  `queue` is `cell/name`."""

    queue: str
    frame: int
    notes: tuple[Note, ...]


@attrs.frozen(kw_only=True)
class Handed(Happening):
    """A queue handed a frame to a process; `copy` counts how often this frame was handed out."""

    queue: str
    frame: int
    copy: int
    notes: tuple[Note, ...]


@attrs.frozen(kw_only=True)
class Settled(Happening):
    """A process acknowledged a frame, or (with a reason) rejected it to the dead letters."""

    queue: str
    frame: int
    reason: str = ""


@attrs.frozen(kw_only=True)
class Lost(Happening):
    """A frame is gone that nobody settled (a broker's data, a fault)."""

    queue: str
    frame: int
    why: str


@attrs.frozen(kw_only=True)
class Broker(Happening):
    """A cell's broker went `down`, came `up`, or was `wiped`."""

    cell: str
    state: str


# --- exactly-once ------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Looked(Happening):
    """An actor was asked to carry out a keyed command.  Verdict: fresh, known, accepted, or the refusal's code."""

    key: str
    server: str
    epoch: int
    method: str
    verdict: str


@attrs.frozen(kw_only=True)
class Begun(Happening):
    """An actor has durably accepted a command that it works on now."""

    key: str
    server: str
    epoch: int
    method: str


@attrs.frozen(kw_only=True)
class Carried(Happening):
    """An actor has durably carried out a command, with this reply (a digest of it)."""

    key: str
    server: str
    epoch: int
    method: str
    reply: str
    is_error: bool


@attrs.frozen(kw_only=True)
class Closed(Happening):
    """An actor was told that a conversation is over, and which epochs it may forget."""

    conversation: str
    server: str
    epoch: int
    lowest_open: int


@attrs.frozen(kw_only=True)
class Renounced(Happening):
    """A host whose fence is lifted has forgotten what it was told under lower epochs, and refuses it from now on."""

    epoch: int


@attrs.frozen(kw_only=True)
class Journaled(Happening):
    """A conductor has durably written an entry to a conversation's journal."""

    conversation: str
    server: str
    goal: Goal
    entry: Entry


@attrs.frozen(kw_only=True)
class TakenOver(Happening):
    """A conductor has durably become the owner of a conversation, under this epoch."""

    conversation: str
    epoch: int


@attrs.frozen(kw_only=True)
class Flushed(Happening):
    """A store made so many transactions durable."""

    transactions: int


@attrs.frozen(kw_only=True)
class Undone(Happening):
    """A crash undid so many transactions that were not durable yet."""

    transactions: int


# --- the world outside -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Called(Happening):
    """A hypervisor, image store or volume store was called.  `where`: the host, `image` or `volume`."""

    where: str
    call: str
    about: str  # The server, image or volume.
    error: str = ""  # The error's code, when it failed.


@attrs.frozen(kw_only=True)
class Calling(Happening):
    """A hypervisor is about to do what it was called for, and is asked by somebody who still lives."""

    where: str
    call: str
    about: str


@attrs.frozen(kw_only=True)
class GuestOn(Happening):
    """A guest began to run on a host, by a permit."""

    host: str
    server: str
    permit: int


@attrs.frozen(kw_only=True)
class GuestOff(Happening):
    """A guest stopped running on a host."""

    host: str
    server: str


# --- users, and what the simulator itself does -------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Ordered(Happening):
    """A user placed an order, the `number`-th of the run, or asked for a change of a record."""

    number: int
    order: Wish


@attrs.frozen(kw_only=True)
class Answered(Happening):
    """A user was told the conversation that carries his order out, an error's code, or neither: a change is done."""

    number: int
    conversation: str = ""
    error: str = ""


@attrs.frozen(kw_only=True)
class Fired(Happening):
    """A fault of the plan struck."""

    fault: Fault
    mattered: bool
    text: str


@attrs.frozen(kw_only=True)
class Phase(Happening):
    """The run enters a phase: setup, faults, healed or rest."""

    name: str


@attrs.frozen(kw_only=True)
class Broken(Happening):
    """An invariant or oracle was found not to hold."""

    invariant: str
    subject: str
    detail: str


Listener: TypeAlias = "Callable[[Line], None]"
HASHED_TOGETHER: Final = 128
"""So many lines are hashed at once."""


class Holding:
    """Holds back, while it is open, what is recorded in a history."""

    __slots__ = ("_before", "_history")

    def __init__(self, history: History) -> None:
        self._history = history
        self._before: list[Happening] | None = None

    def __enter__(self) -> list[Happening]:
        held: list[Happening] = []
        self._before, self._history.held = self._history.held, held
        return held

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._history.held = self._before


class History:
    """The lines so far, their hash, and who listens to them."""

    def __init__(self, now_ns: Callable[[], int], *, steps: Callable[[], int] = lambda: 0) -> None:
        """Begin; `steps` counts the event loop's steps, so that the hash tells one schedule from another."""
        self.now_ns = now_ns
        self._steps = steps
        self.lines: list[Line] = []
        self.listeners: list[Listener] = []
        self.probes: Counter[str] = Counter()
        self._by_kind: dict[type[Happening], list[Listener]] = {}
        self._hash = hashlib.sha256()
        self._unhashed: list[tuple[Line, int]] = []  # With the loop's step: written out only for who asks for the hash.
        self.held: list[Happening] | None = None

    @property
    def sha256(self) -> str:
        """The hash of all lines so far."""
        self._hash_lines()
        return self._hash.hexdigest()

    def listen(self, listener: Listener, *kinds: type[Happening]) -> None:
        """Have a listener hear only lines of these very classes, before those that hear all."""
        for kind in kinds:
            self._by_kind.setdefault(kind, []).append(listener)

    def record(self, what: Happening) -> None:
        """Write a line, or within a transaction hold it until the transaction is durable."""
        if self.held is not None:
            self.held.append(what)
            return
        line = Line(number=len(self.lines), at_ns=self.now_ns(), what=what)
        self.lines.append(line)
        self._unhashed.append((line, self._steps()))
        for listener in self._by_kind.get(type(what), ()):
            listener(line)
        for listener in self.listeners:
            listener(line)

    def _hash_lines(self) -> None:
        unhashed, self._unhashed = self._unhashed, []
        for some in range(0, len(unhashed), HASHED_TOGETHER):
            lines = unhashed[some : some + HASHED_TOGETHER]
            self._hash.update("".join([f"{line.at_ns} {steps} {line.what}\n" for line, steps in lines]).encode())

    def transaction(self) -> Holding:
        """Hold what is recorded in the context, and give it; whoever made it durable records it then."""
        return Holding(self)

    def reach(self, probe: str) -> None:
        """Count that a probe was reached."""
        self.probes[probe] += 1
