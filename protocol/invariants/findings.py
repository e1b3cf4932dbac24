"""What a checker is: a pure function of the truth that says what is wrong with whom."""

from collections.abc import Callable, Iterator
from functools import wraps

from protocol.truth import Truth, Violation

#: Of which server or other thing, and what is wrong with it.
Findings = Iterator[tuple[str, str]]
Check = Callable[[Truth], tuple[Violation, ...]]


def checker(invariant: str) -> Callable[[Callable[[Truth], Findings]], Check]:
    """Make a checker of a function that yields findings: each becomes a violation of the named invariant."""

    def make(find: Callable[[Truth], Findings]) -> Check:
        @wraps(find)
        def check(truth: Truth) -> tuple[Violation, ...]:
            return tuple(Violation(invariant=invariant, subject=subject, text=text) for subject, text in find(truth))

        return check

    return make


def nothing(_: Truth) -> tuple[Violation, ...]:
    """Find nothing: the check of an invariant that asks nothing of that moment."""
    return ()
