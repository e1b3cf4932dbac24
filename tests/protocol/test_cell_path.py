"""Cells and addresses are read, written and related as the tree says."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import DEPTH_MAX, Address, CellPath, host_mailbox
from protocol.errors import InvalidName
from tests.strategies import ADDRESSES, PATHS, Tree, trees


@given(path=PATHS)
def test_a_path_is_read_as_it_was_written(path: CellPath) -> None:
    """Text and path are one to one."""
    assert CellPath.parse(str(path)) == path


@given(address=ADDRESSES)
def test_an_address_is_read_as_it_was_written(address: Address) -> None:
    """Text and address are one to one."""
    assert Address.parse(str(address)) == address


@given(text=st.text(max_size=20))
def test_any_text_is_a_name_or_refused_as_one(text: str) -> None:
    """Reading raises nothing but `InvalidName`, and what it reads it writes as it was."""
    for kind in (CellPath, Address):
        with suppress(InvalidName):
            assert str(kind.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "!", "api!", "!api", "api!!eu", "API", "api eu", "-api", "api/host", "a" * 64, "api\n", "äpi"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    """Each way to spell a path wrongly is an error."""
    with pytest.raises(InvalidName):
        CellPath.parse(text)


@pytest.mark.proves("R100")
@pytest.mark.parametrize("text", ["", "api", "api/", "/cell", "api/Cell", "api/a/b", "api/" + "a" * 192, "api/cell\n"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Each way to spell an address wrongly is an error."""
    with pytest.raises(InvalidName):
        Address.parse(text)


def test_a_tree_has_a_limited_depth() -> None:
    """No path is longer than the limit, and none has no name."""
    deepest = CellPath(("a",) * DEPTH_MAX)
    with pytest.raises(InvalidName):
        deepest.child("b")
    with pytest.raises(InvalidName):
        CellPath(())


@pytest.mark.proves("R6", "Q12", "Q21")
@given(parent=PATHS, name=st.sampled_from(["x", "y-1"]))
def test_a_child_is_directly_below_its_parent(parent: CellPath, name: str) -> None:
    """`child`, `parent`, `name` and `root` undo and agree with each other."""
    child = parent.child(name)
    assert (child.parent, child.name, child.root) == (parent, name, parent.root)
    assert child.is_neighbour(parent)
    assert parent.is_neighbour(child)
    assert parent.is_above(child)
    assert not child.is_above(parent)


@given(path=PATHS)
def test_no_cell_is_above_or_beside_itself(path: CellPath) -> None:
    """Being above and being a neighbour are irreflexive."""
    assert not path.is_above(path)
    assert not path.is_neighbour(path)


@given(tree=trees(), data=st.data())
def test_the_common_ancestor_is_the_lowest_cell_at_or_above_both(tree: Tree, data: st.DataObject) -> None:
    """It equals what a search of the whole tree finds."""
    one, other = data.draw(st.sampled_from(tree.cells)), data.draw(st.sampled_from(tree.cells))
    shared = [cell for cell in tree.cells if {one, other} <= set(tree.side(cell))]
    assert one.common_ancestor(other) == max(shared, key=lambda cell: len(cell.names))


def test_cells_of_different_roots_have_no_common_ancestor() -> None:
    """Two trees share nothing; and only the root has no parent."""
    assert CellPath.parse("api!eu").common_ancestor(CellPath.parse("other!eu")) is None
    assert CellPath.parse("api").parent is None


def test_a_host_has_a_mailbox_of_its_name() -> None:
    """The mailbox of a host's actor can be addressed."""
    assert str(Address(CellPath.parse("api!eu"), host_mailbox("h1"))) == "api!eu/host:h1"
