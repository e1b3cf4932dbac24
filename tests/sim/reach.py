"""Cases that reach every probe on the real actors: the few that are known to, then more of their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.cases.case import Case
from sim.cases.portfolio import MIXES
from sim.cases.swarm import case_of
from sim.cases.workload import Act, Op
from sim.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What no case reaches, and who does.
OUT_OF_REACH: Final = {
    "dead_letter": "in a case nobody sends what may not travel: the questions of tests/properties/test_routing.py do"
}
#: Seeds of a mix of the portfolio, of one kind of fault alone, or of the swarm.  Together they reach everything else.
PICKED: Final[Mapping[str, tuple[int, ...]]] = {
    "echoed": (9, 8), "killed": (3,), "stores": (3, 100), "usurped": (1, 101, 102), "lost": (3, 100),
    "guest_dies": (4,), "reorder": (4,), "fsync_lost": (4,), "consumer_gone": (1,), "half_open": (3, 103),
    "partner_unsure": (6,), "partner_slow": (2,), "machine_down": (1,), "host_gone": (1,), "cut_one_way": (5,),
    "crash_at": (4,), "pause_at": (0,),
    "swarm": (18, 14, 5, 24, 22, 281, 100), "calm": (6,),
}  # fmt: skip
#: When a change of the product has moved what the picked ones reach: so many seeds more of each are tried.
MORE: Final = 4
CROWD: Final = 10


def cases() -> Iterator[Case]:
    """Give the cases, the picked ones first."""
    yield _crowd()
    for name, seeds in PICKED.items():
        yield from (_case(name, seed) for seed in seeds)
    for seed in range(100, 100 + MORE):
        yield from (_case(name, seed) for name in PICKED)


def _case(name: str, seed: int) -> Case:
    if name == "swarm":
        return case_of(seed, minutes=5.0, servers=3)
    if name == "calm":  # Many servers in a deep tree.
        return case_of(seed, kinds=(), cells=5, hosts=4, servers=6, minutes=4.0)
    mixes = {mix.name: mix for mix in MIXES}
    return mixes[name].case(seed) if name in mixes else case_of(seed, kinds=(FaultKind(name),), minutes=3.0)


def _crowd() -> Case:
    """Move so many servers at once that they do not all find room where each would rather go."""
    servers = [f"s{number}" for number in range(CROWD)]
    return Case(
        seed=1, cells=4, hosts=3, minutes=2.0,
        setup=tuple(Op(name=f"create-{name}", act=Act.CREATE, server=name, host="h1") for name in servers),
        ops=tuple(Op(name=f"move-{name}", act=Act.RESIZE, server=name) for name in servers),
    )  # fmt: skip
