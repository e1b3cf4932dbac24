"""Whole worlds run in other processes: the hashes of their traces, their lines, and defects that make these differ."""

from __future__ import annotations

from importlib import import_module
from itertools import count, zip_longest
from typing import TYPE_CHECKING, Any, Final

from protocol import routing
from sim.cases.swarm import case_of
from sim.commands.levels import Level
from sim.edges.watching import WatchedEvents
from tests.sim.twice import outputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from protocol.cell_path import CellPath
    from sim.commands.levels import Ran

INNER: Final = "inner"
REAL: Final = "real"
#: Taken before any loop seals it off, as a careless library might.
REAL_CLOCK_NS: Final[Callable[[], int]] = import_module("time").perf_counter_ns


# --- what another process runs -----------------------------------------------------------------------------


def hashes(first: str, last: str, minutes: str, level: str, defect: str = "") -> str:
    """Run these seeds, and give the hash of each one's trace, a line each."""
    plant(defect)
    return "\n".join(f"{seed} {_hash(seed, minutes, level)}" for seed in range(int(first), int(last) + 1))


def lines(seed: str, minutes: str, level: str, defect: str = "") -> str:
    """Run one seed, and give all that happened, a line each."""
    plant(defect)
    return "\n".join(
        f"{line.number} {line.at_ns} {line.what}" for line in _run(int(seed), minutes, level).history.lines
    )


def _hash(seed: int, minutes: str, level: str) -> str:
    outcome = _run(seed, minutes, level).outcome
    assert outcome.trace_sha256, f"seed {seed} did not come to its end: {outcome.first}"
    return outcome.trace_sha256


def _run(seed: int, minutes: str, level: str) -> Ran:
    return Level(is_inner=level == INNER).run(case_of(seed, minutes=float(minutes)))


# --- how two processes are compared ------------------------------------------------------------------------


def differing(first: int, last: int, *, minutes: float, level: str = REAL, defect: str = "") -> list[int]:
    """Run seeds in two fresh processes, each under another hash seed; give those that leave two traces."""
    target = "tests.sim.world_programs:hashes"
    one, other = outputs_of(target, str(first), str(last), str(minutes), level, defect)
    pairs = list(zip(one.splitlines(), other.splitlines(), strict=True))
    assert len(pairs) == last - first + 1, "every seed has a hash"
    return [int(mine.split()[0]) for mine, its in pairs if mine != its]


def first_difference(seed: int, *, minutes: float, level: str = REAL, defect: str = "") -> str:
    """Say at which line the traces of a seed part in two processes, and how it goes on in each."""
    one, other = outputs_of("tests.sim.world_programs:lines", str(seed), str(minutes), level, defect)
    for mine, its in zip_longest(one.splitlines(), other.splitlines(), fillvalue="(the end)"):
        if mine != its:
            return f"seed {seed} parts here:\n  {mine}\n  {its}"
    return f"seed {seed}: the lines are the same, and the steps of the loop between them are not"


# --- defects that the comparison must find -----------------------------------------------------------------


def plant(defect: str) -> None:
    """Have actors do what no actor may; none when it is empty."""
    planted: dict[str, Callable[[], None]] = {
        "": lambda: None, "set of strings": _plant_set, "address": _plant_address, "real clock": _plant_clock,
    }  # fmt: skip
    planted[defect]()


def _plant_order(order: Callable[[tuple[CellPath, ...]], Iterable[CellPath]]) -> None:
    """Have every router pass broadcasts on in another order."""
    next_hops = routing.next_hops

    def reordered(**about: Any) -> tuple[CellPath, ...]:
        return tuple(order(next_hops(**about)))

    routing.next_hops = reordered


def _plant_set() -> None:
    numbers = count()

    def order(hops: tuple[CellPath, ...]) -> Iterable[CellPath]:
        number = next(numbers)
        named = {f"{number} {hop}": hop for hop in hops}
        return [named[name] for name in {*named}]

    _plant_order(order)


def _plant_address() -> None:
    kept: list[str] = []

    def order(hops: tuple[CellPath, ...]) -> Iterable[CellPath]:
        named = {f"{len(kept)} {hop}": hop for hop in hops}
        kept.extend(named)
        return [named[name] for name in sorted(named, key=lambda name: id(name) % 1009)]

    _plant_order(order)


def _plant_clock() -> None:
    emit = WatchedEvents.emit

    def emit_when(self: WatchedEvents, event: str, /, **fields: object) -> None:
        emit(self, event, **fields, real_ns=REAL_CLOCK_NS())

    WatchedEvents.emit = emit_when  # type: ignore[method-assign]  # planted in a process of its own
