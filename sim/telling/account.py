"""What a history tells, put together: which conversation asked whom for what, what became of it, and what befell whom.

The story and the diagrams are both told from this.  It is read off the lines alone, of either level of the simulator:
without lines of the wire an exchange is known by what the journal and its receiver wrote.
"""

import re
from collections.abc import Iterable
from typing import Final

import attrs

from protocol.bodies import decode_body
from protocol.envelope import Key
from protocol.errors import CellferryError, ErrorReport
from protocol.journal import Ending, Entry, Kind
from protocol.states import Goal
from sim.faults import Fault
from sim.history import (
    Answered,
    Begun,
    Broken,
    Called,
    Carried,
    Crashed,
    Fired,
    GuestOff,
    GuestOn,
    Handed,
    Journaled,
    Line,
    Looked,
    Lost,
    Note,
    Ordered,
    Paused,
    Phase,
    Resumed,
    Sent,
    Started,
    TakenOver,
)

NS_PER_S: Final = 1_000_000_000
#: A key of a conversation's step, with the method in front where there is one.
KEY: Final = re.compile(r"(?:\b[a-z_]+ )?[0-9a-f-]{36}:\d+:(?P<step>[a-z_]+):(?P<way>execute|undo)")
#: What a fault says that has befallen a frame.
BEFALLEN: Final = re.compile(
    r"(?P<about>.+?)(?P<answer> answer)? from (?P<sender>\S+) to (?P<queue>\S+): (?P<kind>[a-z_]+)"
)
#: How the inner level writes that something is an answer.
ANSWERS: Final = "re:"
FAULT_PHASE: Final = "faults"


@attrs.frozen(kw_only=True)
class Arrival:
    """A message was handed to whom it was for."""

    process: str
    line: Line
    is_again: bool  # The same frame as before: its receiver had not settled it.


@attrs.define(kw_only=True)
class Message:
    """An envelope on its way from its sender to its receiver; what passes it on in between is left out."""

    note: Note
    sender: str
    line: Line
    arrivals: list[Arrival] = attrs.field(factory=list)
    lost: Line | None = None


@attrs.define(kw_only=True)
class Exchange:
    """One step of a conversation, or its undo: what was intended, said, done, and noted."""

    conversation: str
    server: str
    goal: Goal
    step: str
    attempt: int
    is_undo: bool
    line: Line
    commands: list[Message] = attrs.field(factory=list)
    answers: list[Message] = attrs.field(factory=list)
    looks: list[Line] = attrs.field(factory=list)
    effects: list[Line] = attrs.field(factory=list)  # Of Begun and Carried.
    outcome: Line | None = None

    @property
    def name(self) -> str:
        """Name it for people."""
        attempt = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"{'undo: ' if self.is_undo else ''}{self.step}{attempt}"

    @property
    def error(self) -> str:
        """Give the refusal's code that the journal holds, if it holds one."""
        entry = _entry(self.outcome)
        return _error_of(entry) if entry is not None and entry.kind is Kind.REFUSED else ""

    @property
    def epoch(self) -> int:
        """Give the epoch under which it was intended."""
        entry = _entry(self.line)
        return entry.epoch if entry else 0

    @property
    def is_plain(self) -> bool:
        """Tell whether all went as it does on a good day: asked once, done once, answered."""
        verdicts = {line.what.verdict for line in self.looks if isinstance(line.what, Looked)}
        said = [message for message in (*self.commands, *self.answers) if message.lost or len(message.arrivals) > 1]
        is_once = len(self.commands) <= 1 and len(self.answers) <= 1 and not said
        return is_once and self.outcome is not None and not self.error and not self.is_undo and verdicts <= {"fresh"}


@attrs.define(kw_only=True)
class Conversation:
    """What carries an order out."""

    id: str
    server: str
    goal: Goal
    line: Line
    entries: list[Line] = attrs.field(factory=list)
    takeovers: list[Line] = attrs.field(factory=list)

    def ended(self) -> tuple[Line, Ending] | None:
        """Tell when and how it came to its outcome, if it has."""
        for line in self.entries:
            entry = _entry(line)
            if entry is not None and entry.kind is Kind.END:
                return line, decode_body(entry.payload, Ending)
        return None

    def is_open_at(self, number: int) -> bool:
        """Tell whether it was under way when the line of that number was written."""
        over = (line.number for line in self.entries if (entry := _entry(line)) and entry.kind is Kind.RELEASED)
        return self.line.number <= number < next(over, number + 1)


