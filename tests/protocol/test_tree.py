"""What a cell knows of the tree: its own room counted, what children told joined and added, the mute left out."""

from __future__ import annotations

from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.errors import UnknownCell
from protocol.records import Allocation, Amounts, Capacities, CellProfile, Flavor, Host, Neighbour, Service, Size
from protocol.tree import (
    US_PER_S,
    Edge,
    HostFree,
    Rules,
    added,
    configure,
    down_hosts,
    free_of,
    is_mute,
    joined,
    own_capacities,
    sizes_of,
    view,
)

HERE: Final = CellPath.parse("api!eu")
ONE, TWO, THREE = (str(HERE.child(name)) for name in ("one", "two", "three"))
A_DAY_S: Final = 86_400
names = st.sampled_from(["os", "hypervisor", "zone"])
capabilities = st.dictionaries(names, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1).map(tuple), max_size=3)
amounts = st.builds(
    Amounts,
    total_mb=st.integers(0, 9999),
    units_by_mb=st.dictionaries(st.sampled_from(["50", "100"]), st.integers(0, 99)),
)
capacities = st.builds(Capacities, ram_free=amounts, disk_free=amounts)


# --- own capacities ----------------------------------------------------------------------------------------

#: Nova's own hosts: 1024 MB and 100 GB each, of which this is free.
NOVAS: Final = tuple(
    HostFree(memory_mb=1024, memory_mb_free=memory, disk_mb=102_400, disk_mb_free=disk * 1024)
    for memory, disk in ((-1, -1), (0, 0), (1024, 100), (300, 30))
)


@pytest.mark.proves("R117")
@pytest.mark.parametrize(
    ("reserve", "ram_units", "disk_units"), [(0, 26, 5), (50, 10, 2), (100, 0, 0)], ids=["none", "half", "all"]
)
def test_room_is_counted_as_nova_counts_it(reserve: float, ram_units: int, disk_units: int) -> None:
    """By host, the reserve taken off the units and not off the totals; what a host lacks is taken from no other."""
    found = own_capacities(NOVAS, (Size(memory_mb=50, disk_mb=25_600),), reserve_percent=reserve)
    assert found.ram_free == Amounts(total_mb=1324, units_by_mb={"50": ram_units})
    assert found.disk_free == Amounts(total_mb=130 * 1024, units_by_mb={"25600": disk_units})


@pytest.mark.proves("R117")
def test_of_a_size_of_nothing_there_are_none() -> None:
    """A flavor without a disk takes no disk: that is counted as none, and not as endless."""
    found = own_capacities(NOVAS, (Size(memory_mb=50, disk_mb=0),), reserve_percent=0)
    assert found.disk_free.units_by_mb == {"0": 0}


@given(free=st.lists(st.integers(-10, 5000)), size=st.integers(0, 700), less=st.floats(0, 100), more=st.floats(0, 100))
@pytest.mark.proves("R117")
def test_a_larger_reserve_never_leaves_more(free: list[int], size: int, less: float, more: float) -> None:
    """And the servers that fit never need more than there is."""
    less, more = sorted((less, more))
    hosts = tuple(HostFree(memory_mb=5000, memory_mb_free=mb, disk_mb=0, disk_mb_free=0) for mb in free)
    sizes = (Size(memory_mb=size, disk_mb=1),)
    with_less = own_capacities(hosts, sizes, reserve_percent=less).ram_free
    with_more = own_capacities(hosts, sizes, reserve_percent=more).ram_free
    assert with_less.units_by_mb[str(size)] >= with_more.units_by_mb[str(size)] >= 0
    assert with_less.total_mb == with_more.total_mb
    assert with_less.units_by_mb[str(size)] * size <= with_less.total_mb


@pytest.mark.proves("R117")
def test_hosts_that_take_no_servers_have_no_room() -> None:
    """Those that are disabled, and those that are down."""
    hosts = [
        Host(name=name, vcpus=1, memory_mb=1000, disk_gb=10, availability_zone="", is_enabled=name != "off")
        for name in ("up", "off", "down")
    ]
    held = Allocation(consumer="s", host="up", server="s", vcpus=1, memory_mb=400, disk_gb=3)
    assert free_of(hosts, [held], down=frozenset({"down"})) == (
        HostFree(memory_mb=1000, memory_mb_free=600, disk_mb=10_240, disk_mb_free=7 * 1024),
    )


