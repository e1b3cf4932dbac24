"""The racing driver: two users give orders about one server at the same moment, or one clicks twice.

Windows between a check and its act are held open on purpose.
Each race is two acts and what the server is when they meet.  A seed makes a trial of it: who comes first and by how
much, who stands still in the middle of what, and in which order the loop takes what is ready.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, Final

import attrs

from protocol.moves.plans import PLANS
from protocol.states import Goal
from sim.cases.case import Case
from sim.cases.layout import Layout
from sim.cases.places import POSITIONS
from sim.cases.swarm import STRATEGIES
from sim.cases.workload import CHANGES, Act, Op
from sim.chance import Chance
from sim.faults import Fault, FaultKind
from sim.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SERVER: Final = "web"
LAYOUT: Final = Layout.tree(cells=3, hosts=3)
SOURCE: Final = "h1"
TARGET: Final = "h2"
ATTACHED: Final = "data"
#: The first comes at some instant of these; with it nothing else is in step.
FIRST_S: Final = (0.0, 2.0)
#: How far apart the two are: at the same instant, close by, or anywhere in a move and shortly after.
APART_S: Final = ((0.0, 0.0), (0.0, 0.1), (0.0, 3.0))
#: So long a process stands still that is to hold a window open; longer than a lease at times.
HELD_S: Final = (0.2, 8.0)
HELD: Final = 0.6
LATE: Final = 0.25
LATE_S: Final = (0.1, 10.0)

#: What users may want of a server that runs, and of one whose move waits for them.
ACTIVE: Final = (
    Act.RESIZE, Act.MIGRATE, Act.STOP, Act.REBOOT, Act.ATTACH, Act.DETACH, Act.SWAP, Act.DELETE, Act.RENAME, Act.LOCK,
    Act.REPAIR,
)  # fmt: skip
RESIZED: Final = (
    Act.CONFIRM, Act.REVERT, Act.RESIZE, Act.ATTACH, Act.DETACH, Act.SWAP, Act.DELETE, Act.RENAME, Act.LOCK, Act.REPAIR
)  # fmt: skip

#: What users have a server's host do beside its life, and the other acts that each of these meets.
_OF_ITS_HOST: Final[dict[Act, tuple[Act, ...]]] = {
    Act.SNAPSHOT: (Act.DELETE, Act.RESIZE, Act.ATTACH, Act.SNAPSHOT),
    Act.BACKUP: (Act.BACKUP, Act.STOP, Act.DELETE, Act.MIGRATE, Act.SNAPSHOT),
    Act.RESET_NETWORK: (Act.MIGRATE, Act.DELETE),
    Act.INJECT_NETWORK_INFO: (Act.RESIZE, Act.DELETE),
    Act.LIVE_MIGRATE: (
        Act.DELETE, Act.STOP, Act.ATTACH, Act.LIVE_MIGRATE, Act.RESIZE, Act.MIGRATE, Act.DETACH, Act.SWAP, Act.REBOOT,
        Act.SNAPSHOT, Act.BACKUP, Act.RENAME,
    ),
    Act.REBUILD: (
        Act.DELETE, Act.MIGRATE, Act.ATTACH, Act.SNAPSHOT, Act.RESIZE, Act.REBUILD, Act.LIVE_MIGRATE, Act.DETACH,
        Act.STOP, Act.BACKUP,
    ),
    Act.PAUSE: (
        Act.DELETE, Act.RESIZE, Act.PAUSE, Act.STOP, Act.ATTACH, Act.LIVE_MIGRATE, Act.SNAPSHOT, Act.REBUILD,
        Act.SUSPEND,
    ),
    Act.SUSPEND: (Act.DELETE, Act.MIGRATE, Act.SUSPEND, Act.LIVE_MIGRATE, Act.REBUILD, Act.BACKUP, Act.REBOOT),
    Act.SOFT_DELETE: (
        Act.DELETE, Act.RESIZE, Act.SOFT_DELETE, Act.LIVE_MIGRATE, Act.REBUILD, Act.SNAPSHOT, Act.DETACH, Act.LOCK,
    ),
}  # fmt: skip
#: What they want of a server just then when its move waits for them.
_SETTLING: Final[dict[Act, tuple[Act, ...]]] = dict.fromkeys(
    (Act.CONFIRM, Act.REVERT),
    (Act.PAUSE, Act.SUSPEND, Act.SOFT_DELETE, Act.REBUILD, Act.LIVE_MIGRATE, Act.SNAPSHOT, Act.BACKUP),
)
#: Situations in which what is newer than moves meets moves, their settling, deletes, and each other.
ERRANDS: Final[dict[str, tuple[tuple[Act, ...], dict[Act, tuple[Act, ...]]]]] = {
    "active": ((Act.CREATE,), _OF_ITS_HOST),
    "resized": ((Act.CREATE, Act.RESIZE), _SETTLING),
    "paused": (
        (Act.CREATE, Act.PAUSE),
        {Act.UNPAUSE: (Act.UNPAUSE, Act.DELETE, Act.SOFT_DELETE, Act.RESIZE, Act.LIVE_MIGRATE, Act.STOP)},
    ),
    "suspended": (
        (Act.CREATE, Act.SUSPEND), {Act.RESUME: (Act.RESUME, Act.DELETE, Act.SOFT_DELETE, Act.MIGRATE, Act.REBUILD)}
    ),
    "softly deleted": (
        (Act.CREATE, Act.SOFT_DELETE), {Act.RESTORE: (Act.RESTORE, Act.DELETE, Act.RESIZE, Act.SNAPSHOT)}
    ),
}  # fmt: skip
#: What users may want of a server that is only just being made.
BORN: Final = (Act.CREATE, Act.DELETE)

#: Where an act needs more than its server's name.
FIELDS: Final[dict[Act, dict[str, Any]]] = {
    Act.CREATE: {"host": SOURCE, "volume": ATTACHED},
    Act.RESIZE: {"host": TARGET},
    Act.MIGRATE: {"host": "h3"},
    Act.ATTACH: {"volume": "extra", "device": "/dev/vdc"},
    Act.DETACH: {"volume": ATTACHED},
    Act.SWAP: {"volume": ATTACHED, "replacement": "spare"},
}


@attrs.frozen(kw_only=True)
class Race:
    """Two orders that meet, and what was ordered of the server before."""

    name: str
    before: tuple[Act, ...]  # Empty: the server is not there yet.
    acts: tuple[Act, Act]


def _races() -> Iterator[Race]:
    situations = (
        ("born", (), BORN),
        ("active", (Act.CREATE,), ACTIVE),
        ("resized", (Act.CREATE, Act.RESIZE), RESIZED),
    )
    for situation, before, acts in situations:
        for first, second in combinations_with_replacement(acts, 2):
            if before or Act.CREATE in {first, second}:
                yield Race(name=f"{situation}: {first}+{second}", before=before, acts=(first, second))


def _errands() -> Iterator[Race]:
    for situation, (before, pairs) in ERRANDS.items():
        for first, others in pairs.items():
            for second in others:
                yield Race(name=f"{situation}: {first}+{second}", before=before, acts=(first, second))


#: Those that are known longest, and those of what came later.
OF_MOVES: Final = {race.name: race for race in _races()}
OF_ERRANDS: Final = {race.name: race for race in _errands()}
RACES: Final = {**OF_MOVES, **OF_ERRANDS}


def trials_of(race: Race, seeds: Iterable[int]) -> Iterator[Trial]:
    """Run a race under seeds, each another meeting of the two."""
    for seed in seeds:
        yield Trial(name=f"{race.name} #{seed}", case=case_of(race, seed))


def case_of(race: Race, seed: int) -> Case:
    """Make the case of a race under a seed."""
    chance = Chance(seed)
    return Case(
        seed=seed, cells=len(LAYOUT.cells), hosts=len(LAYOUT.hosts), minutes=1.0, setup=opening_of(race),
        ops=_meeting(chance, race), faults=tuple(_windows(chance, race)),
        strategy=chance.pick(STRATEGIES, race.name, "strategy"),
    )  # fmt: skip


def opening_of(race: Race, *, server: str = SERVER) -> tuple[Op, ...]:
    """Order what must be there before the two can meet."""
    return tuple(op_of(act, "before", server=server) for act in race.before)


def op_of(act: Act, name: str, *, server: str = SERVER, at_s: float = 0.0) -> Op:
    """Write down an act of a race."""
    fields = dict(FIELDS.get(act, {}))
    fields.update({field: f"{fields[field]}-{server}" for field in ("volume", "replacement") if field in fields})
    return Op(name=f"{server}-{name}-{act}", act=act, server=server, at_s=at_s, **fields)


def _meeting(chance: Chance, race: Race) -> tuple[Op, Op]:
    first_s = chance.between(*FIRST_S, race.name, "first")
    apart_s = chance.between(*chance.pick(APART_S, race.name, "how near"), race.name, "apart")
    times = [first_s, first_s + apart_s]
    if chance.hits(0.5, race.name, "turned"):
        times.reverse()
    one, other = (
        op_of(act, str(number), at_s=round(at_s, 3))
        for number, (act, at_s) in enumerate(zip(race.acts, times, strict=True), start=1)
    )
    return one, other


def _windows(chance: Chance, race: Race) -> Iterator[Fault]:
    """Hold somebody in the middle of something: whoever passes a point of either act, or a message on its way."""
    points = tuple(f"{name}/do/{position}" for name in _steps(race) for position in POSITIONS)
    if points and chance.hits(HELD, race.name, "held"):
        yield Fault(
            kind=FaultKind.PAUSE_AT, name="held", point=chance.pick(points, race.name, "where"),
            for_s=round(chance.between(*HELD_S, race.name, "for"), 2),
        )  # fmt: skip
    if chance.hits(LATE, race.name, "late"):
        kind = chance.pick((FaultKind.DELAY, FaultKind.DOUBLE_LATE, FaultKind.LOSE), race.name, "kind")
        late_s = 0.0 if kind is FaultKind.LOSE else round(chance.between(*LATE_S, race.name, "by"), 2)
        yield Fault(kind=kind, name="late", skip=chance.count(0, 40, race.name, "which"), amount_s=late_s)


def _steps(race: Race) -> tuple[str, ...]:
    """Name the steps of what both acts set in motion, each once."""
    plans = (PLANS[Goal(act.value)] for act in race.acts if act not in CHANGES)
    return tuple(dict.fromkeys(step.name for plan in plans for step in plan.steps))