@attrs.define(kw_only=True)
class Spell:
    """Something that lasted: a process down or standing still, a guest running."""

    kind: str  # down, paused or guest.
    place: str  # The process, or of a guest its host.
    begin: Line
    end: Line | None = None
    server: str = ""
    permit: int = 0


@attrs.define
class Account:
    """All of it."""

    lines: tuple[Line, ...]
    conversations: dict[str, Conversation] = attrs.field(factory=dict)
    exchanges: list[Exchange] = attrs.field(factory=list)
    orders: list[tuple[Line, Line | None]] = attrs.field(factory=list)
    spells: list[Spell] = attrs.field(factory=list)
    fired: list[Line] = attrs.field(factory=list)
    failed_calls: list[Line] = attrs.field(factory=list)
    broken: list[Line] = attrs.field(factory=list)
    zero_ns: int = 0

    @property
    def servers(self) -> tuple[str, ...]:
        """Name every server that the history speaks of."""
        ordered = [line.what.order.server for line, _ in self.orders if isinstance(line.what, Ordered)]
        talked = [conversation.server for conversation in self.conversations.values()]
        return tuple(dict.fromkeys([*ordered, *talked]))

    def seconds(self, line: Line) -> float:
        """Tell when a line was written, in seconds from the begin of the fault phase, as the faults' own times are."""
        return (line.at_ns - self.zero_ns) / NS_PER_S


def error_code(payload: bytes) -> str:
    """Read the code of a refusal; `?` where the payload is none."""
    try:
        return decode_body(payload, ErrorReport).code
    except CellferryError:
        return "?"


def _error_of(entry: Entry) -> str:
    return error_code(entry.payload)


def _entry(line: Line | None) -> Entry | None:
    return line.what.entry if line is not None and isinstance(line.what, Journaled) else None


def give_account(lines: Iterable[Line]) -> Account:
    """Put together what the lines tell."""
    return _Reader(tuple(lines)).read()


