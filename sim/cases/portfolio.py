"""The portfolio of mixes: which kinds of fault come together, so that each kind of mistake has weather that shows it.

One mix of everything hides what few faults find: a planted bug names the mix that it is hunted with.
"""

from typing import Final

import attrs

from sim.cases.case import Case
from sim.cases.swarm import case_of
from sim.cases.swarm_users import Habits
from sim.faults import Family, Fault, FaultKind

F = FaultKind
#: Of most mixes: whoever plants a mistake in a move has users who move servers all the time.
MOVERS: Final = Habits(errands=0.0)


@attrs.frozen(kw_only=True)
class Mix:
    """A family of cases, one for each seed: the same kinds of fault, in a small cloud, for a few minutes."""

    name: str
    text: str
    kinds: tuple[FaultKind, ...]
    minutes: float = 3.0
    servers: int = 2
    of_a_kind: int | None = None  # So many faults of each kind at most; None: as any seed has.
    conductors: int = 1
    cell_replicas: int = 1
    own_cell_weight: int = -1
    group: str = ""  # Of which all servers are; empty: of none.
    habits: Habits = MOVERS
    points: dict[Family, str] = attrs.field(factory=dict, hash=False)  # Where faults strike, from the begin on.

    def case(self, seed: int) -> Case:
        """Make a seed's case."""
        case = case_of(
            seed, kinds=self.kinds, minutes=self.minutes, servers=self.servers, of_a_kind=self.of_a_kind,
            conductors=self.conductors, cell_replicas=self.cell_replicas, own_cell_weight=self.own_cell_weight,
            group=self.group, habits=self.habits,
        )  # fmt: skip
        return attrs.evolve(case, faults=tuple(map(self._placed, case.faults)))

    def _placed(self, fault: Fault) -> Fault:
        point = self.points.get(fault.family)
        return attrs.evolve(fault, point=point, at_s=0.0, skip=0) if point else fault


