"""What all oracles need to know of a history: its conversations, as their durable journals tell them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import attrs

from protocol.cell_path import MAILBOX_SEPARATOR
from protocol.journal import Ending, Entry, Journal, Kind
from protocol.moves.parties import OWE
from protocol.moves.plans import PLANS
from protocol.saga import read
from protocol.states import Goal
from sim.cases.layout import REPLICA
from sim.history import Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.oracle import Ear

NS_PER_S: Final = 1_000_000_000
EXECUTE: Final = "execute"
UNDO: Final = "undo"
HOST: Final = "host:"
#: The parts of a step's key: conversation, attempt, step, way.
KEY_PARTS: Final = 4

_READS: Final = {goal: frozenset(step.name for step in plan.steps if step.is_read) for goal, plan in PLANS.items()}
_SETTLES: Final = {goal: frozenset(step.name for step in plan.steps if step.settles) for goal, plan in PLANS.items()}


@attrs.frozen
class StepKey:
    """The key of a conversation's command, taken apart."""

    conversation: str
    attempt: str
    step: str
    is_undo: bool

    @property
    def execute(self) -> str:
        """The key of the command that this one undoes, or is."""
        return f"{self.conversation}:{self.attempt}:{self.step}:{EXECUTE}"


@lru_cache(maxsize=16384)
def step_key(key: str) -> StepKey | None:
    """Take a key apart; None when it is a plain call's, or there is none."""
    parts = key.rsplit(":", KEY_PARTS - 1)
    if len(parts) != KEY_PARTS or parts[-1] not in {EXECUTE, UNDO}:
        return None
    conversation, attempt, step, way = parts
    return StepKey(conversation, attempt, step, way == UNDO)


@lru_cache(maxsize=4096)
def actor_of(process: str) -> str:
    """Name the actor of which a process is a replica."""
    return process.partition(REPLICA)[0]


@lru_cache(maxsize=4096)
def cell_of(process: str) -> str:
    """Name the cell that a process is in."""
    return process.partition(MAILBOX_SEPARATOR)[0]


@lru_cache(maxsize=4096)
def host_of(name: str) -> str:
    """Name the host, when given its name, the address of its actor, or its process."""
    return actor_of(name).rpartition(HOST)[2]


def is_step(goal: Goal, entry: Entry) -> bool:
    """Tell whether an entry is about a step that changes something."""
    return bool(entry.step) and entry.step not in _READS[goal]


def key_of(conversation: str, entry: Entry) -> str:
    """Write the key of the command that an entry is about."""
    return f"{conversation}:{entry.attempt}:{entry.step}:{UNDO if entry.is_undo else EXECUTE}"


@attrs.define(kw_only=True, eq=False)
class Tale:
    """One conversation, as far as its journal is durable."""

    conversation: str
    server: str
    goal: Goal
    began_ns: int
    entries: list[Entry] = attrs.field(factory=list)
    #: Step and attempt of what has an intent and is not undone, in the order of the intents.
    standing: list[tuple[str, int]] = attrs.field(factory=list)
    undoing: set[int] = attrs.field(factory=set)  # Attempts of which something is being undone.
    is_settled: bool = False
    is_success: bool | None = None  # None: it has not ended.

    @property
    def last(self) -> Entry:
        """The newest entry."""
        return self.entries[-1]

    @property
    def is_closed(self) -> bool:
        """Whether every receiver has forgotten it: from here on the server may be another's."""
        return self.last.kind in {Kind.CLOSED, Kind.RELEASED}

    @property
    def owes(self) -> bool:
        """Whether it has let the server go, and only cleans up."""
        return not self.is_closed and self.has(Kind.DONE, OWE)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of it but its journal."""
        return self.last.kind is Kind.RELEASED

    def journal(self) -> Journal:
        """Give the journal."""
        return Journal(conversation=self.conversation, server=self.server, goal=self.goal, entries=tuple(self.entries))

    def has(self, kind: Kind, step: str, *, is_undo: bool = False) -> bool:
        """Tell whether the journal says so of a step, in any attempt."""
        return any(
            entry.kind is kind and entry.step == step and entry.is_undo is is_undo for entry in self.entries
        )  # fmt: skip

    def add(self, entry: Entry) -> None:
        """Write the next entry."""
        self.entries.append(entry)
        about = (entry.step, entry.attempt)
        match entry.kind:
            case Kind.INTENT if entry.is_undo:
                self.undoing.add(entry.attempt)
            case Kind.INTENT if is_step(self.goal, entry) and about not in self.standing:
                self.standing.append(about)
            case Kind.DONE if entry.is_undo:
                self.standing = [each for each in self.standing if each != about]
            case Kind.DONE if entry.step in _SETTLES[self.goal]:
                self.is_settled = True
            case Kind.END:
                self.is_success = read(entry.payload, Ending).is_success
            case _:
                pass


class Chronicle:
    """All conversations of a run so far.  It hears each line before any oracle does."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.tales: dict[str, Tale] = {}
        self.intended: set[str] = set()  # The keys of all commands that have an intent.
        self._open: dict[str, dict[str, Tale]] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Tell what it wants to hear of."""
        return {Journaled: self._journaled}

    def open_of(self, server: str) -> tuple[Tale, ...]:
        """List the conversations about a server that are not over."""
        return tuple(self._open.get(server, {}).values())

    def all_open(self) -> tuple[Tale, ...]:
        """List the conversations that are not over."""
        return tuple(tale for tales in self._open.values() for tale in tales.values())

    def _journaled(self, what: Journaled) -> None:
        entry, conversation = what.entry, what.conversation
        tale = self.tales.get(conversation)
        if tale is None:
            tale = Tale(conversation=conversation, server=what.server, goal=what.goal, began_ns=self.now_ns)
            self.tales[conversation] = tale
            self._open.setdefault(what.server, {})[conversation] = tale
        tale.add(entry)
        if entry.kind is Kind.INTENT:
            self.intended.add(key_of(conversation, entry))
        elif entry.kind is Kind.RELEASED:
            self._open[what.server].pop(conversation, None)
