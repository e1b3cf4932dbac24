"""Cases that seeds make: valid, the same everywhere, and of all sorts."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from sim.cases.case import Case
from sim.cases.layout import Layout
from sim.cases.places import crash_points, links, mistakes, process_names, queue_names
from sim.cases.swarm import ALL_KINDS, case_of, kinds_of
from sim.cases.workload import Act, Op
from sim.faults import Fault, FaultKind
from sim.history import Started
from sim.points import point_of
from sim.running import run_case

SEEDS = st.integers(0, 2**63)
SOME = range(400)
DIGEST = "import hashlib; from sim.cases.swarm import case_of; "
DIGEST += "print(hashlib.sha256(''.join(case_of(n).to_json() for n in range(60)).encode()).hexdigest())"


@given(SEEDS, st.integers(2, 12), st.integers(1, 9), st.integers(1, 5), st.floats(0.5, 120))
def test_every_case_names_only_what_its_world_has(
    seed: int, cells: int, hosts: int, servers: int, minutes: float
) -> None:
    """Whatever the world's size, processes, hosts, points and earlier operations are there."""
    case = case_of(seed, cells=cells, hosts=hosts, servers=servers, minutes=minutes)
    assert mistakes(case) == []
    created = [op.server for op in (*case.setup, *case.ops) if op.act is Act.CREATE]
    assert sorted(created) == [f"s{number}" for number in range(1, servers + 1)]
    assert all(fault.at_s < minutes * 60 for fault in case.faults)


@given(SEEDS)
def test_a_case_travels_as_json(seed: int) -> None:
    """Reading back what was written gives the same case: times without end, too."""
    case = case_of(seed)
    assert Case.from_json(case.to_json()) == case


@given(SEEDS, st.integers(2, 4))
def test_more_servers_change_neither_the_first_ones_story_nor_the_faults(seed: int, servers: int) -> None:
    """Draws are keyed by what they are about, so that taking a server away leaves all else as it was."""
    alone, together = case_of(seed, servers=1), case_of(seed, servers=servers)
    assert _story(alone) == _story(together)
    assert alone.faults == together.faults


def _story(case: Case) -> list[tuple[Act, float, str, str]]:
    return [(op.act, op.at_s, op.host, op.volume) for op in (*case.setup, *case.ops) if op.server == "s1"]


def test_a_seed_gives_the_same_case_in_another_process() -> None:
    """No draw depends on hashes that differ from process to process."""
    here = hashlib.sha256("".join(case_of(seed).to_json() for seed in range(60)).encode()).hexdigest()
    there = subprocess.run(  # noqa: S603 - our own interpreter, with a program that stands above
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "99"}
    )
    assert there.stdout.strip() == here


def test_seeds_draw_from_a_portfolio() -> None:
    """Some have no fault, some one kind only, some all kinds, and most a subset of their own."""
    sizes = Counter(len(kinds_of(seed)) for seed in SOME)
    assert min(sizes[0], sizes[1], sizes[len(ALL_KINDS)]) >= len(SOME) // 50
    assert sum(1 for size in sizes if 1 < size < len(ALL_KINDS)) >= 8


def test_every_kind_of_fault_and_every_act_is_drawn() -> None:
    """Nothing of the vocabulary is left to be tried by hand only."""
    cases = [case_of(seed) for seed in SOME]
    assert {fault.kind for case in cases for fault in case.faults} == set(ALL_KINDS) == set(FaultKind)
    assert {op.act for case in cases for op in (*case.setup, *case.ops)} == set(Act)
    assert {case.strategy for case in cases} == {"shuffled", "pct", "fifo"}


def test_users_click_twice_settle_both_ways_and_cannot_wait() -> None:
    """What is only wrong when two things happen at once is asked for at once."""
    cases = [case_of(seed) for seed in range(100)]
    at_once = [
        {first.act, second.act}
        for case in cases
        for first in case.ops
        for second in case.ops
        if first.name < second.name
        and (first.server, first.at_s, first.after) == (second.server, second.at_s, second.after)
    ]
    assert {Act.CONFIRM, Act.REVERT} in at_once
    assert {Act.MIGRATE} in at_once
    assert {Act.CONFIRM} in at_once
    settling = {Act.CONFIRM, Act.REVERT}
    assert any(op.act in settling and not op.after for case in cases for op in case.ops)


@given(SEEDS, st.sets(st.sampled_from(FaultKind), max_size=4))
def test_kinds_that_are_given_are_the_only_ones(seed: int, kinds: set[FaultKind]) -> None:
    """Then the seed chooses only how many and how hard."""
    assert {fault.kind for fault in case_of(seed, kinds=kinds).faults} == kinds


