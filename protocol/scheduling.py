"""Which cell a server goes to: each cell filters and weighs itself and its children, and the choice descends the tree.

Pure, so that a choice can be read off what cells have answered, again and again.  Filters and weighers are plain
functions by name; others than those below are added by entry points (`actors.ops.plugins`), under names of their own.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias, TypeVar

import attrs

from protocol.cell_path import CellPath
from protocol.errors import InvalidValue
from protocol.records.base import Flavor
from protocol.records.tree import Capabilities, Capacities
from protocol.tree import View

T = TypeVar("T")
#: The capability by which a cell tells of its hypervisors' version.
HYPERVISOR_VERSION: Final = "prominent_hypervisor_version"


# --- what filters and weighers are given -------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Wish:
    """What was asked of the choice of a cell, beside room."""

    target_cell: CellPath | None = None  # Only that one; for those who may say so.
    different_cell: tuple[CellPath, ...] = ()  # None of these; likewise.
    hypervisor_version: str = ""  # What the image requires: ">6.0, <=6.3".


@attrs.frozen(kw_only=True)
class Asked:
    """One choice: for what, on whose behalf, and where it began."""

    method: str  # The goal: create, resize, migrate.
    flavor: Flavor
    top: CellPath  # The cell in which the choice began: what names cells by their paths counts there.
    is_admin: bool = False
    wish: Wish = Wish()


@attrs.frozen(kw_only=True)
class Candidate:
    """A cell that may be chosen: the one that chooses, or a child of it."""

    cell: CellPath
    is_here: bool = False
    is_mute: bool = False
    capabilities: Capabilities = attrs.field(factory=dict, hash=False)
    capacities: Capacities = attrs.field(factory=Capacities)
    weight_offset: float = 0.0
    weight_scale: float = 1.0


@attrs.frozen
class Straight:
    """A filter's word that there is nothing left to choose: it goes to that cell, wherever that is."""

    cell: CellPath


Candidates: TypeAlias = tuple[Candidate, ...]


class CellFilter(Protocol):
    """Says which of the candidates stay, or where it goes straight."""

    def __call__(self, asked: Asked, candidates: Candidates, /) -> Candidates | Straight:
        """Filter; it changes nothing of what it is given."""
        ...


class CellWeigher(Protocol):
    """Says how much a candidate weighs, in whatever unit: the heaviest of all then count 1, the lightest 0."""

    def __call__(self, asked: Asked, candidate: Candidate, /) -> float:
        """Weigh."""
        ...


# --- those that are always there ---------------------------------------------------------------------------


def target_cell(asked: Asked, candidates: Candidates) -> Candidates | Straight:
    """Keep only the cell that was named, if an administrator named one; one that is elsewhere is gone to straight.

    Below the cell in which the choice began the name counts no more: who names a cell has it choose among its own.
    """
    wanted = asked.wish.target_cell
    here = next((each.cell for each in candidates if each.is_here), None)
    if wanted is None or not asked.is_admin:
        return candidates
    return tuple(each for each in candidates if each.is_here) if wanted == here else Straight(wanted)


def different_cell(asked: Asked, candidates: Candidates) -> Candidates:
    """Drop the cells that are not wanted, if an administrator said so."""
    if not asked.is_admin:
        return candidates
    return tuple(each for each in candidates if each.cell not in asked.wish.different_cell)


def image_properties(asked: Asked, candidates: Candidates) -> Candidates:
    """Drop the cells whose hypervisors are of no version that the image can do with; who tells none stays."""
    wanted = asked.wish.hypervisor_version
    if not wanted:
        return candidates
    return tuple(
        each
        for each in candidates
        if not (versions := each.capabilities.get(HYPERVISOR_VERSION, ()))
        or any(satisfies(version, wanted) for version in versions)
    )


def ram(asked: Asked, candidate: Candidate) -> float:
    """Weigh by how many servers of that memory fit."""
    units = candidate.capacities.ram_free.units_by_mb.get(str(asked.flavor.memory_mb), 0)
    return units * candidate.weight_scale


def offset(_asked: Asked, candidate: Candidate) -> float:
    """Weigh by what the settings, or an operator, have added."""
    return candidate.weight_offset


def mute(_asked: Asked, candidate: Candidate) -> float:
    """Weigh the mute: by a negative multiplier they come last."""
    return 1.0 if candidate.is_mute else 0.0


#: By name, in the order in which they are asked.
FILTERS: Final[dict[str, CellFilter]] = {
    "target_cell": target_cell,
    "different_cell": different_cell,
    "image_properties": image_properties,
}
WEIGHERS: Final[dict[str, CellWeigher]] = {"ram": ram, "offset": offset, "mute": mute}
#: By how much a weigher's verdict is multiplied unless the settings say otherwise; of others by 1.
MULTIPLIERS: Final[dict[str, float]] = {"ram": 10.0, "offset": 1.0, "mute": -10_000.0}


