"""The two levels that a case can be run on, behind one face: the real actors on the loop, and the pure cores."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import attrs

from sim import running
from sim.cases.case import Breach, Case, Outcome
from sim.cases.layout import Layout
from sim.history import Broken, Line
from sim.inner import running as inner

#: What a run that ended in an exception of ours is said to have broken, in front of the exception's name.
RAISES: Final = "raises_"


class HasLines(Protocol):
    """A history, as far as one is told from it."""

    @property
    def lines(self) -> Sequence[Line]:
        """All that happened, in order."""
        ...


class Ran(Protocol):
    """A case that was run, on either level."""

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        ...

    @property
    def history(self) -> HasLines:
        """All that happened."""
        ...


@attrs.frozen
class Lines:
    """Lines that were heard while a case was run."""

    lines: tuple[Line, ...]


@attrs.frozen(kw_only=True)
class Heard:
    """A case that was run, and what was heard of it."""

    outcome: Outcome
    history: Lines


class _Enough(SystemExit):
    """Ends a run from within: only an exit passes through supervisors, callbacks and task groups at once."""


@attrs.frozen(kw_only=True)
class Level:
    """How cases are run: on which level, and in which cloud when it is not the one that a case tells of."""

    is_inner: bool = False
    layout: Layout | None = None

    def run(self, case: Case, *, is_hashed: bool = True) -> Ran:
        """Run a case and keep all that happened; a run that raises has broken something, too."""
        lines: list[Line] = []
        outcome = self._outcome(case, lines.append, is_hashed=is_hashed)
        return Heard(outcome=outcome, history=Lines(tuple(lines)))

    def breach(self, case: Case, *, wanted: str = "") -> Breach | None:
        """Give the first breach of a case; with a wanted invariant, that one's, and not a step further."""
        found: Breach | None = None

        def hear(line: Line) -> None:
            nonlocal found
            what = line.what
            if found is None and wanted and isinstance(what, Broken) and what.invariant == wanted:
                found = Breach(invariant=wanted, server=what.subject, step=line.number, text=what.detail)
                raise _Enough

        try:
            outcome = self._outcome(case, hear, is_hashed=False)
        except BaseException as error:  # On its way out it may have become part of a task group's failure.
            if isinstance(_leaf(error), _Enough):
                return found
            raise
        kept = [breach for breach in outcome.breaches if wanted in {"", breach.invariant}]
        return min(kept, key=lambda breach: breach.step, default=None)

    def _outcome(self, case: Case, hear: Callable[[Line], None], *, is_hashed: bool) -> Outcome:
        last: Line | None = None

        def note(line: Line) -> None:
            nonlocal last
            last = line
            hear(line)

        try:
            if self.is_inner:
                return inner.run_case(case, layout=self.layout, listeners=(note,), is_hashed=is_hashed)
            return running.run_case(case, layout=self.layout, until=note, is_hashed=is_hashed).outcome
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this case leads to
            return _failed(case, error, last)


def _failed(case: Case, error: Exception, last: Line | None) -> Outcome:
    first, step = _leaf(error), last.number if last else 0
    breach = Breach(invariant=f"{RAISES}{type(first).__name__}", server="", step=step, text=str(first))
    return Outcome(
        case=case, trace_sha256="", moves=0, messages=0, steps=step + 1, fired={}, mattered={}, probes={},
        virtual_s=last.at_ns / running.NS_PER_S if last else 0.0, breaches=(breach,),
    )  # fmt: skip


def _leaf(error: BaseException) -> BaseException:
    """Give what went wrong first in a group of errors."""
    return _leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
