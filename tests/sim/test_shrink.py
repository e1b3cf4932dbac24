"""Shrinking: what is not needed goes, what is needed stays, and no other breach is taken for the wanted one."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from sim.cases.case import Breach, Case
from sim.cases.layout import Layout
from sim.cases.places import mistakes
from sim.cases.swarm import case_of
from sim.cases.workload import Act, Op
from sim.faults import Fault, FaultKind
from sim.shrink import shrink

WANTED = Breach(invariant="one_guest", server="s1", step=9, text="it runs twice")
OTHER = attrs.evolve(WANTED, invariant="no_leaks")
SEEDS = st.integers(0, 10_000)
PLENTY = 5000


def shrunk(case: Case, *, faults: set[str], op: str) -> Case:
    """Shrink a case that fails as long as it has these faults and this operation, by name."""

    def fails(candidate: Case) -> Breach | None:
        has_faults = faults <= {fault.name for fault in candidate.faults}
        has_op = op in {each.name for each in candidate.ops}
        return WANTED if has_faults and has_op else None

    return shrink(case, fails=fails, within=PLENTY, wanted=WANTED)


@given(SEEDS, st.data())
def test_what_is_not_needed_goes(seed: int, data: st.DataObject) -> None:
    """Of many faults, operations and servers those stay that the breach needs, and what an operation comes after."""
    case = case_of(seed, servers=3, kinds=tuple(FaultKind)[:12])
    needed = {fault.name for fault in data.draw(st.lists(st.sampled_from(case.faults), max_size=2))}
    op = data.draw(st.sampled_from(case.ops))
    small = shrunk(case, faults=needed, op=op.name)
    assert {fault.name for fault in small.faults} == needed
    assert {each.name for each in small.ops} == _with_earlier(case, op)
    assert {each.server for each in (*small.setup, *small.ops)} == {op.server}
    assert mistakes(small) == []


def _with_earlier(case: Case, op: Op) -> set[str]:
    by_name = {each.name: each for each in case.ops}
    names = {op.name}
    while op.after in by_name:
        op = by_name[op.after]
        names.add(op.name)
    return names


@given(SEEDS)
def test_what_needs_nothing_ends_with_nothing(seed: int) -> None:
    """A breach that is always there is shown in the smallest world, with no fault and no operation."""
    small = shrink(case_of(seed), fails=lambda _: WANTED, within=PLENTY, wanted=WANTED)
    assert (small.faults, small.ops, small.setup) == ((), (), ())
    assert (small.cells, small.hosts, small.minutes, small.strategy) == (2, 1, 0.5, "fifo")


@given(SEEDS, st.integers(0, 30))
def test_it_runs_no_more_cases_than_it_may(seed: int, within: int) -> None:
    """Who waits for it has so much patience; what it gives fails all the same."""
    ran: list[Case] = []

    def fails(candidate: Case) -> Breach | None:
        ran.append(candidate)
        return WANTED if len(candidate.faults) % 2 == 0 else None

    case = case_of(seed)
    small = shrink(case, fails=fails, within=within, wanted=WANTED)
    assert len(ran) <= within
    assert small == case or small in ran
    assert small == case or len(small.faults) % 2 == 0


def test_another_breach_is_another_story() -> None:
    """A candidate that breaks something else is not kept, though it fails."""
    case = case_of(3)
    assert case.faults
    small = shrink(case, fails=lambda each: WANTED if each == case else OTHER, within=PLENTY, wanted=WANTED)
    assert small == case


def test_no_case_is_run_twice() -> None:
    """A run is what costs."""
    ran: list[str] = []
    case = case_of(5, servers=3)

    def fails(candidate: Case) -> Breach | None:
        ran.append(candidate.to_json())
        return WANTED if len(candidate.faults) >= 2 else None

    shrink(case, fails=fails, within=PLENTY, wanted=WANTED)
    assert len(ran) == len(set(ran))


@given(SEEDS)
def test_every_case_that_it_runs_is_sound(seed: int) -> None:
    """A smaller world never leaves a fault or an operation without its place."""

    def fails(candidate: Case) -> Breach | None:
        assert mistakes(candidate) == []
        return WANTED if candidate.faults else None

    shrink(case_of(seed), fails=fails, within=PLENTY, wanted=WANTED)


def test_a_suspect_is_tried_alone_first() -> None:
    """When it was that one, hardly any run is needed for all the others."""
    case = case_of(11, kinds=tuple(FaultKind))
    ran: list[Case] = []
    suspect = case.faults[-1].name

    def fails(candidate: Case) -> Breach | None:
        ran.append(candidate)
        return WANTED if suspect in {fault.name for fault in candidate.faults} else None

    small = shrink(case, fails=fails, within=3, wanted=WANTED, suspects=(suspect,))
    assert [fault.name for fault in small.faults] == [suspect]
    assert [len(each.faults) for each in ran[:2]] == [0, 1]


def test_what_stays_becomes_weaker() -> None:
    """A fault that strikes now and then for a while strikes once and surely, early and for a short time."""
    fault = Fault(kind=FaultKind.DELAY, name="f1", at_s=37.4, for_s=120, chance=0.3, times=0, skip=4, amount_s=60)
    case = Case(seed=1, faults=(fault,), minutes=30.0)
    small = shrink(case, fails=lambda each: WANTED if each.faults else None, within=PLENTY, wanted=WANTED)
    (weak,) = small.faults
    assert (weak.chance, weak.times, weak.skip, weak.at_s) == (1.0, 1, 0, 0.0)
    assert weak.for_s <= 1.0
    assert weak.amount_s <= 1.0


def test_what_must_be_late_stays_late() -> None:
    """Times are rounded for the reader as far as the breach allows, and no further."""
    case = Case(seed=1, faults=(Fault(kind=FaultKind.CRASH_ALL, name="f1", at_s=37.4),))
    small = shrink(
        case, within=PLENTY, wanted=WANTED,
        fails=lambda each: WANTED if each.faults and each.faults[0].at_s >= 33 else None,
    )  # fmt: skip
    assert small.faults[0].at_s == 37.0


def test_operations_and_servers_become_plain() -> None:
    """A server from an image without volumes, moved to any host, is easier to think of than any other."""
    create = Op(name="o1", act=Act.CREATE, server="s1", host="h2", volume="v", is_volume_backed=True)
    stop = Op(name="o2", act=Act.STOP, server="s1", after="o1")
    move = Op(name="o3", act=Act.RESIZE, server="s1", at_s=47.4, host="h3")
    case = Case(seed=1, setup=(create, stop), ops=(move,))
    small = shrink(case, fails=lambda each: WANTED if each.ops else None, within=PLENTY, wanted=WANTED)
    assert small.setup == (Op(name="o1", act=Act.CREATE, server="s1"),)
    assert small.ops == (Op(name="o3", act=Act.MIGRATE, server="s1"),)


def test_a_given_cloud_stays() -> None:
    """In a person's own cloud there is nothing to make smaller, and its names are the ones that count."""
    cloud = Layout()
    case = Case(seed=1, cells=5, hosts=4, faults=(Fault(kind=FaultKind.CRASH, name="f1", where="api!eu/cell"),))
    small = shrink(
        case, fails=lambda each: WANTED if each.faults else None, within=PLENTY, wanted=WANTED, layout=cloud
    )  # fmt: skip
    assert (small.cells, small.hosts) == (5, 4)
    assert mistakes(small, cloud) == []


def test_what_comes_after_an_operation_goes_with_it() -> None:
    """A chain goes as one, for without its first link none of the others would ever be asked for."""
    create = Op(name="o0", act=Act.CREATE, server="s1")
    chain = tuple(Op(name=f"o{n}", act=Act.STOP, server="s1", after=f"o{n - 1}") for n in range(1, 20))
    alone = Op(name="o20", act=Act.MIGRATE, server="s1")
    ran: list[Case] = []

    def fails(candidate: Case) -> Breach | None:
        ran.append(candidate)
        return WANTED if alone in candidate.ops else None

    small = shrink(Case(seed=1, setup=(create,), ops=(*chain, alone)), fails=fails, within=5, wanted=WANTED)
    assert small.ops == (alone,)
