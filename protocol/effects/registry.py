"""The table from command to effect, and `apply`, which looks it up.  Stores and the simulator both run this."""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from protocol.draft import NO_CHANGES, Changes, Draft, Need
from protocol.errors import CellferryError
from protocol.ids import derived_id
from protocol.records import Record
from protocol.requests import Done, Request

R = TypeVar("R")
C = TypeVar("C", bound="Request[Any]")


@attrs.frozen(kw_only=True)
class Moment:
    """When and where a command is carried out: what an effect may know beside rows and command."""

    now_us: int
    cell: str
    key: str  # The command's idempotency key: what the effect makes has ids that follow from it.
    undoes_nothing: bool = False  # The command is an undo, and its execute was never carried out here.
    #: The cell that a message came from, of what is done in a transaction: routers have vouched for its way.
    sender: str = ""

    def id_of(self, *parts: str) -> str:
        """Make the id of something that this command makes."""
        return derived_id(self.key, *parts)


@attrs.frozen
class Refused:
    """A reply with which a command is refused, although what it changes and tells stays."""

    error: CellferryError


@attrs.frozen(kw_only=True)
class Effect(Generic[C, R]):
    """A command's effect: the rows it needs, and what it does to them."""

    needs: Callable[[C], tuple[Need, ...]]
    run: Callable[[Draft, C, Moment], R]
    #: What else it needs, as the rows tell that are there already; asked until it names nothing new.
    further: Callable[[C, tuple[Record, ...]], tuple[Need, ...]] | None = None


EFFECTS: Final[dict[type[Request[Any]], Effect[Any, Any]]] = {}

Run = Callable[[Draft, C, Moment], R]


def effect(
    command: type[C],
    needs: Callable[[C], tuple[Need, ...]],
    further: Callable[[C, tuple[Record, ...]], tuple[Need, ...]] | None = None,
) -> Callable[[Run[C, R]], Run[C, R]]:
    """Enter a function as the effect of a command."""

    def enter(run: Run[C, R]) -> Run[C, R]:
        assert command not in EFFECTS, f"{command.__name__} has two effects"
        EFFECTS[command] = Effect(needs=needs, run=run, further=further)
        return run

    return enter


def needs_of(command: Request[Any]) -> tuple[Need, ...]:
    """Name the rows that must be loaded for a command, first of all."""
    return EFFECTS[type(command)].needs(command)


def gather(
    command: Request[Any], load: Callable[[tuple[Need, ...]], tuple[Record, ...]]
) -> tuple[tuple[Need, ...], tuple[Record, ...]]:
    """Load all that a command needs: give the needs, and the rows, each once."""
    found = EFFECTS[type(command)]
    needs = found.needs(command)
    rows = load(needs)
    if found.further is None:
        return needs, rows
    while more := tuple([need for need in found.further(command, rows) if need not in needs]):
        needs += more
        known = {(type(row), row.key): row for row in (*rows, *load(more))}
        rows = tuple(known.values())
    return needs, rows


def apply(
    rows: tuple[Record, ...], command: Request[R], moment: Moment, *, needs: tuple[Need, ...] | None = None
) -> tuple[Changes, R]:
    """Decide what a command changes and answers; raise the declared error with which it is refused.

    `needs` are those by which the rows were loaded, when whoever loaded them has them at hand.
    """
    found: Effect[Any, R] = EFFECTS[type(command)]
    if moment.undoes_nothing and command.reply_type() is Done:
        # An effect and its inbox row are one transaction: what has no row has left nothing to clean.
        return NO_CHANGES, cast("R", Done())
    draft = Draft(rows, found.needs(command) if needs is None else needs)
    reply = found.run(draft, command, moment)
    return draft.changes(), reply
