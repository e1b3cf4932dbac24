"""No invariant without a killer: whatever is checked in a run, some planted bug is there for it to find."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from protocol.invariants import INVARIANTS
from sim.cases.portfolio import MIXES
from sim.checkers import ORACLES
from tests.planted.hunting import all_bugs

ROOT: Final = Path(__file__).parents[2]
NUMBERS: Final = tuple(str(number) for number in range(1, 25))
#: Rows of the reference's table whose defence a second one stands behind, or that no run shows: asked directly instead.
DIRECT: Final = {
    "24": "tests/sim/test_determinism.py",
}
#: Each defence that a first one may hide, asked by itself: a stale epoch, a poisoned key, a lost lease, a forged route.
ALONE: Final = (
    "tests/contracts/test_inbox_contract.py::test_a_close_fences_what_is_older_and_forgets_what_is_behind_the_lowest_open",
    "tests/contracts/test_inbox_contract.py::test_an_undo_poisons_and_knows_whether_there_is_something_to_clean",
    "tests/contracts/test_inbox_contract.py::test_one_owner_writes_and_the_former_one_is_stale",
    "tests/protocol/test_routing.py::test_a_neighbour_may_not_send_against_the_direction",
    "tests/protocol/test_routing.py::test_an_envelope_is_never_sent_back",
    "tests/protocol/test_routing.py::test_an_envelope_beyond_its_limit_is_not_delivered",
)


@pytest.mark.parametrize("name", [*INVARIANTS, *ORACLES])
def test_no_invariant_is_without_a_killer(name: str) -> None:
    """Some planted bug must be found by it; what nothing can break proves nothing, and should go."""
    assert [bug.name for bug in all_bugs() if name in bug.caught_by]


def test_a_bug_names_what_there_is() -> None:
    """What must find a bug is an invariant or an oracle, and its mix is in the portfolio."""
    for bug in all_bugs():
        assert set(bug.caught_by) <= {*INVARIANTS, *ORACLES}, bug.name
        assert bug.mix in MIXES, bug.name


@pytest.mark.parametrize("number", NUMBERS)
def test_each_row_of_the_table_of_bugs_is_planted_or_asked_directly(number: str) -> None:
    """The reference lists the bugs that a simulator must find; none is left out without a test of its own."""
    is_planted = any(bug.number == number for bug in all_bugs())
    assert is_planted is not (number in DIRECT)


@pytest.mark.parametrize("test", [*DIRECT.values(), *ALONE])
def test_what_is_asked_directly_is_asked(test: str) -> None:
    """The tests that stand in for a run are there."""
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in {"", *names}
