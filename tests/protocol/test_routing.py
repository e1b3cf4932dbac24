"""Envelopes reach what they are for over edges of the tree, and nothing else; on random trees."""

import math
from collections import Counter, deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.envelope import Direction
from protocol.errors import CellferryError, Forbidden, RouteInconsistent, TooManyHops, UnknownCell
from protocol.routing import (
    MARGIN_MIN_S,
    MARGIN_SHARE,
    Decision,
    Deliver,
    Forward,
    Refuse,
    admit,
    inner_budget,
    next_hops,
    route,
)
from tests.strategies import NOVA_TREE, Tree, trees

Route = tuple[CellPath, ...]
ROOT, CHILD2, GRAND1 = NOVA_TREE.root, CellPath.parse("api!child2"), CellPath.parse("api!child2!grand1")
GRAND3 = CellPath.parse("api!child3!grand3")


def travel(tree: Tree, source: CellPath, target: CellPath, *, hops_max: int = 64) -> tuple[Route, Decision]:
    """Let an envelope go from cell to cell until it goes no further."""
    passed: Route = (source,)
    while True:
        here = passed[-1]
        neighbours = tree.neighbours(here)
        decision = route(here=here, target=target, route=passed, hops_max=hops_max, neighbours=neighbours)
        if not isinstance(decision, Forward):
            return passed, decision
        assert admit(here=decision.to, via=here, route=passed) is None
        passed = (*passed, decision.to)


def spread(tree: Tree, source: CellPath, direction: Direction, *, hops_max: int = 64) -> Counter[CellPath]:
    """Let a broadcast go from cell to cell; count how often each is reached."""
    reached: Counter[CellPath] = Counter()
    waiting: deque[Route] = deque([(source,)])
    while waiting:
        passed = waiting.popleft()
        here = passed[-1]
        reached[here] += 1
        ahead = next_hops(
            here=here,
            direction=direction,
            route=passed,
            hops_max=hops_max,
            parent=tree.parent(here),
            children=tree.children(here),
        )
        for cell in ahead:
            assert admit(here=cell, via=here, route=passed, direction=direction) is None
            waiting.append((*passed, cell))
    return reached


def refusal(decision: Decision) -> CellferryError:
    """Take the error out of a refusal."""
    assert isinstance(decision, Refuse)
    assert str(decision.error)
    return decision.error


def draw_cell(data: st.DataObject, tree: Tree) -> CellPath:
    """Draw one cell of a tree."""
    return data.draw(st.sampled_from(tree.cells))


# --- targeted ----------------------------------------------------------------------------------------------


@pytest.mark.proves("R4", "R5", "R6", "R7", "R11", "R13")
@given(tree=trees(), data=st.data())
def test_a_targeted_envelope_reaches_exactly_its_target(tree: Tree, data: st.DataObject) -> None:
    """Up to the common ancestor, then down, over edges, entering no cell twice."""
    source, target = draw_cell(data, tree), draw_cell(data, tree)
    passed, decision = travel(tree, source, target)
    assert decision == Deliver()
    assert passed[-1] == target
    assert source.common_ancestor(target) in passed
    assert len(set(passed)) == len(passed)
    assert all(cell.is_neighbour(following) for cell, following in pairwise(passed))


@pytest.mark.proves("R16", "Q1")
@given(tree=trees(), data=st.data(), hops_max=st.integers(1, 12))
def test_a_hop_limit_of_h_reaches_cells_h_minus_1_edges_away(tree: Tree, data: st.DataObject, hops_max: int) -> None:
    """The limit counts the source; what is further away is refused where the limit is reached (R16, Q1)."""
    source, target = draw_cell(data, tree), draw_cell(data, tree)
    way, _ = travel(tree, source, target)
    passed, decision = travel(tree, source, target, hops_max=hops_max)
    if len(way) - 1 <= hops_max - 1:
        assert decision == Deliver()
    else:
        error = refusal(decision)
        assert isinstance(error, TooManyHops)
        assert (error.at, error.hops_max) == (str(passed[-1]), hops_max)
        assert passed == way[:hops_max]


@pytest.mark.proves("R17")
@given(tree=trees(), data=st.data())
def test_a_cell_that_does_not_exist_is_refused_where_the_way_ends(tree: Tree, data: st.DataObject) -> None:
    """Its would-be parent says so (R17), or the first cell on the way that lacks the next."""
    source, parent = draw_cell(data, tree), draw_cell(data, tree)
    target = parent.child("nowhere").child("deeper")
    passed, decision = travel(tree, source, target)
    error = refusal(decision)
    assert isinstance(error, UnknownCell)
    assert (error.cell, error.at) == (str(parent.child("nowhere")), str(parent))
    assert passed[-1] == parent


