"""One answer: a call is answered by a value or an error, never by both, and never by nothing."""

from protocol.invariants.findings import Findings, checker
from protocol.truth import Truth


@checker("one_answer")
def check(truth: Truth) -> Findings:
    """Count the answers."""
    for call in truth.calls:
        if call.answers > 1:
            yield call.call, f"was answered {call.answers} times"
        elif call.is_overdue and call.answers == 0:
            yield call.call, "was not answered by its deadline and one hop"