@pytest.mark.proves("R117")
def test_a_host_is_down_that_reported_and_then_does_no_more() -> None:
    """One that only announced itself is not known to be; nor is any while the cell itself was away."""

    def service(host: str, seen_s: int, reports: int = 9) -> Service:
        return Service(
            id=host, host=host, binary="nova-compute", report_count=reports, created_at_us=0,
            last_seen_us=seen_s * US_PER_S,
        )  # fmt: skip

    services = [service("gone", 10), service("there", 90), service("told once", 10, reports=1)]
    profile = CellProfile(cell="api", down_host_s=60)
    assert down_hosts(profile, services, now_us=100 * US_PER_S) == {"gone"}
    just_started = attrs.evolve(profile, started_us=95 * US_PER_S)
    assert down_hosts(just_started, services, now_us=100 * US_PER_S) == frozenset()
    assert down_hosts(CellProfile(cell="api"), services, now_us=100 * US_PER_S) == frozenset()
    assert down_hosts(None, services, now_us=100 * US_PER_S) == frozenset()


def test_sizes_are_those_of_flavors_each_once() -> None:
    """A flavor takes its root disk and its ephemeral one."""
    flavor = Flavor(name="a", vcpus=1, memory_mb=512, disk_gb=2, ephemeral_gb=1)
    assert sizes_of([flavor, attrs.evolve(flavor, name="b")]) == (Size(memory_mb=512, disk_mb=3072),)


# --- together ----------------------------------------------------------------------------------------------


@given(st.lists(capabilities, max_size=4), st.randoms(use_true_random=False))
@pytest.mark.proves("R114")
def test_capabilities_are_joined_as_sets_in_any_order(each: list[dict[str, tuple[str, ...]]], random: object) -> None:
    """Every value that any has, once; joining again changes nothing."""
    shuffled = list(each)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    together = joined(each)
    assert together == joined(shuffled) == joined([together, *each])
    for name, values in together.items():
        assert set(values) == {value for one in each for value in one.get(name, ())}
        assert len(set(values)) == len(values)


@given(st.lists(capacities, max_size=4))
@pytest.mark.proves("R115")
def test_capacities_are_added_size_by_size(each: list[Capacities]) -> None:
    """A size that only one knows is there with that one's number."""
    together = added(each).ram_free
    assert together.total_mb == sum(one.ram_free.total_mb for one in each)
    for size in {size for one in each for size in one.ram_free.units_by_mb}:
        assert together.units_by_mb[size] == sum(one.ram_free.units_by_mb.get(size, 0) for one in each)


def told(cell: str, *, heard_s: int | None = 0, total_mb: int = 1234) -> Neighbour:
    """Make a child that was heard so many seconds after the start."""
    return Neighbour(
        cell=cell, last_seen_us=None if heard_s is None else heard_s * US_PER_S, capabilities={"os": (cell[-3:],)},
        capacities=Capacities(ram_free=Amounts(total_mb=total_mb)),
    )  # fmt: skip


PROFILE: Final = CellProfile(cell=str(HERE), capabilities={"os": ("own",)}, mute_child_s=300)


@pytest.mark.proves("R115")
def test_novas_three_children_add_up() -> None:
    """1234 MB in each of three is 3702 MB."""
    seen = view(HERE, PROFILE, [told(ONE), told(TWO), told(THREE)], (), now_us=0)
    assert seen.capacities().ram_free.total_mb == 3702


@pytest.mark.proves("R114", "R115")
def test_what_mute_children_told_is_not_passed_on() -> None:
    """Otherwise than Nova: their capacities neither, for where nobody answers there is no room for anybody."""
    seen = view(HERE, PROFILE, [told(ONE, heard_s=0), told(TWO, heard_s=400)], (), now_us=500 * US_PER_S)
    assert seen.mute == {ONE}
    assert seen.capabilities() == {"os": ("own", "two")}
    assert seen.capacities().ram_free.total_mb == 1234