@pytest.mark.proves("R18")
@given(tree=trees(), data=st.data())
def test_a_cell_of_another_root_is_refused_at_the_source(tree: Tree, data: st.DataObject) -> None:
    """There is no way between two trees (R18)."""
    source = draw_cell(data, tree)
    passed, decision = travel(tree, source, CellPath(("other", *draw_cell(data, tree).names)))
    assert isinstance(refusal(decision), RouteInconsistent)
    assert passed == (source,)


@given(tree=trees(), data=st.data())
def test_a_removed_neighbour_is_an_unknown_cell(tree: Tree, data: st.DataObject) -> None:
    """What the tree says counts for nothing without the neighbour."""
    source, target = draw_cell(data, tree), draw_cell(data, tree)
    decision = route(here=source, target=target, route=(source,), hops_max=10, neighbours=())
    assert decision == Deliver() if source == target else isinstance(refusal(decision), UnknownCell)


def test_an_envelope_is_never_sent_back() -> None:
    """A target behind it means that somebody sent it the wrong way."""
    decision = route(here=CHILD2, target=GRAND3, route=(ROOT, CHILD2), hops_max=10, neighbours=(ROOT, GRAND1))
    assert isinstance(refusal(decision), RouteInconsistent)


def test_an_envelope_beyond_its_limit_is_not_delivered() -> None:
    """A neighbour that ignores the limit gains nothing by it."""
    decision = route(here=CHILD2, target=CHILD2, route=(ROOT, CHILD2), hops_max=1, neighbours=(ROOT,))
    assert isinstance(refusal(decision), TooManyHops)


def test_where_it_cannot_lead_counts_before_how_far() -> None:
    """At the limit an unknown cell is still an unknown cell, not one too far away."""
    decision = route(here=ROOT, target=ROOT.child("nowhere"), route=(ROOT,), hops_max=1, neighbours=(CHILD2,))
    assert isinstance(refusal(decision), UnknownCell)


# --- broadcast ---------------------------------------------------------------------------------------------


@pytest.mark.proves("R8", "R9", "R19", "R20", "Q12")
@given(tree=trees(), data=st.data())
def test_a_broadcast_reaches_each_cell_of_its_direction_exactly_once(tree: Tree, data: st.DataObject) -> None:
    """Down: all cells below; up: all cells above; and the source (R19, R20)."""
    source = draw_cell(data, tree)
    assert spread(tree, source, Direction.DOWN) == Counter(tree.side(source))
    above = [cell for cell in tree.cells if cell.is_above(source)]
    assert spread(tree, source, Direction.UP) == Counter([source, *above])


@pytest.mark.proves("R23")
@given(tree=trees(), data=st.data(), hops_max=st.integers(1, 6), direction=st.sampled_from(Direction))
def test_a_broadcast_beyond_its_hop_limit_is_only_shorter(
    tree: Tree, data: st.DataObject, hops_max: int, direction: Direction
) -> None:
    """It reaches the cells within the limit, as it would without one."""
    source = draw_cell(data, tree)
    within = [
        cell
        for cell in spread(tree, source, direction)
        if abs(len(cell.names) - len(source.names)) < hops_max
    ]  # fmt: skip
    assert spread(tree, source, direction, hops_max=hops_max) == Counter(within)


@pytest.mark.proves("R19", "R20", "R23")
def test_nova_s_own_numbers_hold() -> None:
    """8 cells down from the root (R19), 3 up from a grandchild (R20), 5 within two hops (R23)."""
    assert spread(NOVA_TREE, ROOT, Direction.DOWN).total() == 8
    assert set(spread(NOVA_TREE, GRAND3, Direction.UP)) == {GRAND3, CellPath.parse("api!child3"), ROOT}
    assert spread(NOVA_TREE, ROOT, Direction.DOWN, hops_max=2).total() == 5


@pytest.mark.proves("R8", "R9")
def test_a_broadcast_goes_on_in_the_configured_order_and_never_back() -> None:
    """The order is that of the configuration, not of the names; a cell on the route is left out."""
    children = (ROOT.child("z"), ROOT.child("a"), ROOT.child("m"))
    down = next_hops(
        here=ROOT, direction=Direction.DOWN, route=(children[1], ROOT), hops_max=9, parent=None, children=children
    )
    assert down == (children[0], children[2])
    up = next_hops(
        here=CHILD2, direction=Direction.UP, route=(ROOT, CHILD2), hops_max=9, parent=ROOT, children=(GRAND1,)
    )
    assert up == ()


