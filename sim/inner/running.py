"""Runs a case on the inner level: the cloud set up, users and faults let loose, everything healed, and judged."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sim.cases.case import Outcome
from sim.cases.layout import Layout
from sim.cases.workload import IMAGE, groups_of, volumes_of
from sim.checkers import Watch, watch
from sim.faults import FaultKind
from sim.history import Phase
from sim.inner.agenda import NS_PER_S
from sim.inner.quick import QuickHistory
from sim.inner.troubles import Troubles
from sim.inner.world import InnerWorld
from sim.probes import Probes
from sim.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sim.cases.case import Case
    from sim.history import Listener

#: How long after everything is healed all must have come to its end: ten times the longest pause between two tries.
HEALED_S: Final = 300.0
#: How long nothing may be left to do before the end is judged.
QUIET_S: Final = 40.0
#: After so many lines that tell of an effect, all that must always hold is judged.
ALWAYS_EVERY: Final = 200
#: How long the setup may take.
SETUP_S: Final = 3600.0


def run_case(
    case: Case, *, layout: Layout | None = None, listeners: Iterable[Listener] = (), is_checked: bool = True,
    always_every: int = ALWAYS_EVERY, is_hashed: bool = True,
) -> Outcome:  # fmt: skip
    """Run a case; `listeners` hear every line of its history.  Unless `is_hashed`, the outcome has no trace hash."""
    with _no_collections():
        return _run(case, layout, listeners, is_checked=is_checked, always_every=always_every, is_hashed=is_hashed)


def _run(
    case: Case, layout: Layout | None, listeners: Iterable[Listener], *, is_checked: bool, always_every: int,
    is_hashed: bool,
) -> Outcome:  # fmt: skip
    world = InnerWorld(
        layout or case.layout(), seed=case.seed, plan=case.faults,
        history=QuickHistory,
    )  # fmt: skip
    tally = Tally()
    world.history.listeners.extend((tally.listen, *listeners))
    Probes(world.history)
    checks = watch(world.history, peek=world.truth, always_every=always_every) if is_checked else None
    healed_s = _live(world, case)
    if checks is not None:
        checks.at_rest(world.truth(), healed_for_s=healed_s)
    outcome = _outcome(case, world, tally.moves, checks, is_hashed=is_hashed)
    world.forget()
    return outcome


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the garbage collector away: almost nothing of a run is garbage before its end."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _live(world: InnerWorld, case: Case) -> float:
    history = world.history
    history.record(Phase(name="setup"))
    world.add_image(IMAGE)
    for volume in volumes_of((*case.setup, *case.ops)):
        world.add_volume(volume)
    for group in groups_of((*case.setup, *case.ops)):
        world.add_group(group)
    for op in case.setup:
        world.place(op)
        world.run_until_quiet(SETUP_S)
    history.record(Phase(name="faults"))
    troubles = Troubles(world)
    troubles.begin()
    for op in case.ops:
        world.place(op)
    world.run_for(case.minutes * 60.0)
    history.record(Phase(name="healed"))
    troubles.end()
    healed_s = world.run_until_quiet(HEALED_S)
    world.run_for(QUIET_S)
    history.record(Phase(name="rest"))
    return healed_s


def _outcome(case: Case, world: InnerWorld, moves: int, checks: Watch | None, *, is_hashed: bool) -> Outcome:
    injector, history = world.injector, world.history
    return Outcome(
        case=case,
        trace_sha256=history.sha256 if is_hashed else "",
        moves=moves,
        messages=world.setting.network.messages,
        steps=len(history.lines),
        virtual_s=world.agenda.now_ns / NS_PER_S,
        fired={kind: injector.fired[kind] for kind in FaultKind if injector.fired[kind]},
        mattered={kind: injector.mattered[kind] for kind in FaultKind if injector.mattered[kind]},
        probes=dict(history.probes),
        breaches=tuple(checks.breaches) if checks else (),
    )