CALM: Final = Mix(name="calm", text="nothing goes wrong", kinds=())
REFUSED: Final = Mix(
    name="refused",
    text="hypervisors and partners refuse, with their work done or not",
    kinds=(F.DRIVER_REFUSES, F.DRIVER_DIRTY, F.PARTNER_REFUSES, F.PARTNER_UNSURE),
    minutes=2.0,
    of_a_kind=5,
)
#: One chapter of each server: what a move that was undone has left behind, its next move would find, and use.
BROKEN_OFF: Final = Mix(
    name="broken_off",
    text="guests are made half, or made and not told of, as the last thing that can be undone",
    kinds=(F.DRIVER_DIRTY,),
    minutes=1.0,
    points={Family.DRIVER: "spawn"},
)
ECHOED: Final = Mix(
    name="echoed",
    text="what was refused, and is being undone, comes once more",
    kinds=(F.DOUBLE_LATE, F.DRIVER_REFUSES),
    minutes=1.0,
    of_a_kind=6,
    points={Family.DRIVER: "spawn", Family.MESSAGE: "spawn_guest"},
)
DOUBLED: Final = Mix(
    name="doubled", text="messages come twice, at once or late", kinds=(F.DOUBLE, F.DOUBLE_LATE, F.REORDER)
)
LATE: Final = Mix(
    name="late",
    text="commands come again after their step was refused and undone",
    kinds=(F.DOUBLE, F.DOUBLE_LATE, F.DELAY, F.REORDER, F.DRIVER_REFUSES, F.DRIVER_DIRTY, F.DRIVER_SLOW),
)
LOST: Final = Mix(
    name="lost",
    text="messages are lost, and links are cut",
    kinds=(F.LOSE, F.CONFIRM_LOST, F.DELAY, F.CUT, F.CUT_ONE_WAY, F.DRIVER_SLOW),
)
UNROUTED: Final = Mix(name="unrouted", text="queues are deleted, and made again", kinds=(F.UNROUTABLE,), of_a_kind=16)
KILLED: Final = Mix(
    name="killed", text="processes die at any point", kinds=(F.CRASH, F.CRASH_AT, F.CRASH_ALL, F.FSYNC_LOST)
)
USURPED: Final = Mix(
    name="usurped",
    text="conductors stand still while others take over",
    kinds=(F.USURP, F.PAUSE, F.PAUSE_AT, F.DRIVER_SLOW, F.PARTNER_SLOW),
)
SHARED: Final = Mix(
    name="shared",
    text="two conductors share the work, die, stand still, and have wrong clocks",
    kinds=(F.CRASH, F.CRASH_AT, F.PAUSE, F.PAUSE_AT, F.CLOCK_DRIFT, F.CLOCK_JUMP, F.DRIVER_SLOW, F.PARTNER_SLOW),
    conductors=2,
)
STORES: Final = Mix(
    name="stores",
    text="stores fail, before and after the commit",
    kinds=(F.STORE_ERROR, F.STORE_UNSURE, F.STORE_FULL, F.STORE_SLOW),
)
OWING: Final = Mix(
    name="owing",
    text="hypervisors will not destroy what a move has left, for a while",
    kinds=(F.DRIVER_REFUSES, F.DRIVER_DIRTY),
    minutes=2.0,
    of_a_kind=6,
    points={Family.DRIVER: "destroy"},
)
#: As the last thing that happens to a server: where a guest is left off, its next move would switch it on again.
UNSWITCHED: Final = Mix(
    name="unswitched",
    text="hypervisors will not switch guests on",
    kinds=(F.DRIVER_REFUSES,),
    minutes=1.0,
    of_a_kind=6,
    points={Family.DRIVER: "power_on"},
)
DYING: Final = Mix(name="dying", text="guests stop by themselves", kinds=(F.GUEST_DIES,), minutes=1.0)
FENCED: Final = Mix(
    name="fenced",
    text="machines of hosts lose their power, and are fenced; others stand still, and are not",
    kinds=(F.MACHINE_DOWN, F.HOST_GONE, F.PAUSE),
    of_a_kind=5,
)
GROUPED: Final = Mix(
    name="grouped",
    text="all servers are to be on different hosts, and some hosts refuse them",
    kinds=(F.DRIVER_REFUSES, F.DOUBLE_LATE),
    servers=3,
    group="g",
)
#: Of the usual cloud, two cells have two hosts.
HOMELY: Final = Mix(
    name="homely", text="nothing goes wrong, and moves rather stay in their cell", kinds=(), own_cell_weight=1
)
HOMELY_BROKEN_OFF: Final = attrs.evolve(
    BROKEN_OFF, name="homely_broken_off", text=f"{BROKEN_OFF.text}, and moves rather stay in their cell",
    own_cell_weight=1,
)  # fmt: skip

#: Whatever a server's host and its users do with it beside moves, as often as there is room for it.
BUSY: Final = Habits(holders=1.0, of_its_host=0.5, errands=0.75)
ERRANDS: Final = Mix(
    name="errands",
    text="nothing goes wrong; servers are held, imaged, rebuilt and migrated live all the time",
    kinds=(),
    servers=3,
    own_cell_weight=1,
    habits=BUSY,
)
ERRANDS_REFUSED: Final = attrs.evolve(
    ERRANDS, name="errands_refused", text="hypervisors and partners refuse what servers are held, imaged, rebuilt by",
    kinds=REFUSED.kinds, of_a_kind=6,
)  # fmt: skip
REBUILT_IN_VAIN: Final = attrs.evolve(
    ERRANDS, name="rebuilt_in_vain", text=f"{UNSWITCHED.text}, and servers are rebuilt all the time",
    kinds=UNSWITCHED.kinds, of_a_kind=6, points=UNSWITCHED.points,
)  # fmt: skip
NOT_RECEIVED: Final = attrs.evolve(
    ERRANDS, name="not_received", text="no hypervisor lets a guest go on that comes to it while it runs",
    kinds=(F.DRIVER_REFUSES, F.DRIVER_DIRTY), of_a_kind=6, points={Family.DRIVER: "receive"},
)  # fmt: skip

MIXES: Final = (
    CALM, REFUSED, BROKEN_OFF, ECHOED, DOUBLED, LATE, LOST, UNROUTED, KILLED, USURPED, SHARED, STORES, OWING,
    UNSWITCHED, DYING, FENCED, GROUPED, HOMELY, HOMELY_BROKEN_OFF, ERRANDS, ERRANDS_REFUSED, REBUILT_IN_VAIN,
    NOT_RECEIVED,
)  # fmt: skip
