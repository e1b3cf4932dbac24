"""Each of Nova's measured faults is provoked here, and has the end that the design asks for."""

from __future__ import annotations

import pytest

from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.faults.catalogue import ENTRIES, FAULTS
from tests.faults.entry import End, Entry, Missing
from tests.faults.trial import play

EACH_FAULT = pytest.mark.parametrize("entry", [pytest.param(each, id=each.number) for each in ENTRIES])
#: The numbers of the notes; X23 to X29, X69, X73 and X74 are not among them.
NUMBERS = {
    *(f"X{number}" for number in (*range(1, 23), *range(30, 60), *range(60, 69), *range(70, 73), *range(75, 80))),
    "X44b", "X59b", "X59c",
}  # fmt: skip


@EACH_FAULT
def test_a_fault_that_nova_does_not_survive_ends_well_on_both_levels(entry: Entry) -> None:
    """It strikes; every promise holds; the end is the required one; the server is used on; and both levels agree."""
    real, inner = play(entry, LoopStage), play(entry, InnerStage)
    if entry.end not in {End.ONE_WINS, End.GONE}:
        assert real == inner


def test_every_number_of_the_notes_has_an_entry() -> None:
    """Each once, provoked here or with the reason why it is not."""
    numbers = [each.number for each in FAULTS]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) == NUMBERS
    assert all(each.why for each in FAULTS if isinstance(each, Missing))
