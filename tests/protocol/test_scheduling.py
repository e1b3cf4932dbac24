"""The choice of a cell: filters, weighers, and the descent of the tree with its way back."""

from __future__ import annotations

from itertools import permutations
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.errors import InvalidValue
from protocol.records import Amounts, Capacities, CellProfile, Flavor, Neighbour, Size
from protocol.scheduling import (
    FILTERS,
    WEIGHERS,
    Asked,
    Candidate,
    Scheduler,
    Straight,
    Wish,
    candidates_of,
    check_requirement,
    descent,
    different_cell,
    image_properties,
    normalized,
    satisfies,
    target_cell,
)
from protocol.tree import HostFree, view
from tests.strategies import Tree, trees

ROOT: Final = CellPath.parse("api")
A, B, C, D = (ROOT.child(name) for name in "abcd")
FLAVOR: Final = Flavor(name="m", vcpus=1, memory_mb=512, disk_gb=1)
ASKED: Final = Asked(method="create", flavor=FLAVOR, top=ROOT, is_admin=True)
HERE: Final = Candidate(cell=ROOT, is_here=True)


def units(cell: CellPath, count: int, *, scale: float = 1.0, offset: float = 0.0, is_mute: bool = False) -> Candidate:
    """Make a child in which so many servers fit."""
    ram = Amounts(total_mb=count * 512, units_by_mb={"512": count})
    return Candidate(
        cell=cell, capacities=Capacities(ram_free=ram), weight_scale=scale, weight_offset=offset, is_mute=is_mute
    )


def asked(**wish: object) -> Asked:
    """Ask with a wish, as an administrator."""
    return attrs.evolve(ASKED, wish=Wish(**wish))  # type: ignore[arg-type]  # each test names the fields


# --- candidates --------------------------------------------------------------------------------------------


@pytest.mark.proves("R120", "R125")
def test_candidates_are_the_children_and_oneself_without_children_or_with_room() -> None:
    """A leaf has only itself, however full; a cell with children takes part when its own hosts have something left."""
    free = HostFree(memory_mb=1024, memory_mb_free=600, disk_mb=1, disk_mb_free=1)
    full = attrs.evolve(free, memory_mb_free=0)
    profile = CellProfile(cell="api", capabilities={"os": ("linux",)}, sizes=(Size(memory_mb=512, disk_mb=1),))
    child = Neighbour(cell=str(A), weight_offset=2.0)
    for children, host, expected in (
        ([child], (free,), [A, ROOT]), ([child], (full,), [A]), ([child], (), [A]), ([], (full,), [ROOT]),
        ([], (), [ROOT]),
    ):  # fmt: skip
        found = candidates_of(view(ROOT, profile, children, host, now_us=0))
        assert [each.cell for each in found] == expected
    (own,) = candidates_of(view(ROOT, profile, [], (free,), now_us=0))
    assert own.is_here
    assert (own.capabilities, own.capacities.ram_free.units_by_mb) == ({"os": ("linux",)}, {"512": 1})


# --- filters -----------------------------------------------------------------------------------------------


@pytest.mark.proves("R124", "R126")
def test_a_named_cell_is_gone_to_straight_and_oneself_stays_alone() -> None:
    """Otherwise than Nova, a filter that has decided sends nothing: it says where, and the choice is made there."""
    candidates = (units(A, 1), HERE)
    assert target_cell(ASKED, candidates) == candidates
    assert target_cell(asked(target_cell=ROOT), candidates) == (HERE,)
    deep = A.child("deep")
    assert target_cell(asked(target_cell=deep), candidates) == Straight(deep)
    assert Scheduler().rank(asked(target_cell=deep), candidates) == (deep,)


@pytest.mark.proves("R126", "R127")
def test_who_is_no_administrator_names_no_cells() -> None:
    """His wish is not refused, it does not count."""
    candidates = (units(A, 1), units(B, 1))
    wish = attrs.evolve(asked(target_cell=A, different_cell=(A, B)), is_admin=False)
    assert target_cell(wish, candidates) == different_cell(wish, candidates) == candidates


@pytest.mark.proves("R127")
def test_cells_that_are_not_wanted_are_dropped_by_their_full_path() -> None:
    """Not by the end of it."""
    candidates = (units(A, 1), units(B, 1), HERE)
    found = different_cell(asked(different_cell=(B, CellPath.parse("other!a"))), candidates)
    assert [each.cell for each in found] == [A, ROOT]


@pytest.mark.proves("R128", "Q19")
def test_an_image_goes_where_its_version_of_the_hypervisor_is() -> None:
    """More than once: asking consumes nothing.  Who tells no version stays, and so does all without a requirement."""
    cells = {A: ("6.0",), B: ("6.2",), C: ("6.3",), D: ("5", "6.3.0")}
    candidates = tuple(
        Candidate(cell=cell, capabilities={"prominent_hypervisor_version": told}) for cell, told in cells.items()
    )
    candidates = (*candidates, HERE)
    for _ in range(2):
        found = image_properties(asked(hypervisor_version=">6.0, <=6.3"), candidates)
        assert [each.cell for each in found] == [B, C, D, ROOT]
    assert image_properties(ASKED, candidates) == candidates


versions = st.lists(st.integers(0, 20), min_size=1, max_size=3).map(lambda numbers: ".".join(map(str, numbers)))


@given(one=versions, other=versions)
@pytest.mark.proves("R128")
def test_versions_are_compared_number_by_number(one: str, other: str) -> None:
    """Exactly one of less, equal and greater holds; 6.10 is more than 6.9, and 6 is 6.0."""
    holds = [satisfies(one, f"{how}{other}") for how in ("<", "==", ">")]
    assert holds.count(True) == 1
    assert satisfies(one, f"<={other}") == (holds[0] or holds[1])
    assert satisfies(one, f"!={other}") is not holds[1]
    assert satisfies("6.10", ">6.9, ==6.10.0")


