"""What a seed lets go wrong: of each kind of fault, how one is drawn.

Two temperaments of most kinds: *one strike* (at its first or a later occasion, surely), which finds what follows from
one thing gone wrong, and *weather* (now and then, for a while), which finds what follows from many.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import attrs

from protocol.messages.mirror import UpdateMirror
from protocol.methods import METHODS
from protocol.requests import Method
from sim.cases.layout import Layout
from sim.cases.places import (
    COMMON_CALLS,
    HOLDING_CALLS,
    PARTNER_CALLS,
    conductor_of,
    conductors_of,
    crash_points,
    host_names,
    links,
    process_names,
    queue_names,
)
from sim.chance import Chance
from sim.faults import MEANINGS, Family, Fault, FaultKind


def _is_of_conversations(method: Method) -> bool:
    return not (method.is_for_people or method.is_routine or method.reference)


#: What else every run sends.
OF_ALL_RUNS: Final = (UpdateMirror.METHOD.name,)
METHOD_NAMES: Final = tuple(
    sorted({name for name, each in METHODS.items() if _is_of_conversations(each.METHOD)} | {*OF_ALL_RUNS})
)
#: Where few guests are held, few faults of that would strike.
POINTS: Final = tuple(
    point for point in crash_points() if not point.startswith(tuple(f"driver/{call}/" for call in HOLDING_CALLS))
)
#: A conductor that stands still for longer than its lease may find another at work.
USURPED_S: Final = (6.0, 60.0)
OUTLASTS_PATIENCE_S: Final = (125.0, 200.0)
#: The last part of the fault phase stays free of new faults, so that those drawn find something to befall.
LATEST: Final = 0.8


@attrs.frozen(kw_only=True)
class Draw:
    """What one fault is drawn from: everything keyed by the fault's name, so that no fault depends on another."""

    chance: Chance
    layout: Layout
    minutes: float
    kind: FaultKind
    name: str

    def between(self, low: float, high: float, what: str) -> float:
        """Draw a number, to three digits: a person is to read it."""
        return float(f"{self.chance.between(low, high, self.name, self.kind, what):.3g}")

    def scale(self, low: float, high: float, what: str) -> float:
        """Draw a number of any magnitude: as many small ones as large ones."""
        return float(f"{low * (high / low) ** self.chance.uniform(self.name, self.kind, what):.3g}")

    def count(self, low: int, high: int, what: str) -> int:
        """Draw a whole number."""
        return self.chance.count(low, high, self.name, self.kind, what)

    def pick(self, options: tuple[Any, ...], what: str) -> Any:
        """Choose one."""
        return self.chance.pick(options, self.name, self.kind, what)

    def hits(self, chance: float, what: str) -> bool:
        """Decide."""
        return self.chance.hits(chance, self.name, self.kind, what)

    def maybe(self, chance: float, options: tuple[str, ...], what: str) -> str:
        """Choose one with this probability, or leave it open."""
        return str(self.pick(options, what)) if self.hits(chance, f"any {what}") else ""

    @property
    def at_s(self) -> float:
        """When it begins."""
        return self.between(0.0, self.minutes * 60 * LATEST, "at")

    def strikes(self, *, most: int = 3) -> dict[str, Any]:
        """Draw how often it strikes: once or a few times, or now and then for a while."""
        if self.hits(0.5, "one strike"):
            return {"at_s": self.at_s, "skip": self.count(0, 5, "skip"), "times": self.count(1, most, "times")}
        return {
            "at_s": self.at_s, "for_s": self.between(5, 120, "for"), "chance": self.between(0.02, 0.5, "chance"),
            "times": 0,
        }  # fmt: skip

    def fault(self, **fields: Any) -> Fault:
        """Make the fault."""
        return Fault(kind=self.kind, name=self.name, **fields)


def draw_fault(draw: Draw) -> Fault:
    """Draw one fault of a kind."""
    return _MAKERS.get(draw.kind, _BY_FAMILY[MEANINGS[draw.kind].family])(draw)


# --- messages, links, brokers ------------------------------------------------------------------------------


def _message(draw: Draw, amount_s: tuple[float, float] | None = None) -> Fault:
    processes = process_names(draw.layout)
    amount = {"amount_s": draw.scale(*amount_s, "amount")} if amount_s else {}
    return draw.fault(
        where=draw.maybe(0.3, processes, "where"),
        other=draw.maybe(0.3, processes, "other"),
        point=draw.maybe(0.3, METHOD_NAMES, "point"),
        **draw.strikes(),
        **amount,
    )


def _cut(draw: Draw) -> Fault:
    where, other = draw.pick(links(draw.layout), "link")
    if draw.hits(0.5, "turned"):
        where, other = other, where
    return draw.fault(where=where, other=other, at_s=draw.at_s, for_s=_lasting(draw, (1, 60)))


def _half_open(draw: Draw) -> Fault:
    where = draw.pick(process_names(draw.layout), "where")
    return draw.fault(where=where, at_s=draw.at_s, for_s=draw.between(5, 40, "for"))


def _broker(draw: Draw) -> Fault:
    where = draw.pick(draw.layout.cells, "where")
    return draw.fault(where=str(where), at_s=draw.at_s, for_s=draw.between(0.5, 40, "for"))


def _queue(draw: Draw) -> Fault:
    where = draw.pick(draw.layout.cells, "where")
    other = draw.pick(queue_names(draw.layout, where), "other")
    return draw.fault(where=str(where), other=other, at_s=draw.at_s, for_s=draw.between(1, 30, "for"))


# --- processes, clocks, stores -----------------------------------------------------------------------------


