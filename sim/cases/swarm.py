"""Swarm: a seed makes a case.  It first chooses which kinds of fault are on, then how many of each and how hard.

Mixes of everything hide what few faults find, and the other way round: so seeds draw from a portfolio of mixes.  Every
choice is keyed by what it is about (a server, a fault's name), never by what was drawn before.
"""

from collections.abc import Collection
from typing import Final

import attrs

from sim.cases.case import Case
from sim.cases.layout import Layout
from sim.cases.places import mistakes
from sim.cases.swarm_faults import Draw, draw_fault
from sim.cases.swarm_users import USUAL, Habits, stories
from sim.chance import Chance
from sim.faults import Fault, FaultKind, Plan

ALL_KINDS: Final = tuple(FaultKind)
#: Of the seeds, this share has no fault, then one kind only, then all of them; all others have a random subset.
NO_FAULT: Final = 0.05
ONE_KIND: Final = 0.25
EVERYTHING: Final = 0.40
#: In this share of the seeds, two conductors run at once.
TWO_CONDUCTORS: Final = 0.35
#: In this share, two replicas of each cell.
TWO_REPLICAS: Final = 0.2
#: In this share moves rather stay in their cell, where there is another host.
HOMELY: Final = 0.35
#: How many faults of one kind: few kinds may have many each, many kinds have few each.
OF_A_KIND_MAX: Final = 2
OF_ONE_KIND_MAX: Final = 6
FAULTS_MAX: Final = 16
STRATEGIES: Final = ("shuffled", "shuffled", "shuffled", "pct", "fifo")


def case_of(
    seed: int,
    *,
    cells: int = 4,
    hosts: int = 5,
    servers: int = 2,
    minutes: float = 10.0,
    kinds: Collection[FaultKind] | None = None,
    of_a_kind: int | None = None,
    strategy: str | None = None,
    layout: Layout | None = None,
    conductors: int | None = None,
    cell_replicas: int | None = None,
    own_cell_weight: int | None = None,
    group: str = "",
    habits: Habits = USUAL,
) -> Case:
    """Make a seed's case; `kinds` are on when they are given, at most so many of each, and else as the seed chooses."""
    chance = Chance(seed)
    if own_cell_weight is None:
        own_cell_weight = 1 if chance.hits(HOMELY, "moves rather stay") else -1
    if layout is None:
        conductors = conductors or (2 if chance.hits(TWO_CONDUCTORS, "two conductors") else 1)
        cell_replicas = cell_replicas or (2 if chance.hits(TWO_REPLICAS, "two replicas of cells") else 1)
        layout = attrs.evolve(Layout.tree(cells=cells, hosts=hosts, conductors=conductors), cell_replicas=cell_replicas)
    setup, ops = stories(chance, layout=layout, servers=servers, minutes=minutes, group=group, habits=habits)
    on = kinds_of(seed) if kinds is None else tuple(kind for kind in FaultKind if kind in kinds)
    case = Case(
        seed=seed,
        cells=len(layout.cells),
        hosts=len(layout.hosts),
        conductors=layout.conductors,
        cell_replicas=layout.cell_replicas,
        own_cell_weight=own_cell_weight,
        minutes=minutes,
        setup=setup,
        ops=ops,
        faults=_faults(chance, on, layout=layout, minutes=minutes, most=of_a_kind),
        strategy=strategy or chance.pick(STRATEGIES, "strategy"),
    )
    assert not (found := mistakes(case, layout)), found
    return case


def kinds_of(seed: int) -> tuple[FaultKind, ...]:
    """Choose the kinds of fault that are on under a seed."""
    chance = Chance(seed)
    mix = chance.uniform("mix")
    if mix < NO_FAULT:
        return ()
    if mix < ONE_KIND:
        return (chance.pick(ALL_KINDS, "the only kind"),)
    if mix < EVERYTHING:
        return ALL_KINDS
    share = chance.between(0.05, 0.4, "share")
    return tuple(kind for kind in ALL_KINDS if chance.hits(share, "on", kind))


def _faults(
    chance: Chance, kinds: tuple[FaultKind, ...], *, layout: Layout, minutes: float, most: int | None
) -> Plan:  # fmt: skip
    most = most or (OF_ONE_KIND_MAX if len(kinds) == 1 else OF_A_KIND_MAX)
    wanted = [(kind, number) for kind in kinds for number in range(chance.count(1, most, "how many", kind))]
    # Of everything there would be so much at once that no move gets far.
    kept = chance.shuffled(wanted, "kept")[:FAULTS_MAX]
    faults = [
        draw_fault(Draw(chance=chance, layout=layout, minutes=minutes, kind=kind, name=f"{kind}-{number}"))
        for kind, number in wanted
        if (kind, number) in kept
    ]
    return tuple(
        attrs.evolve(fault, name=f"f{number}") for number, fault in enumerate(sorted(faults, key=_when), start=1)
    )


def _when(fault: Fault) -> tuple[float, str]:
    return fault.at_s, fault.name
