"""What properties of whole clouds draw from: cases with lists of faults.  Few and small things, so that they shrink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import hypothesis
from hypothesis import strategies as st

from sim.cases.case import Case
from sim.cases.layout import Layout
from sim.cases.swarm import ALL_KINDS
from sim.cases.swarm_faults import Draw, draw_fault
from sim.cases.workload import Act, Op
from sim.chance import Chance
from sim.faults import Fault, FaultKind

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

SERVERS: Final = ("web", "db")
#: So many examples a property has at least, whatever the profile says.
LEAST: Final = 5
OPS_MAX: Final = 5
FAULTS_MAX: Final = 5
#: Of each cell, in some of the cases.
REPLICAS: Final = 2
#: What may name a host to go to.
MOVING: Final = frozenset({Act.RESIZE, Act.MIGRATE, Act.LIVE_MIGRATE})
LAYOUTS: Final = ((3, 2), (3, 3), (4, 3), (5, 4))
#: What a user may ask for: moves and their settling more often than the rest.
ACTS: Final = (
    Act.RESIZE, Act.MIGRATE, Act.CONFIRM, Act.REVERT, Act.RESIZE, Act.CONFIRM, Act.REVERT,
    Act.STOP, Act.START, Act.REBOOT, Act.ATTACH, Act.DETACH, Act.SWAP,
    Act.PAUSE, Act.UNPAUSE, Act.SUSPEND, Act.RESUME, Act.SOFT_DELETE, Act.RESTORE, Act.SNAPSHOT, Act.BACKUP,
    Act.REBUILD, Act.LIVE_MIGRATE, Act.RESET_NETWORK, Act.INJECT_NETWORK_INFO, Act.DELETE,
)  # fmt: skip


def share_of_profile(share: float, **more: Any) -> hypothesis.settings:
    """Make the settings of a property whose examples are whole runs: a share of what the profile says is enough.

    Which lines of a program a failure explains costs more time than all else: each line of every actor would be traced.
    """
    profile = hypothesis.settings.default
    assert profile is not None, "a profile is loaded"
    return hypothesis.settings(
        max_examples=max(LEAST, round(profile.max_examples * share)),
        phases=[phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain],
        **more,
    )


@attrs.frozen(kw_only=True)
class Drawn(Draw):
    """What one fault is drawn from, when it is Hypothesis that decides: the swarm's makers draw from it as ever."""

    source: DrawFn

    def between(self, low: float, high: float, what: str) -> float:
        """Draw a number of few digits."""
        del what
        tenths = st.integers(0, 10).map(lambda tenth: low + (high - low) * tenth / 10)
        return float(f"{self.source(tenths):.3g}")

    def count(self, low: int, high: int, what: str) -> int:
        """Draw a whole number."""
        del what
        return int(self.source(st.integers(low, high)))

    def pick(self, options: tuple[Any, ...], what: str) -> Any:
        """Choose one."""
        del what
        return self.source(st.sampled_from(options))

    def hits(self, chance: float, what: str) -> bool:
        """Decide."""
        del chance, what
        return bool(self.source(st.booleans()))


@st.composite
def faults(draw: DrawFn, layout: Layout, *, minutes: float, number: int, kinds: tuple[FaultKind, ...]) -> Fault:
    """Draw a fault of any kind, that names only what is there."""
    kind = draw(st.sampled_from(kinds))
    return draw_fault(
        Drawn(chance=Chance(0), layout=layout, minutes=minutes, kind=kind, name=f"f{number}", source=draw)
    )


@st.composite
def operations(draw: DrawFn, layout: Layout, servers: tuple[str, ...]) -> tuple[Op, ...]:
    """Draw what users do, each at a time, or a while after the one before it about the same server."""
    last: dict[str, str] = {}
    ops: list[Op] = []
    for number in range(1, draw(st.integers(1, OPS_MAX)) + 1):
        server = draw(st.sampled_from(servers))
        op = _operation(draw, f"o{number}", server, layout, after=last.get(server, ""))
        ops.append(op)
        last[server] = op.name
    return tuple(ops)


def _operation(draw: DrawFn, name: str, server: str, layout: Layout, *, after: str) -> Op:
    act = draw(st.sampled_from(ACTS))
    return Op(
        name=name, act=act, server=server,
        at_s=draw(st.sampled_from((0.0, 1.0, 5.0, 20.0))),
        after=draw(st.sampled_from((after, ""))),
        host=draw(st.sampled_from(("", *layout.hosts))) if act in MOVING else "",
        volume=f"extra-{server}" if act in {Act.ATTACH, Act.DETACH, Act.SWAP} else "",
        replacement=f"spare-{server}" if act is Act.SWAP else "",
    )  # fmt: skip


@st.composite
def cases(draw: DrawFn, kinds: tuple[FaultKind, ...] = ALL_KINDS) -> Case:
    """Draw a case: a cloud, one or two servers, what users do with them, and a list of faults."""
    cells, hosts = draw(st.sampled_from(LAYOUTS))
    layout = attrs.evolve(
        Layout.tree(cells=cells, hosts=hosts), cell_replicas=draw(st.sampled_from((1, 1, 1, REPLICAS)))
    )
    servers = SERVERS[: draw(st.integers(1, len(SERVERS)))]
    minutes = draw(st.sampled_from((1.0, 2.0, 4.0)))
    plan = [
        draw(faults(layout, minutes=minutes, number=number, kinds=kinds))
        for number in range(1, draw(st.integers(0, FAULTS_MAX)) + 1)
    ]
    return Case(
        seed=draw(st.integers(0, 99)), cells=cells, hosts=hosts, minutes=minutes,
        own_cell_weight=draw(st.sampled_from((-1, 1))),
        cell_replicas=layout.cell_replicas,
        setup=tuple(_creation(draw, server) for server in servers),
        ops=draw(operations(layout, servers)),
        faults=tuple(plan),
        strategy=draw(st.sampled_from(("fifo", "shuffled", "pct"))),
    )  # fmt: skip


def _creation(draw: DrawFn, server: str) -> Op:
    has_volume = draw(st.booleans())
    return Op(
        name=f"create-{server}", act=Act.CREATE, server=server, host="h1", volume=f"data-{server}" * has_volume,
        is_volume_backed=draw(st.booleans()),
    )  # fmt: skip
