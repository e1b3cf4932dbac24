"""How cells' schemas are called."""

from __future__ import annotations

from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from actors.store.schemas import SCHEMA, schema_name
from protocol.cell_path import CellPath

NAMES: Final = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)
CELLS: Final = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: CellPath(tuple(names)))


@given(first=CELLS, second=CELLS)
@example(first=CellPath.parse("a!b"), second=CellPath.parse("a_b"))
@example(first=CellPath.parse("a-b!c"), second=CellPath.parse("a!b-c"))
@example(first=CellPath.parse("x" * 63), second=CellPath.parse("x" * 62 + "y"))
def test_cells_have_schemas_of_their_own(first: CellPath, second: CellPath) -> None:
    """Every path has a valid name, and two paths have two, also where they look alike."""
    names = [schema_name("cellferry", path) for path in (first, second)]
    assert all(SCHEMA.fullmatch(name) for name in names)
    assert (names[0] == names[1]) == (first == second)
    assert schema_name("cellferry", CellPath.parse("api")) == "cellferry_api"