# --- authority ---------------------------------------------------------------------------------------------


def forbidden(here: CellPath, via: CellPath | None, passed: Route, direction: Direction | None = None) -> str | None:
    """Tell why an envelope may not come so."""
    error = admit(here=here, via=via, route=passed, direction=direction, method="m")
    assert error is None or isinstance(error, Forbidden)
    assert error is None or (error.sender, error.method) == (str(via or here), "m")
    return None if error is None else error.reason


def test_an_actor_of_the_own_cell_begins_a_route() -> None:
    """It cannot pretend that what it sends came from elsewhere."""
    assert forbidden(CHILD2, None, ()) is None
    assert forbidden(CHILD2, None, (CHILD2,)) is None
    for pretended in ((ROOT,), (ROOT, CHILD2), (CHILD2, CHILD2)):
        assert forbidden(CHILD2, None, pretended) is not None


@given(tree=trees(), data=st.data())
def test_only_a_way_over_the_tree_that_ends_in_the_sender_is_admitted(tree: Tree, data: st.DataObject) -> None:
    """Any route a neighbour may make up is refused unless an honest envelope could have taken it."""
    here, via = draw_cell(data, tree), draw_cell(data, tree)
    made_up: Route = tuple(data.draw(st.lists(st.sampled_from(tree.cells), max_size=4)))
    honest = bool(made_up) and made_up[-1] == via and travel(tree, made_up[0], here)[0] == (*made_up, here)
    assert (forbidden(here, via, made_up) is None) == (honest and here != via)


@pytest.mark.parametrize(
    ("here", "via", "passed", "reason"),
    [
        (ROOT, CHILD2, (), "does not end"),
        (ROOT, CHILD2, (GRAND3,), "does not end"),
        (ROOT, CHILD2, (ROOT, CHILD2), "twice"),
        (ROOT, CHILD2, (CHILD2, GRAND1, CHILD2), "twice"),
        (ROOT, CHILD2, (GRAND3, CHILD2), "edges"),
        (ROOT, GRAND1, (GRAND1,), "edges"),
    ],
)
def test_a_route_that_lies_is_refused_with_its_reason(
    here: CellPath, via: CellPath, passed: Route, reason: str
) -> None:
    """An operator reads in the dead letter what was wrong."""
    assert reason in (forbidden(here, via, passed) or "")


@given(tree=trees(), data=st.data(), direction=st.sampled_from(Direction))
def test_a_neighbour_may_not_send_against_the_direction(tree: Tree, data: st.DataObject, direction: Direction) -> None:
    """A child may not send what only parents send, nor a parent what only children send, nor a cell beside."""
    passed, _ = travel(tree, draw_cell(data, tree), draw_cell(data, tree))
    *before, here = passed
    if before:
        allowed = here.is_above(passed[0]) if direction is Direction.UP else passed[0].is_above(here)
        assert (forbidden(here, before[-1], tuple(before), direction) is None) == allowed


# --- budgets -----------------------------------------------------------------------------------------------


@pytest.mark.proves("Q11")
@given(budget_s=st.floats(0, 1e6), spent_s=st.floats(-10, 1e6))
def test_an_inner_hop_gives_up_before_the_outer_one(budget_s: float, spent_s: float) -> None:
    """By 5 %, and by no less than 10 ms; never is a budget negative, nor lengthened by a clock that jumped back."""
    inner_s = inner_budget(budget_s, spent_s=spent_s)
    left_s = budget_s - max(spent_s, 0)
    assert 0 <= inner_s <= budget_s
    if inner_s:
        assert math.isclose(left_s - inner_s, max(left_s * MARGIN_SHARE, MARGIN_MIN_S), rel_tol=1e-6, abs_tol=1e-9)
    else:
        assert left_s <= MARGIN_MIN_S


@given(budget_s=st.floats(0, 1e6), hops=st.integers(1, 64))
def test_budgets_shrink_with_every_hop_and_end_at_zero(budget_s: float, hops: int) -> None:
    """However deep the tree, each hop has less than the one before, or nothing."""
    budgets = [budget_s]
    for _ in range(hops):
        budgets.append(inner_budget(budgets[-1]))
    assert all(inner < outer or inner == 0 for outer, inner in pairwise(budgets))
