"""Killers: the smallest changes that break an invariant, and how a truth is changed."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import attrs

from protocol.cell_path import CellPath
from protocol.invariants import violations
from protocol.records import Record
from protocol.truth import GuestTruth, Truth

T = TypeVar("T")

World = Callable[[], Truth]
Edit = Callable[[Truth], Truth]
#: Says of a row what to make of it; no rows: drop it.
Rewrite = Callable[[Record], tuple[Record, ...]]


@attrs.frozen(kw_only=True)
class Killer:
    """A change that breaks an invariant, and which others it cannot but break as well."""

    story: str
    world: World
    edit: Edit
    also: frozenset[str]
    is_at_rest: bool

    def __str__(self) -> str:
        return self.story


def always(story: str, world: World, *edits: Edit, also: tuple[str, ...] = ()) -> Killer:
    """Break what holds at every instant."""
    return Killer(story=story, world=world, edit=every(*edits), also=frozenset(also), is_at_rest=False)


def at_rest(story: str, world: World, *edits: Edit, also: tuple[str, ...] = ()) -> Killer:
    """Break what holds at rest, and may be so in the midst of a move."""
    return Killer(story=story, world=world, edit=every(*edits), also=frozenset(also), is_at_rest=True)


def broken(truth: Truth, *, is_at_rest: bool) -> set[str]:
    """Name the invariants that do not hold."""
    return {violation.invariant for violation in violations(truth, is_at_rest=is_at_rest)}


def prove(killer: Killer, invariant: str) -> None:
    """Assert that the killer breaks this invariant, those it names, and no other; and only when it is to be seen."""
    whole = killer.world()
    hurt = killer.edit(whole)
    assert broken(whole, is_at_rest=True) == set()
    assert broken(hurt, is_at_rest=killer.is_at_rest) == {invariant} | killer.also
    if killer.is_at_rest:
        assert broken(hurt, is_at_rest=False) == set()
    assert invariant in broken(hurt, is_at_rest=True)


# --- changes -----------------------------------------------------------------------------------------------


def every(*edits: Edit) -> Edit:
    """Make several changes; each must change something."""

    def edit(truth: Truth) -> Truth:
        for one in edits:
            before, truth = truth, one(truth)
            assert truth != before, "this change changes nothing"
        return truth

    return edit


def altered(value: T, fields: dict[str, object]) -> T:
    """Give the value with other fields, whichever they are."""
    anything: Any = value
    return cast("T", attrs.evolve(anything, **fields))


def evolve(**fields: object) -> Edit:
    """Set what is no row."""
    return lambda truth: altered(truth, fields)


def change(
    kind: type[Record], where: dict[str, object] | None = None, *, at: CellPath | None = None, **fields: object
) -> Edit:
    """Set fields of the rows of a class, of those with the given values, in one cell or everywhere."""
    return _rewrite(lambda row: (altered(row, fields),), _picks(kind, where), at)


def drop(kind: type[Record], where: dict[str, object] | None = None, *, at: CellPath | None = None) -> Edit:
    """Take rows away."""
    return _rewrite(lambda _: (), _picks(kind, where), at)


def add(*rows: Record, at: CellPath | None = None) -> Edit:
    """Put rows into a cell, or into the partners' stores."""

    def edit(truth: Truth) -> Truth:
        if at is None:
            return attrs.evolve(truth, partners=(*truth.partners, *rows))
        cells = (attrs.evolve(cell, rows=(*cell.rows, *rows)) if cell.path == at else cell for cell in truth.cells)
        return attrs.evolve(truth, cells=tuple(cells))

    return edit


def guest(at: str, **fields: object) -> Edit:
    """Change what a host's hypervisor has."""
    return lambda truth: attrs.evolve(
        truth, guests=tuple(altered(each, fields) if each.host == at else each for each in truth.guests)
    )


def no_guest(at: str) -> Edit:
    """Take away what a host's hypervisor has."""
    return lambda truth: attrs.evolve(truth, guests=tuple(each for each in truth.guests if each.host != at))


def more_guests(*guests: GuestTruth) -> Edit:
    """Let hypervisors have more."""
    return lambda truth: attrs.evolve(truth, guests=(*truth.guests, *guests))


def _picks(kind: type[Record], where: dict[str, object] | None) -> Callable[[Record], bool]:
    wanted = (where or {}).items()
    return lambda row: isinstance(row, kind) and all(getattr(row, name) == value for name, value in wanted)


def _rewrite(rewrite: Rewrite, picks: Callable[[Record], bool], at: CellPath | None) -> Edit:
    def rows_of(rows: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(new for row in rows for new in (rewrite(row) if picks(row) else (row,)))

    def edit(truth: Truth) -> Truth:
        cells = (
            attrs.evolve(cell, rows=rows_of(cell.rows)) if at in {None, cell.path} else cell for cell in truth.cells
        )
        partners = rows_of(truth.partners) if at is None else truth.partners
        return attrs.evolve(truth, cells=tuple(cells), partners=partners)

    return edit
