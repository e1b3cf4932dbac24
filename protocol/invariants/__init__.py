"""The invariants, judged on the truth.  Pure; the demo, the end-to-end tests and the simulator all ask the same.

What holds *always* holds at every instant, in the midst of every move.  What holds *at rest* holds when nothing goes
on any more: of servers that an open (parked) conversation still works on, only what holds always is asked.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from protocol.invariants import (
    accounting,
    apart,
    attachments,
    gather_exact,
    no_leaks,
    no_loss,
    one_answer,
    one_guest,
    one_home,
    progress,
    records_agree,
)
from protocol.invariants.findings import Check, nothing
from protocol.truth import Truth, Violation

__all__ = ["INVARIANTS", "Check", "Invariant", "verdict", "violations"]


@attrs.frozen(kw_only=True)
class Invariant:
    """A promise, in one sentence, and what checks it."""

    name: str
    text: str
    always: Check = nothing
    at_rest: Check = nothing


_ALL: Final = (
    Invariant(
        name="one_home",
        text="Each live server has one visible record, in the cell that its mapping names; a listing shows it once.",
        always=one_home.check,
        at_rest=one_home.check_at_rest,
    ),
    Invariant(
        name="one_guest",
        text="A server's guest never runs on two hosts, nor on one that does not hold the current permit.",
        always=one_guest.check,
        at_rest=one_guest.check_at_rest,
    ),
    Invariant(
        name="no_loss",
        text="An intact copy of each server's disk exists at every instant, and no write that was seen is ever lost.",
        always=no_loss.check,
        at_rest=no_loss.check_at_rest,
    ),
    Invariant(
        name="no_leaks",
        text="At rest nothing is left behind: no binding, attachment, image, allocation, claim, record, disk or key.",
        at_rest=no_leaks.check_at_rest,
    ),
    Invariant(
        name="attachments",
        text="A volume has at most one connected attachment, and a port at most one active binding.",
        always=attachments.check,
        at_rest=attachments.check_at_rest,
    ),
    Invariant(
        name="records_agree",
        text="At rest the records of both cells, the root, the history and the hypervisor tell one story.",
        at_rest=records_agree.check_at_rest,
    ),
    Invariant(
        name="one_answer",
        text="Each call gets a value or an error: never both, and never none past its deadline and one hop.",
        always=one_answer.check,
    ),
    Invariant(
        name="gather_exact",
        text="A broadcast's answers stand for each cell of its subtree once, or for it by the one error that hides it.",
        always=gather_exact.check,
    ),
    Invariant(
        name="progress",
        text="When faults stop, every conversation ends or says what it waits for; no task is left to nobody.",
        at_rest=progress.check_at_rest,
    ),
    Invariant(
        name="accounting",
        text="Hosts give what their servers need, never more than they have; quotas count each server once.",
        always=accounting.check,
        at_rest=accounting.check_at_rest,
    ),
    Invariant(
        name="apart",
        text="Servers of a group are on different hosts, and the hosts that each may need are kept for it.",
        always=apart.check,
        at_rest=apart.check_at_rest,
    ),
)

INVARIANTS: Final[Mapping[str, Invariant]] = {invariant.name: invariant for invariant in _ALL}


def violations(truth: Truth, *, is_at_rest: bool) -> tuple[Violation, ...]:
    """List everything that does not hold."""
    found: list[Violation] = []
    for invariant in INVARIANTS.values():
        found.extend(invariant.always(truth))
        if is_at_rest:
            found.extend(invariant.at_rest(truth))
    return tuple(found)


def verdict(truth: Truth, *, is_at_rest: bool) -> dict[str, bool]:
    """Tell of each invariant whether it holds."""
    broken = {violation.invariant for violation in violations(truth, is_at_rest=is_at_rest)}
    return {name: name not in broken for name in INVARIANTS}
