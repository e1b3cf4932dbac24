"""Answers that leave a cell out, count one twice or invent one break `gather_exact`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.gather import CellAnswer
from protocol.invariants import gather_exact
from protocol.requests import Gathered
from protocol.truth import GatherTruth
from tests.protocol.invariants.killers import Edit, Killer, always, broken, evolve, prove
from tests.protocol.invariants.worlds import EU, ROOT, US, active, answers
from tests.strategies import Tree, trees

EU_1, EU_2 = EU.child("eu-1"), EU.child("eu-2")
CELLS = (ROOT, EU, EU_1, EU_2, US)
ELSEWHERE = CellPath.parse("api!asia")


def gather(*cells: CellPath, errors: tuple[CellPath, ...] = (), top: CellPath = ROOT) -> Edit:
    below = tuple(cell for cell in CELLS if cell == top or top.is_above(cell))
    return evolve(gathers=(GatherTruth(top=top, cells=below, result=answers(*cells, errors=errors)),))


KILLERS = (
    always("a leaf is left out", active, gather(EU_1, EU, US, ROOT)),
    always("a whole side is left out", active, gather(US, ROOT)),
    always("the top is left out", active, gather(EU_1, EU_2, EU, US)),
    always("a cell answers twice", active, gather(EU_1, EU_1, EU_2, EU, US, ROOT)),
    always("an answer and an error of one cell", active, gather(EU_1, EU_2, EU, US, US, ROOT, errors=(US,))),
    always("a cell that is none answers", active, gather(EU_1, EU_2, EU, US, ELSEWHERE, ROOT)),
    always("a cell beside the subtree answers", active, gather(EU_1, EU_2, EU, US, top=EU)),
    always("a cell's own error hides its other child", active, gather(EU_1, EU, US, ROOT, errors=(EU,))),
    always("the top's own error hides all", active, gather(ROOT, errors=(ROOT,))),
    always("an answer hides what is below", active, gather(EU, US, ROOT)),
    always("an error hides its sibling", active, gather(EU, ROOT, errors=(EU,))),
    always("nobody answers", active, gather()),
)

EXACT = {
    "all answer": gather(EU_1, EU_2, EU, US, ROOT),
    "a neighbour hides its side": gather(EU, US, ROOT, errors=(EU,)),
    "a leaf fails": gather(EU_1, EU_2, EU, US, ROOT, errors=(EU_2,)),
    "a cell fails, and its children answer": gather(EU_1, EU_2, EU, US, ROOT, errors=(EU,)),
    "all fail": gather(EU, US, ROOT, errors=(EU, US, ROOT)),
    "a subtree by itself": gather(EU_2, EU_1, EU, top=EU),
}


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_gather_exact(killer: Killer) -> None:
    """The invariant sees a cell too many, too few, twice, or hidden by none."""
    prove(killer, "gather_exact")


@pytest.mark.parametrize("edit", EXACT.values(), ids=EXACT)
def test_partial_failure_is_exact(edit: Edit) -> None:
    """An error stands for its cell, or for all that it hides; which of the two, its neighbours' answers tell."""
    assert broken(edit(active()), is_at_rest=True) == set()


def collect(tree: Tree, cell: CellPath, silent: set[CellPath]) -> tuple[CellAnswer, ...]:
    """Answer as a cell does: its neighbours' sides first, one error for each that is silent, its own answer last."""
    sides = [
        (CellAnswer(cell=child, body=b"", is_error=True),) if child in silent else collect(tree, child, silent)
        for child in tree.children(cell)
    ]
    return (*(answer for side in sides for answer in side), CellAnswer(cell=cell, body=b"", is_error=False))


@given(tree=trees(), data=st.data())
def test_a_gather_is_exact_whoever_is_silent_and_never_without_one_of_its_answers(
    tree: Tree, data: st.DataObject
) -> None:
    """On any tree, with any cells silent, the answers are exact; one fewer, or one of them again, is not."""
    found = collect(tree, tree.root, data.draw(st.sets(st.sampled_from(tree.cells))))

    def judge(*given_answers: CellAnswer) -> bool:
        truth = GatherTruth(top=tree.root, cells=tree.cells, result=Gathered(answers=given_answers))
        return not gather_exact.check(evolve(gathers=(truth,))(active()))

    assert judge(*found)
    for at, answer in enumerate(found):
        assert not judge(*found[:at], *found[at + 1 :])
        assert not judge(*found, answer)
