"""A call that is answered twice, or never, breaks `one_answer`."""

import pytest

from protocol.truth import CallTruth
from tests.protocol.invariants.killers import Edit, Killer, always, broken, evolve, prove
from tests.protocol.invariants.worlds import active


def calls(answers: int, *, is_overdue: bool) -> Edit:
    return evolve(calls=(CallTruth(call="c9", answers=answers, is_overdue=is_overdue),))


KILLERS = (
    always("a call is answered twice", active, calls(2, is_overdue=False)),
    always("a call is answered twice, and late", active, calls(3, is_overdue=True)),
    always("a call is never answered", active, calls(0, is_overdue=True)),
)


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_one_answer(killer: Killer) -> None:
    """The invariant sees an answer too many and an answer too few."""
    prove(killer, "one_answer")


@pytest.mark.parametrize(("answers", "is_overdue"), [(0, False), (1, False), (1, True)])
def test_a_call_that_waits_or_was_answered_once_is_fine(answers: int, *, is_overdue: bool) -> None:
    """No answer is no violation before the deadline and one hop."""
    assert broken(calls(answers, is_overdue=is_overdue)(active()), is_at_rest=True) == set()