class _Reader:
    """Goes through the lines once."""

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self._account = Account(lines)
        self._exchanges: dict[tuple[str, int, str, bool], Exchange] = {}
        self._messages: dict[str, Message] = {}  # By the envelope's id.
        self._frames: dict[int, tuple[Note, ...]] = {}
        self._spells: dict[tuple[str, str, str], Spell] = {}
        self._placed: dict[int, int] = {}

    def read(self) -> Account:
        """Read all lines."""
        for line in self._account.lines:
            self._read(line)
        return self._account

    def _read(self, line: Line) -> None:
        match line.what:
            case Journaled():
                self._journaled(line, line.what)
            case TakenOver(conversation=id_):
                if conversation := self._account.conversations.get(id_):
                    conversation.takeovers.append(line)
            case Sent() | Handed() | Lost():
                self._on_the_wire(line, line.what)
            case Looked(key=key) | Begun(key=key) | Carried(key=key):
                self._at_receiver(line, key)
            case Ordered() | Answered():
                self._by_users(line, line.what)
            case Started() | Crashed() | Paused() | Resumed() | GuestOn() | GuestOff():
                self._spell(line)
            case _:
                self._rest(line)

    def _rest(self, line: Line) -> None:
        match line.what:
            case Fired():
                self._account.fired.append(line)
            case Called(error=error) if error:
                self._account.failed_calls.append(line)
            case Broken():
                self._account.broken.append(line)
            case Phase(name=name) if name == FAULT_PHASE:
                self._account.zero_ns = line.at_ns
            case _:
                pass

    # --- conversations -----------------------------------------------------------------------------------------

    def _journaled(self, line: Line, what: Journaled) -> None:
        conversation = self._account.conversations.get(what.conversation)
        if conversation is None:
            conversation = Conversation(id=what.conversation, server=what.server, goal=what.goal, line=line)
            self._account.conversations[what.conversation] = conversation
        conversation.entries.append(line)
        entry = what.entry
        if not entry.step:
            return
        exchange = self._exchanges.get((what.conversation, entry.attempt, entry.step, entry.is_undo))
        if exchange is None:
            exchange = Exchange(
                conversation=what.conversation, server=what.server, goal=what.goal, step=entry.step,
                attempt=entry.attempt, is_undo=entry.is_undo, line=line,
            )  # fmt: skip
            self._exchanges[what.conversation, entry.attempt, entry.step, entry.is_undo] = exchange
            self._account.exchanges.append(exchange)
        if entry.kind in {Kind.DONE, Kind.REFUSED}:
            exchange.outcome = line

    def _exchange(self, key: str) -> Exchange | None:
        try:
            parsed = Key.parse(key) if key else None
        except CellferryError:
            return None
        return self._exchanges.get((parsed.scope, parsed.attempt, parsed.step, parsed.is_undo)) if parsed else None

    # --- the wire ----------------------------------------------------------------------------------------------

    def _on_the_wire(self, line: Line, what: Sent | Handed | Lost) -> None:
        match what:
            case Sent(frame=frame, notes=notes):
                self._frames[frame] = notes
                for note in notes:
                    self._sent(line, note)
            case Handed(notes=notes):
                for note in notes:
                    self._handed(line, what, note)
            case Lost(frame=frame):
                for note in self._frames.get(frame, ()):
                    if message := self._messages.get(note.id):
                        message.lost = line

    def _sent(self, line: Line, note: Note) -> None:
        if note.id in self._messages:
            return
        message = Message(note=note, sender=line.what.process, line=line)
        self._messages[note.id] = message
        if exchange := self._exchange(note.key):
            (exchange.answers if note.answers else exchange.commands).append(message)

    def _handed(self, line: Line, what: Handed, note: Note) -> None:
        message = self._messages.get(note.id)
        if message is not None and is_for(note.target, what.process):
            arrival = Arrival(process=what.process, line=line, is_again=what.copy > 1)
            message.arrivals.append(arrival)

    def _at_receiver(self, line: Line, key: str) -> None:
        if exchange := self._exchange(key):
            (exchange.looks if isinstance(line.what, Looked) else exchange.effects).append(line)

    # --- users, processes and guests ---------------------------------------------------------------------------

    def _by_users(self, line: Line, what: Ordered | Answered) -> None:
        orders = self._account.orders
        if isinstance(what, Ordered):
            self._placed[what.number] = len(orders)
            orders.append((line, None))
        elif (place := self._placed.get(what.number)) is not None:
            orders[place] = (orders[place][0], line)

    def _spell(self, line: Line) -> None:
        process = line.what.process
        match line.what:
            case Crashed():
                self._end(line, "paused", process)
                self._begin(line, "down", process)
            case Started():
                self._end(line, "down", process)
            case Paused():
                self._begin(line, "paused", process)
            case Resumed():
                self._end(line, "paused", process)
            case GuestOn(host=host, server=server, permit=permit):
                self._begin(line, "guest", host, server=server, permit=permit)
            case GuestOff(host=host, server=server):
                self._end(line, "guest", host, server=server)
            case _:
                pass

    def _begin(self, line: Line, kind: str, place: str, *, server: str = "", permit: int = 0) -> None:
        spell = Spell(kind=kind, place=place, begin=line, server=server, permit=permit)
        self._spells[kind, place, server] = spell
        self._account.spells.append(spell)

    def _end(self, line: Line, kind: str, place: str, *, server: str = "") -> None:
        if spell := self._spells.pop((kind, place, server), None):
            spell.end = line


def in_plain_words(fault: Fault, text: str) -> str:
    """Tell what a fault did without the names that only programs give: keys, ids and reply queues."""
    text = text.removeprefix(f"{fault.kind} {fault.name}: ") if text == str(fault) else text
    told = BEFALLEN.fullmatch(text)
    if told is None:
        return KEY.sub(_step_of, text)
    is_answer = told["answer"] or told["about"].startswith(ANSWERS)
    about = KEY.sub(_step_of, told["about"].removeprefix(ANSWERS))
    what = f"the answer to {about}" if is_answer else about
    return f"{fault.kind}: {what}, from {told['sender']} to {_process(told['queue'])}"


def _process(queue: str) -> str:
    cell, _, mailbox = queue.partition("/")
    return f"{cell}/{mailbox.removeprefix('replies:').rpartition(':')[0]}" if mailbox.startswith("replies:") else queue


def _step_of(key: re.Match[str]) -> str:
    return f"{'the undo of ' if key['way'] == 'undo' else ''}{key['step']}"


def is_for(target: str, process: str) -> bool:
    """Tell whether a process is the one that an address names: `api/replies:conductor:0` is the conductor's."""
    cell, _, mailbox = target.partition("/")
    if mailbox.startswith("replies:"):
        mailbox = mailbox.removeprefix("replies:").rpartition(":")[0]
    # A second conductor, which took over, is called like the first with a number behind.
    return process.partition("~")[0] == f"{cell}/{mailbox}"
