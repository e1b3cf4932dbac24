"""All checkers over one run: each line is judged as it is written, and the end when everything has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actors.kernel.calls import HOP_S
from protocol.invariants import INVARIANTS, violations
from sim.cases.case import Breach
from sim.checkers.broadcasts import Broadcasts
from sim.checkers.chronicle import NS_PER_S, Chronicle
from sim.checkers.table import ORACLES
from sim.checkers.witnesses import Witnesses
from sim.history import Broken, Called, Carried, Crashed, GuestOff, GuestOn, Happening, Journaled, Paused, Resumed

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.truth import Truth
    from sim.checkers.oracle import Ear
    from sim.history import History, Line

#: Lines after which the world is another.
EFFECTS: Final = frozenset({Carried, Journaled, GuestOn, GuestOff, Called})


class Watch:
    """All checkers over one run.  It hears what was before it, too.

    With `peek` and `always_every`, what must hold always is judged after so many effects each.
    """

    def __init__(
        self, history: History, *, peek: Callable[[], Truth] | None = None, always_every: int = 0
    ) -> None:  # fmt: skip
        self.breaches: list[Breach] = []
        self.chronicle = Chronicle()
        self._history = history
        self._step = 0
        self._found: set[tuple[str, str]] = set()
        self._untold: list[Broken] = []
        self._effects = 0
        self._witnesses = Witnesses(self.chronicle)
        self._broadcasts = Broadcasts()
        self._oracles = tuple(oracle(self.chronicle, self._accuse) for oracle in ORACLES.values())
        self._ears: dict[type[Happening], list[Ear]] = {}
        self._paused: dict[str, None] = {}
        self._resumed_ns = -NS_PER_S * 3600
        own: dict[type[Happening], Ear] = {Paused: self._pause, Resumed: self._resume, Crashed: self._resume}
        wanted = (
            self.chronicle.ears(),
            own,
            *(each.ears() for each in (self._witnesses, self._broadcasts)),
            *(oracle.ears() for oracle in self._oracles),
        )
        for ears in wanted:
            for kind, ear in ears.items():
                self._ears.setdefault(kind, []).append(ear)
        for line in tuple(history.lines):
            self._judge(line)
        self._peek = peek if always_every else None
        self._always_every = always_every
        history.listeners.append(self._hear)

    def see(self, truth: Truth) -> None:
        """Judge a snapshot of the truth, taken at any time."""
        if self._stands_still():
            # Who stands still cannot tell in time that no answer came; he will, when he goes on.
            truth = attrs.evolve(truth, calls=tuple(call for call in truth.calls if not call.is_overdue))
        truth = self._with_gathers(truth)
        for invariant in INVARIANTS.values():
            for violation in invariant.always(truth):
                self._accuse(violation.invariant, violation.subject, violation.text)
        self._look(truth)
        self._tell()

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:
        """Judge the end of a run: nothing goes on any more, and everything has been healed for so long."""
        self._step = max(len(self._history.lines) - 1, 0)
        self.chronicle.now_ns = self._history.now_ns()
        asked = attrs.evolve(self._with_gathers(truth), witnessed=(*truth.witnessed, *self._witnesses.witnessed()))
        for violation in violations(asked, is_at_rest=True):
            self._accuse(violation.invariant, violation.subject, violation.text)
        for oracle in self._oracles:
            oracle.at_rest(truth, healed_for_s=healed_for_s)
        self._look(truth)
        self._tell()

    def _with_gathers(self, truth: Truth) -> Truth:
        return attrs.evolve(truth, gathers=(*truth.gathers, *self._broadcasts.gathers(truth)))

    def _stands_still(self) -> bool:
        return bool(self._paused) or self.chronicle.now_ns < self._resumed_ns + round(HOP_S * NS_PER_S)

    def _pause(self, what: Paused) -> None:
        self._paused[what.process] = None

    def _resume(self, what: Resumed | Crashed) -> None:
        if what.process in self._paused:
            del self._paused[what.process]
            self._resumed_ns = self.chronicle.now_ns

    def _look(self, truth: Truth) -> None:
        for oracle in self._oracles:
            oracle.see(truth)
        self._witnesses.see(truth)

    def _hear(self, line: Line) -> None:
        what = line.what
        self._step = line.number
        self.chronicle.now_ns = line.at_ns
        for ear in self._ears.get(type(what), ()):
            ear(what)
        if self._peek is not None and type(what) in EFFECTS:
            self._effects += 1
            if self._effects % self._always_every == 0:
                self.see(self._peek())
        if self._untold:
            self._tell()

    def _judge(self, line: Line) -> None:
        self._step = line.number
        self.chronicle.now_ns = line.at_ns
        for ear in self._ears.get(type(line.what), ()):
            ear(line.what)

    def _accuse(self, invariant: str, subject: str, text: str) -> None:
        if (invariant, subject) in self._found:
            return
        self._found.add((invariant, subject))
        self.breaches.append(Breach(invariant=invariant, server=subject, step=self._step, text=text))
        self._untold.append(Broken(invariant=invariant, subject=subject, detail=text))

    def _tell(self) -> None:
        # Only when a line is judged to its end: what is recorded now is heard by all at once, here too.
        untold, self._untold = self._untold, []
        for broken in untold:
            self._history.record(broken)


def watch(
    history: History, *, peek: Callable[[], Truth] | None = None, always_every: int = 0
) -> Watch:  # fmt: skip
    """Attach all checkers to a history."""
    return Watch(history, peek=peek, always_every=always_every)
