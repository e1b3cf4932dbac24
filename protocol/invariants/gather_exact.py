"""Gather is exact: the answers of a broadcast call stand for every cell of its subtree once, and for no other."""

from collections import Counter

from protocol.cell_path import CellPath
from protocol.gather import CellAnswer
from protocol.invariants.findings import Findings, checker
from protocol.truth import GatherTruth, Truth


@checker("gather_exact")
def check(truth: Truth) -> Findings:
    """Ask who answered, and who is hidden by whom."""
    for gather in truth.gathers:
        yield from of_one(gather)


def of_one(gather: GatherTruth) -> Findings:
    """Judge the answers of one broadcast call."""
    answers = gather.result.answers
    counts = Counter(answer.cell for answer in answers)
    for cell, count in counts.items():
        if cell not in gather.cells:
            yield str(cell), f"answers a broadcast of {gather.top}, and is not below it"
        elif count > 1:
            yield str(cell), f"answers a broadcast of {gather.top} {count} times"
    hiding = [answer.cell for answer in answers if answer.cell != gather.top and _may_hide(answer, counts)]
    for cell in gather.cells:
        if counts[cell] == 0 and not any(above.is_above(cell) for above in hiding):
            yield str(cell), f"does not answer a broadcast of {gather.top}, and no error of a neighbour hides it"


def _may_hide(answer: CellAnswer, counts: Counter[CellPath]) -> bool:
    """Tell whether an error stands for a whole side: beside answers from below it, it is that cell's own only."""
    return answer.is_error and not any(answer.cell.is_above(cell) for cell in counts)