@pytest.mark.proves("R116")
def test_capacities_are_looked_up_by_cell() -> None:
    """A cell's own are all together, a child's what it told; of any other cell, the parent too, nothing is known."""
    parent = Neighbour(cell="api", is_parent=True)
    seen = view(HERE, PROFILE, [parent, told(ONE, total_mb=1), told(TWO, total_mb=2)], (), now_us=0)
    assert seen.capacities_of() == seen.capacities_of(HERE) == seen.capacities()
    assert seen.capacities_of(HERE.child("two")).ram_free.total_mb == 2
    assert seen.capabilities_of(HERE.child("one")) == {"os": ("one",)}
    for stranger in ("api", "api!eu!four", "api!us"):
        with pytest.raises(UnknownCell, match=f"api!eu has no neighbour {stranger}"):
            seen.capacities_of(CellPath.parse(stranger))


# --- silence -----------------------------------------------------------------------------------------------


@given(
    heard_s=st.none() | st.integers(0, 10 * A_DAY_S),
    since_s=st.integers(0, 10 * A_DAY_S),
    for_s=st.integers(0, 10 * A_DAY_S),
)
@pytest.mark.proves("Q17")
def test_a_child_is_mute_after_that_silence_however_many_days_it_lasts(
    heard_s: int | None, since_s: int, for_s: int
) -> None:
    """Otherwise than Nova, which compares the seconds of the day: a day and a second is no second."""
    row = attrs.evolve(told(ONE, heard_s=heard_s), since_us=since_s * US_PER_S)
    last_s = max(since_s, heard_s or 0)
    assert is_mute(row, mute_child_s=300, now_us=(last_s + for_s) * US_PER_S) is (for_s > 300)
    assert not is_mute(row, mute_child_s=0, now_us=(last_s + for_s) * US_PER_S)


# --- what the settings say ---------------------------------------------------------------------------------


def rules(*children: str, offset: float = 0.0) -> Rules:
    """Make the rules of a cell with these children."""
    edges = tuple(Edge(cell=CellPath.parse(child), weight_offset=offset) for child in children)
    return Rules(profile=PROFILE, children=edges)


def after(known: list[Neighbour], configured: Rules) -> dict[str, Neighbour]:
    """Give the rows that a start leaves."""
    changes = configure(configured, known, now_us=7)
    rows = {row.cell: row for row in known}
    for row in changes.drops:
        assert isinstance(row, Neighbour)
        del rows[row.cell]
    return rows | {row.cell: row for row in changes.puts if isinstance(row, Neighbour)}


@pytest.mark.proves("R110", "R111")
def test_a_start_takes_over_what_the_settings_say() -> None:
    """Parent and children by name, with their weights; what they name no more goes, with all that it told."""
    first = after([], rules(TWO, ONE, offset=1.5))
    assert {row.cell: row.is_parent for row in first.values()} == {"api": True, ONE: False, TWO: False}
    assert [row.cell for row in view(HERE, PROFILE, first.values(), (), now_us=0).children] == [TWO, ONE]
    assert first[ONE].weight_offset == 1.5
    again = after([*first.values()], rules(ONE, THREE))
    assert set(again) == {"api", ONE, THREE}
    assert again[ONE].weight_offset == 0.0


@pytest.mark.proves("R112")
def test_what_operators_have_changed_outlives_a_start() -> None:
    """A cell that was added, one that was removed, and a weight that was set."""
    known = [
        Neighbour(cell=ONE, is_of_file=True, is_removed=True),
        Neighbour(cell=TWO, is_of_file=True, is_reweighed=True, weight_offset=9.0),
        Neighbour(cell=THREE, place=7),
    ]
    rows = after(known, rules(ONE, TWO))
    seen = view(HERE, PROFILE, rows.values(), (), now_us=0)
    assert [row.cell for row in seen.children] == [TWO, THREE]
    assert rows[TWO].weight_offset == 9.0


def test_a_start_keeps_what_children_told_and_takes_no_silence_for_theirs() -> None:
    """A cell that was away for an hour has heard nobody, which says nothing of its children."""
    rows = after([attrs.evolve(told(ONE), is_of_file=True)], rules(ONE))
    assert rows[ONE].capacities.ram_free.total_mb == 1234
    assert rows[ONE].since_us == 7