def _process(draw: Draw, for_s: tuple[float, float] = (0.5, 30.0)) -> Fault:
    return draw.fault(where=_worker(draw), at_s=draw.at_s, for_s=_lasting(draw, for_s))


def _lasting(draw: Draw, for_s: tuple[float, float]) -> float:
    # Now and then longer than a conductor asks again: then it undoes what may be carried out yet.
    return draw.between(*(OUTLASTS_PATIENCE_S if draw.hits(0.1, "long") else for_s), "for")


def _worker(draw: Draw) -> str:
    # The conductor drives every move: it gets a good share of what befalls processes.
    is_conductor = draw.hits(0.3, "conductor")
    return str(draw.pick((conductors_of if is_conductor else process_names)(draw.layout), "where"))


def _at_point(draw: Draw) -> Fault:
    # Whoever passes the point, or another: the one who passes it is in the middle of something just then.
    where = "" if draw.hits(0.5, "whoever passes") else _worker(draw)
    return draw.fault(
        where=where, point=draw.pick(POINTS, "point"), skip=draw.count(0, 2, "skip"),
        for_s=draw.between(0.5, 30, "for"),
    )  # fmt: skip


def _everybody(draw: Draw) -> Fault:
    return draw.fault(at_s=draw.at_s, for_s=draw.between(0.5, 20, "for"))


def _usurp(draw: Draw) -> Fault:
    return draw.fault(where=conductor_of(draw.layout), at_s=draw.at_s, for_s=draw.between(*USURPED_S, "for"))


def _drift(draw: Draw) -> Fault:
    amount_s = draw.between(-0.2, 0.2, "amount")
    return draw.fault(where=_worker(draw), at_s=draw.at_s, for_s=draw.between(30, 300, "for"), amount_s=amount_s)


def _jump(draw: Draw) -> Fault:
    return draw.fault(where=_worker(draw), at_s=draw.at_s, amount_s=draw.pick((-3600.0, -10.0, 10.0, 3600.0), "amount"))


def _store(draw: Draw) -> Fault:
    return draw.fault(where=_worker(draw), **draw.strikes())


def _slow_store(draw: Draw) -> Fault:
    amount_s = draw.between(0.1, 10, "amount")
    return draw.fault(where=_worker(draw), **draw.strikes(most=20), amount_s=amount_s)


def _full_store(draw: Draw) -> Fault:
    return draw.fault(where=_worker(draw), at_s=draw.at_s, for_s=draw.between(1, 60, "for"), times=0)


def _lost_fsync(draw: Draw) -> Fault:
    return draw.fault(where=_worker(draw), at_s=draw.at_s, skip=draw.count(0, 10, "skip"))


# --- the world outside -------------------------------------------------------------------------------------


def _driver(draw: Draw) -> Fault:
    where = draw.maybe(0.5, host_names(draw.layout), "where")
    return draw.fault(where=where, point=draw.maybe(0.7, COMMON_CALLS, "point"), **draw.strikes())


def _slow_driver(draw: Draw) -> Fault:
    return attrs.evolve(_driver(draw), amount_s=draw.between(5, 120, "amount"))


def _dying_guest(draw: Draw) -> Fault:
    return draw.fault(where=draw.pick(host_names(draw.layout), "where"), at_s=draw.at_s)


def _machine(draw: Draw) -> Fault:
    where = draw.pick(host_names(draw.layout), "where")
    return draw.fault(where=where, at_s=draw.at_s, for_s=draw.between(1, 200, "for"))


def _gone(draw: Draw) -> Fault:
    return attrs.evolve(_machine(draw), amount_s=draw.between(1, 60, "amount"))


def _partner(draw: Draw) -> Fault:
    where = draw.pick(tuple(PARTNER_CALLS), "where")
    return draw.fault(where=where, point=draw.maybe(0.7, PARTNER_CALLS[where], "point"), **draw.strikes())


def _slow_partner(draw: Draw) -> Fault:
    return attrs.evolve(_partner(draw), amount_s=draw.between(5, 120, "amount"))


Maker = Callable[[Draw], Fault]

_BY_FAMILY: Final[Mapping[Family, Maker]] = {
    Family.MESSAGE: _message,
    Family.LINK: _cut,
    Family.BROKER: _broker,
    Family.PROCESS: _process,
    Family.CLOCK: _jump,
    Family.STORE: _store,
    Family.DRIVER: _driver,
    Family.PARTNER: _partner,
}
_MAKERS: Final[Mapping[FaultKind, Maker]] = {
    FaultKind.DOUBLE_LATE: partial(_message, amount_s=(0.2, 60)),
    FaultKind.DELAY: partial(_message, amount_s=(0.2, 60)),
    FaultKind.REORDER: partial(_message, amount_s=(0.05, 5)),
    FaultKind.HALF_OPEN: _half_open,
    FaultKind.UNROUTABLE: _queue,
    FaultKind.CONSUMER_GONE: _queue,
    FaultKind.CRASH_AT: _at_point,
    FaultKind.PAUSE_AT: _at_point,
    FaultKind.PAUSE: partial(_process, for_s=(1, 60)),
    FaultKind.CRASH_ALL: _everybody,
    FaultKind.USURP: _usurp,
    FaultKind.CLOCK_DRIFT: _drift,
    FaultKind.STORE_SLOW: _slow_store,
    FaultKind.STORE_FULL: _full_store,
    FaultKind.FSYNC_LOST: _lost_fsync,
    FaultKind.DRIVER_SLOW: _slow_driver,
    FaultKind.GUEST_DIES: _dying_guest,
    FaultKind.MACHINE_DOWN: _machine,
    FaultKind.HOST_GONE: _gone,
    FaultKind.PARTNER_SLOW: _slow_partner,
}
