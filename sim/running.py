"""Runs a case: sets its cloud up, lets users and faults loose, heals everything, and judges what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
import attrs

from protocol.invariants.standing import lifting
from sim import clock
from sim.cases.case import Breach, Case, Outcome
from sim.cases.layout import Layout
from sim.cases.workload import IMAGE, groups_of, volumes_of
from sim.checkers import Watch, watch
from sim.director import Director
from sim.faults import FaultKind
from sim.history import History, Line, Phase
from sim.loop.strategies import strategy_of
from sim.probes import Probes
from sim.tally import HEARD, Tally
from sim.world import World

NS_PER_S: Final = 1_000_000_000
#: How long after everything is healed all must have come to its end: ten times the longest pause between two tries.
HEALED_S: Final = 300.0
#: How often it is looked whether it has.
LOOK_S: Final = 1.0
#: How long nothing may be left to do before the end is judged.
QUIET_S: Final = 40.0
#: After so many lines that tell of an effect, what must always hold is judged.
ALWAYS_EVERY: Final = 50


@attrs.frozen(kw_only=True)
class Run:
    """A case that was run: what came of it, and all that happened."""

    outcome: Outcome
    history: History


def run_case(
    case: Case, *, layout: Layout | None = None, is_checked: bool = True, until: Callable[[Line], None] | None = None,
    is_hashed: bool = True,
) -> Run:  # fmt: skip
    """Run a case with the real actors.  `until` hears each line, and may end the run by raising.

    Unless `is_hashed`, the outcome has no trace hash: to write out each line takes time, and few ask for it.
    """
    world = World(layout or case.layout(), seed=case.seed, plan=case.faults, pace=1.0)
    tally = Tally()
    world.history.listen(tally.listen, *HEARD)
    Probes(world.history)
    checks = watch(world.history, peek=world.peek, always_every=ALWAYS_EVERY) if is_checked else None
    if until is not None:
        world.history.listeners.append(until)
    try:
        virtual_s = clock.run(_live, world, case, checks, strategy=strategy_of(case.strategy, case.seed))
    finally:
        world.close()
    return Run(outcome=_outcome(case, world, tally, checks, virtual_s, is_hashed=is_hashed), history=world.history)


def _outcome(
    case: Case, world: World, tally: Tally, checks: Watch | None, virtual_s: float, *, is_hashed: bool
) -> Outcome:  # fmt: skip
    injector = world.injector
    return Outcome(
        case=case,
        trace_sha256=world.history.sha256 if is_hashed else "",
        moves=tally.moves,
        messages=tally.messages,
        steps=len(world.history.lines),
        virtual_s=virtual_s,
        fired={kind: injector.fired[kind] for kind in FaultKind if injector.fired[kind]},
        mattered={kind: injector.mattered[kind] for kind in FaultKind if injector.mattered[kind]},
        probes=dict(world.history.probes),
        breaches=tuple(checks.breaches) if checks else (),
    )


async def _live(world: World, case: Case, checks: Watch | None) -> float:
    director = Director(world)
    async with world.running(), anyio.create_task_group() as tasks:
        world.history.record(Phase(name="setup"))
        await _furnish(world, case)
        world.history.record(Phase(name="faults"))
        director.begin()
        for op in case.ops:
            tasks.start_soon(world.users.carry_out, op, name=f"user {op.name}")
        await anyio.sleep(case.minutes * 60.0)
        world.history.record(Phase(name="healed"))
        director.end()
        healed_s = await _settle(world)
        world.history.record(Phase(name="rest"))
        if checks is not None:
            checks.at_rest(world.peek(), healed_for_s=healed_s)
        tasks.cancel_scope.cancel()
    return world.time.now_ns() / NS_PER_S


async def _furnish(world: World, case: Case) -> None:
    await world.add_image(IMAGE)
    for volume in volumes_of((*case.setup, *case.ops)):
        await world.add_volume(volume)
    for group in groups_of((*case.setup, *case.ops)):
        await world.add_group(group)
    for op in case.setup:
        await world.users.carry_out(op)


async def _settle(world: World) -> float:
    """Wait until nothing is left to do, for as long as that may take; tell how long it took."""
    since_s = anyio.current_time()
    with anyio.move_on_after(HEALED_S):
        while not _is_quiet(world):  # noqa: ASYNC110 - it may be anything at all that comes to its end last.
            await anyio.sleep(LOOK_S)
    healed_s = anyio.current_time() - since_s
    await anyio.sleep(QUIET_S)
    return healed_s


def _is_quiet(world: World) -> bool:
    is_idle = not world.conversations.open and not world.users.waiting and not world.brokers.in_flight()
    if not is_idle:
        return False
    truth = world.peek()
    return not any(memory.waiting for memory in truth.memories) and not lifting(truth)


def breach_of(run: Run) -> Breach | None:
    """Give the breach that a run found first."""
    return run.outcome.first
