"""What a cell writes down of its neighbours: what children tell, who is added, weighed otherwise and removed."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from protocol.cell_path import CellPath
from protocol.effects.registry import Moment
from protocol.errors import InvalidValue, NotFound
from protocol.messages import tree as say
from protocol.records import Amounts, Capacities, CellProfile, Neighbour
from protocol.tree import US_PER_S
from tests.protocol.effects.ledger import Ledger

EU, US, EU1 = (CellPath.parse(path) for path in ("api!eu", "api!us", "api!eu!eu-1"))
FREE: Final = Capacities(ram_free=Amounts(total_mb=5, units_by_mb={"1": 5}))


def moment(now_s: int = 1, cell: str = "api") -> Moment:
    return Moment(now_us=now_s * US_PER_S, cell=cell, key="")


def ledger(*children: CellPath) -> Ledger:
    return Ledger(
        CellProfile(cell="api", mute_child_s=10),
        *(Neighbour(cell=str(cell), place=place, is_of_file=True) for place, cell in enumerate(children)),
    )


@pytest.mark.proves("R31", "R32", "R114")
def test_what_a_child_tells_is_kept_with_the_time() -> None:
    """Each half by itself; values are a set, in whatever order they were told."""
    rows = ledger(EU)
    told = say.UpdateCapabilities(cell=EU, capabilities={"os": ("b", "a", "b")})
    assert rows.do(told, moment(3)) == say.Heard(is_child=True)
    assert rows.do(say.UpdateCapacities(cell=EU, capacities=FREE), moment(4)) == say.Heard(is_child=True)
    (row,) = rows.all(Neighbour)
    assert (row.capabilities, row.capacities, row.last_seen_us) == ({"os": ("a", "b")}, FREE, 4 * US_PER_S)


@pytest.mark.proves("R118")
@pytest.mark.parametrize("of", ["nobody", "a removed one", "the parent"])
def test_what_a_cell_tells_that_is_no_child_is_ignored(of: str) -> None:
    """Otherwise than Nova, whoever asks for an answer is told so."""
    rows = ledger(EU)
    (row,) = rows.all(Neighbour)
    changed = {"nobody": attrs.evolve(row, cell="api!other"), "a removed one": attrs.evolve(row, is_removed=True)}
    rows = Ledger(changed.get(of, attrs.evolve(row, is_parent=True)))
    before = dict(rows.rows)
    assert not rows.do(say.UpdateCapabilities(cell=EU, capabilities={"os": ("x",)}), moment()).is_child
    assert not rows.do(say.UpdateCapacities(cell=EU, capacities=FREE), moment()).is_child
    assert rows.rows == before


def test_a_child_that_is_added_comes_last() -> None:
    """Behind those of the settings, with its weights; adding it again changes only what is said anew."""
    rows = ledger(US)
    rows.do(say.AddNeighbour(cell=EU, weight_offset=2.0), moment())
    rows.do(say.AddNeighbour(cell=EU), moment(9))
    assert rows.do(say.ListNeighbours(), moment()) == say.Neighbourhood(parent=None, children=(US, EU))
    shown = rows.do(say.ShowCell(), moment()).children[1]
    assert (shown.cell, shown.weight_offset, shown.weight_scale, shown.silent_s) == (EU, 2.0, 1.0, None)


@pytest.mark.proves("Q18")
@pytest.mark.parametrize("path", ["api!eu!eu-1", "other", "api"])
def test_only_a_cell_over_one_edge_becomes_a_neighbour(path: str) -> None:
    """The refusal is a declared error, and says which could."""
    with pytest.raises(InvalidValue, match="it must be the parent of api, or a child of it"):
        ledger().do(say.AddNeighbour(cell=CellPath.parse(path)), moment())


def test_a_removed_child_is_none_until_it_is_added_again() -> None:
    """Of one that the settings name it stays known that it was removed; what it told before counts no more."""
    rows = ledger(EU)
    rows.do(say.UpdateCapacities(cell=EU, capacities=FREE), moment())
    rows.do(say.AddNeighbour(cell=US), moment())
    for cell in (EU, US, US):
        rows.do(say.RemoveNeighbour(cell=cell), moment())
    assert rows.do(say.ListNeighbours(), moment()).children == ()
    assert [row.is_removed for row in rows.all(Neighbour)] == [True]
    with pytest.raises(NotFound, match="neighbour of api"):
        rows.do(say.SetNeighbour(cell=EU, weight_offset=1.0), moment())
    rows.do(say.AddNeighbour(cell=EU), moment(50))
    (child,) = rows.do(say.ShowCell(), moment(55)).children
    assert (child.cell, child.capacities, child.is_mute, child.silent_s) == (EU, Capacities(), False, None)


def test_a_cell_that_its_parent_let_go_has_none() -> None:
    """Until the parent takes it back: nothing goes up in between."""
    rows = Ledger(Neighbour(cell="api", is_parent=True, is_of_file=True))
    at_eu = moment(cell="api!eu")
    rows.do(say.RemoveNeighbour(cell=EU.root), at_eu)
    assert rows.do(say.ListNeighbours(), at_eu).parent is None
    rows.do(say.AddNeighbour(cell=EU.root), at_eu)
    assert rows.do(say.ListNeighbours(), at_eu).parent == EU.root


def test_weights_are_set_one_by_one() -> None:
    """What is not named stays as it is."""
    rows = ledger(EU)
    rows.do(say.SetNeighbour(cell=EU, weight_offset=3.0), moment())
    rows.do(say.SetNeighbour(cell=EU, weight_scale=0.5), moment())
    (row,) = rows.all(Neighbour)
    assert (row.weight_offset, row.weight_scale, row.is_reweighed) == (3.0, 0.5, True)


def test_a_cell_shows_itself_and_its_children_with_their_silence() -> None:
    """By its own clock: a machine's time is never compared with another's."""
    rows = ledger(EU, US)
    rows.do(say.UpdateCapacities(cell=EU, capacities=FREE), moment(100))
    rows.do(say.UpdateCapacities(cell=US, capacities=FREE), moment(103))
    shown = rows.do(say.ShowCell(), moment(111))
    assert [(child.cell, child.silent_s, child.is_mute) for child in shown.children] == [
        (EU, 11.0, True),
        (US, 8.0, False),
    ]
    assert shown.capacities == FREE
    assert shown.own_capacities == Capacities()