# --- versions ----------------------------------------------------------------------------------------------

_COMPARE: Final[dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    ">=": lambda one, other: one >= other,
    ">": lambda one, other: one > other,
}
_CLAUSE: Final = re.compile(r"\s*(?P<how><=|>=|==|!=|<|>)\s*(?P<version>\d+(\.\d+)*)\s*", re.ASCII)
_VERSION: Final = re.compile(r"\d+(\.\d+)*", re.ASCII)


def check_requirement(text: str) -> None:
    """Raise `InvalidValue` unless a text is a requirement of a version, or empty."""
    if text and not all(_CLAUSE.fullmatch(clause) for clause in text.split(",")):
        rule = "it must be comparisons with commas between, like >6.0, <=6.3"
        raise InvalidValue(name="hypervisor_version", value=text[:80], rule=rule)


def satisfies(version: str, requirement: str) -> bool:
    """Tell whether a version is as it is required; one that is none, or unreadable requirements, are not."""
    found = _VERSION.match(version)
    clauses = [_CLAUSE.fullmatch(clause) for clause in requirement.split(",")]
    if found is None:
        return False
    return all(
        clause is not None and _COMPARE[clause["how"]](_numbers(found[0]), _numbers(clause["version"]))
        for clause in clauses
    )


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:  # 6 is 6.0.
        numbers.pop()
    return tuple(numbers)


# --- one cell's choice -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Scheduler:
    """The filters and weighers of a cell, by name: each weigher with its multiplier."""

    filters: tuple[str, ...] = tuple(FILTERS)
    weighers: dict[str, float] = attrs.field(factory=lambda: dict(MULTIPLIERS), hash=False)

    def rank(self, asked: Asked, candidates: Candidates) -> tuple[CellPath, ...]:
        """Give the cells that stay, the best first; of equal ones the earlier candidate."""
        for name in self.filters:
            kept = _known(FILTERS, name, "cell filter")(asked, candidates)
            if isinstance(kept, Straight):
                return (kept.cell,)
            candidates = kept
        weights = self.weigh(asked, candidates)
        order = sorted(range(len(candidates)), key=lambda place: (-weights[place], place))
        return tuple(candidates[place].cell for place in order)

    def weigh(self, asked: Asked, candidates: Candidates) -> tuple[float, ...]:
        """Add up what each candidate weighs."""
        totals = [0.0] * len(candidates)
        for name, multiplier in self.weighers.items():
            weigher = _known(WEIGHERS, name, "cell weigher")
            for place, weight in enumerate(normalized([weigher(asked, each) for each in candidates])):
                totals[place] += multiplier * weight
        return tuple(totals)


def _known(table: Mapping[str, T], name: str, kind: str) -> T:
    if name not in table:
        raise InvalidValue(name=kind, value=name, rule=f"it must be one of {', '.join(table)}")
    return table[name]


def normalized(weights: Iterable[float]) -> list[float]:
    """Bring weights to 0 for the lightest to 1 for the heaviest; all are 0 when they are equal."""
    weights = list(weights)
    low, high = min(weights, default=0.0), max(weights, default=0.0)
    return [0.0 if high == low else (weight - low) / (high - low) for weight in weights]


def candidates_of(seen: View) -> Candidates:
    """List whom a cell may choose: its children; and itself, if it has none, or has hosts with anything left.

    One that is frozen is nobody's choice, its own neither; those below it are another matter.
    """
    children = tuple(
        Candidate(
            cell=CellPath.parse(row.cell), is_mute=row.cell in seen.mute, capabilities=row.capabilities,
            capacities=row.capacities, weight_offset=row.weight_offset, weight_scale=row.weight_scale,
        )
        for row in seen.children
    )  # fmt: skip
    if seen.freeze is not None:
        return children
    own = Candidate(
        cell=seen.here, is_here=True, capabilities=seen.own_capabilities, capacities=seen.own_capacities
    )  # fmt: skip
    return (*children, own) if not children or seen.own_capacities.ram_free.total_mb else children


# --- the descent -------------------------------------------------------------------------------------------


def descent(orders: Mapping[CellPath, tuple[CellPath, ...]], top: CellPath) -> tuple[CellPath, ...]:
    """List the cells to try, the first one first: as if each chose in turn, and took the next when one has no room.

    A cell of which no order is known has not answered, and so nobody gets there, nor past it.
    """
    return tuple(_descend(orders, top, set()))


def _descend(
    orders: Mapping[CellPath, tuple[CellPath, ...]], here: CellPath, been: set[CellPath]
) -> Iterator[CellPath]:
    if here in been:
        return
    been.add(here)
    for cell in orders.get(here, ()):
        if cell == here:
            yield here
        else:
            yield from _descend(orders, cell, been)