@pytest.mark.parametrize("text", [">", "6.0", ">6.0,", "~6", ">6.0 <7", ">6.x"])
def test_a_requirement_that_is_none_is_refused_by_name(text: str) -> None:
    """And nothing satisfies it."""
    with pytest.raises(InvalidValue, match="comparisons with commas between"):
        check_requirement(text)
    assert not satisfies("6.2", text)
    assert not satisfies("vmware", ">1")
    check_requirement("")
    check_requirement(">6.0, <=6.3")


# --- weighers ----------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6)))
@pytest.mark.proves("R129")
def test_weights_are_brought_between_nothing_and_one(weights: list[float]) -> None:
    """The lightest is 0 and the heaviest 1; equal ones are all 0."""
    found = normalized(weights)
    assert all(0.0 <= weight <= 1.0 for weight in found)
    if len(set(weights)) > 1:
        assert (min(found), max(found)) == (0.0, 1.0)
        for first, second in permutations(range(len(weights)), 2):
            assert found[first] <= found[second] or weights[first] > weights[second]
    else:
        assert set(found) <= {0.0}


@pytest.mark.proves("R129")
def test_novas_figures_of_mute_cells() -> None:
    """Two of four are mute: 0, 0, -10, -10."""
    scheduler = Scheduler(weighers={"mute": -10.0})
    candidates = tuple(units(cell, 1, is_mute=cell in {C, D}) for cell in (A, B, C, D))
    assert scheduler.weigh(ASKED, candidates) == (0.0, 0.0, -10.0, -10.0)


@pytest.mark.proves("R129")
def test_room_spreads_and_a_negative_multiplier_stacks() -> None:
    """By how many servers of that memory fit, ten times over; a size that a cell never told of fits nowhere in it."""
    candidates = (units(A, 1), units(B, 30), Candidate(cell=C), units(D, 15, scale=3.0))
    assert Scheduler().rank(ASKED, candidates) == (D, B, A, C)
    assert Scheduler(weighers={"ram": -1.0}).rank(ASKED, candidates) == (C, A, B, D)
    assert Scheduler(weighers={"ram": 10.0}).weigh(ASKED, candidates)[0] == pytest.approx(10 / 45)


@pytest.mark.proves("R129")
def test_an_offset_outweighs_only_what_its_multiplier_says_and_the_mute_come_last() -> None:
    """The three together: the highest sum first; of equal ones the earlier."""
    candidates = (units(A, 20), units(B, 10, offset=5.0), units(C, 10))
    assert Scheduler().rank(ASKED, candidates) == (A, B, C)
    heavy = Scheduler(weighers={"ram": 10.0, "offset": 100.0})
    assert heavy.rank(ASKED, candidates) == (B, A, C)
    with_mute = (attrs.evolve(candidates[0], is_mute=True), *candidates[1:])
    assert Scheduler().rank(ASKED, with_mute) == (B, C, A)
    assert Scheduler(weighers={}).rank(ASKED, candidates) == (A, B, C)


@pytest.mark.proves("R120")
def test_filters_come_before_weighers_and_unknown_ones_are_named() -> None:
    """A plug-in that is not installed is an error that says which there are."""
    candidates = (units(A, 1), units(B, 30))
    assert Scheduler().rank(asked(different_cell=(B,)), candidates) == (A,)
    assert Scheduler(filters=()).rank(asked(different_cell=(B,)), candidates) == (B, A)
    for scheduler in (Scheduler(filters=("gone",)), Scheduler(weighers={"gone": 1.0})):
        with pytest.raises(InvalidValue, match="it must be one of"):
            scheduler.rank(ASKED, candidates)
    assert (list(FILTERS), list(WEIGHERS)) == (
        ["target_cell", "different_cell", "image_properties"],
        ["ram", "offset", "mute"],
    )


# --- the descent -------------------------------------------------------------------------------------------


@given(tree=trees(12), data=st.data())
@pytest.mark.proves("R120", "R121")
def test_the_descent_tries_each_cell_once_and_leaves_a_part_of_the_tree_only_when_all_of_it_was_tried(
    tree: Tree, data: st.DataObject
) -> None:
    """Whatever each cell prefers: what one has chosen is followed to the end before its next choice."""
    orders = {cell: tuple(data.draw(st.permutations([*tree.children(cell), cell]))) for cell in tree.cells}
    found = descent(orders, tree.cells[0])
    assert sorted(map(str, found)) == sorted(map(str, tree.cells))
    for cell in tree.cells:
        places = [place for place, each in enumerate(found) if each == cell or cell.is_above(each)]
        assert places == list(range(places[0], places[0] + len(places)))
    first = tree.cells[0]
    while orders[first][0] != first:
        first = orders[first][0]
    assert found[0] == first


@pytest.mark.proves("R122", "R126")
def test_a_cell_that_did_not_answer_is_passed_over_and_a_straight_way_is_taken() -> None:
    """With all below it; and the way back is to the next choice of whoever chose."""
    deep = A.child("deep")
    orders = {ROOT: (A, B, C, ROOT), A: (deep, A), C: (C,)}
    assert descent(orders, ROOT) == (A, C, ROOT)
    assert descent({**orders, deep: (deep,)}, ROOT) == (deep, A, C, ROOT)
    assert descent({ROOT: (deep,), deep: (deep,)}, ROOT) == (deep,)
    assert descent({ROOT: (deep,), deep: (ROOT,)}, ROOT) == ()
    assert descent({}, ROOT) == ()