# --- the places --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def healthy() -> tuple[frozenset[str], frozenset[str]]:
    """What a short run on a good day starts, and which points it passes."""
    create = Op(name="o1", act=Act.CREATE, server="s1", host="h1", volume="v")
    move = Op(name="o2", act=Act.MIGRATE, server="s1")
    settle = Op(name="o3", act=Act.CONFIRM, server="s1", after="o2")
    case = Case(seed=1, cells=3, hosts=2, minutes=0.5, setup=(create,), ops=(move, settle))
    lines = run_case(case, is_checked=False).history.lines
    started = frozenset(line.what.process for line in lines if isinstance(line.what, Started))
    return started, frozenset(point for line in lines if (point := point_of(line.what)))


def test_the_processes_named_are_those_of_a_world(healthy: tuple[frozenset[str], frozenset[str]]) -> None:
    """A fault's place is a process that really runs."""
    assert set(process_names(Layout.tree(cells=3, hosts=2))) == healthy[0]


def test_the_points_named_hold_all_that_a_move_passes(healthy: tuple[frozenset[str], frozenset[str]]) -> None:
    """A process can be stopped at every point of a move, and at each position of a step."""
    assert healthy[1] <= set(crash_points())
    assert {point.rpartition("/")[2] for point in healthy[1]} >= {"before_send", "after_effect", "after_record"}


def test_links_and_queues_are_between_processes_that_there_are() -> None:
    """Every cell is linked with its parent, and has a queue for each neighbour and mailbox."""
    layout = Layout.tree(cells=5, hosts=4)
    names = set(process_names(layout))
    assert {name for pair in links(layout) for name in pair} <= names
    assert ("api/link", "api!c1/link") in links(layout)
    assert {"cell", "host:h1", "link", "from:api", "replies:cell:0"} <= set(
        queue_names(layout, CellPath.parse("api!c1"))
    )


FAULTS = {
    "which is not there": Fault(kind=FaultKind.CRASH, name="f1", where="api/nobody"),
    "names h9": Fault(kind=FaultKind.DRIVER_SLOW, name="f1", where="h9"),
    "names nowhere": Fault(kind=FaultKind.BROKER_WIPE, name="f1", where="nowhere"),
    "names queue": Fault(kind=FaultKind.UNROUTABLE, name="f1", where="api", other="queue"),
    "names shop": Fault(kind=FaultKind.PARTNER_SLOW, name="f1", where="shop"),
    "which no step passes": Fault(kind=FaultKind.CRASH_AT, name="f1", where="api/cell", point="dance/do/after_send"),
}
OPS = {
    "comes after o9": Op(name="o2", act=Act.STOP, server="s1", after="o9"),
    "names host h9": Op(name="o2", act=Act.MIGRATE, server="s1", host="h9"),
    "about server s9": Op(name="o2", act=Act.STOP, server="s9"),
    "operation o1 is there twice": Op(name="o1", act=Act.STOP, server="s1"),
}
SOUND = Case(seed=1, setup=(Op(name="o1", act=Act.CREATE, server="s1"),))


@pytest.mark.parametrize("mistake", [*FAULTS, *OPS])
def test_what_is_not_there_is_a_mistake(mistake: str) -> None:
    """A case that names what its world does not have is told so, by name."""
    if mistake in FAULTS:
        case = attrs.evolve(SOUND, faults=(FAULTS[mistake],))
    else:
        case = attrs.evolve(SOUND, ops=(OPS[mistake],))
    assert mistakes(SOUND) == []
    assert len(mistakes(case)) == 1
    assert mistake in mistakes(case)[0]


def test_a_fault_that_is_there_twice_is_a_mistake() -> None:
    """Its name keys its chances, so that two of one name would not be told apart."""
    fault = Fault(kind=FaultKind.CRASH_ALL, name="f1")
    assert mistakes(attrs.evolve(SOUND, faults=(fault, fault))) == ["fault f1 is there twice"]


def test_a_pattern_stands_for_any_process_that_fits() -> None:
    """A star at the end stands for the rest, but not for nobody at all."""
    fits = Fault(kind=FaultKind.CUT, name="f1", where="api!c1/*", other="api/link")
    assert mistakes(attrs.evolve(SOUND, faults=(fits,))) == []
    assert mistakes(attrs.evolve(SOUND, faults=(attrs.evolve(fits, where="api!c99/*"),)))
