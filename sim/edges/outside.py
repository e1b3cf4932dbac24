"""What hypervisors and partners have in common: their calls take virtual time, fail by plan, and are recorded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from protocol.envelope import Key
from sim.history import Begun, Called, Calling, Carried, Handed
from sim.slowed import Slowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.chance import Chance
    from sim.faults import Fault, FaultKind
    from sim.history import History, Line
    from sim.injector import Injector
    from sim.process import Process

#: How far back a slow call looks for the commands that its caller works on.
LOOK_BACK_LINES: Final = 2000


@attrs.frozen(kw_only=True)
class Turn:
    """One call: the `number`-th of its kind about a thing."""

    call: str
    about: str
    number: int

    def __str__(self) -> str:
        """Key the chances of this call."""
        return f"{self.about} {self.number}"


@attrs.frozen(kw_only=True)
class Pace:
    """How long a call takes, and the fault that makes it so slow, if one does."""

    takes_s: float
    fault: Fault | None = None


class Outside:
    """One thing of the world outside, shared by all processes that call it.

    `place` is what faults call it, `where` what the history does.
    """

    def __init__(
        self, *, place: str, where: str, durations: Mapping[str, tuple[float, float]], scale: float,
        history: History, injector: Injector, chance: Chance,
    ) -> None:  # fmt: skip
        self.place = place
        self._where = where
        self._durations = durations
        self._scale = scale
        self.history = history
        self.injector = injector
        self.chance = chance
        self._turns: Counter[tuple[str, str]] = Counter()

    def turn(self, call: str, about: str) -> Turn:
        """Count a call."""
        self._turns[call, about] += 1
        return Turn(call=call, about=about, number=self._turns[call, about])

    def strike(self, kind: FaultKind, turn: Turn) -> Fault | None:
        """Give the fault of a kind that strikes this call, if one does."""
        if not self.injector.has(kind):
            return None
        return self.injector.strike(kind, where=self.place, point=turn.call, about=turn)

    def note(self, fault: Fault, turn: Turn, *, mattered: bool, process: str) -> None:
        """Record that a fault struck a call."""
        text = f"{self._where}: {turn.call} of {turn.about or 'all'}: {fault.kind}"
        self.injector.note(fault, mattered=mattered, text=text, process=process)

    def calling(self, turn: Turn, *, process: str) -> None:
        """Record a call that is about to be carried out."""
        self.history.record(Calling(process=process, where=self._where, call=turn.call, about=turn.about))

    def called(self, turn: Turn, *, process: str, error: str = "") -> None:
        """Record a call that came to its end."""
        self.history.record(Called(process=process, where=self._where, call=turn.call, about=turn.about, error=error))

    def hits(self, chance: float, what: str, turn: Turn) -> bool:
        """Decide something about a call."""
        return self.chance.hits(chance, what, self.place, turn.call, turn.about, turn.number)

    def pace(self, turn: Turn, *, slow: FaultKind) -> Pace:
        """Tell how long a call takes, and the fault of kind `slow` that makes it so."""
        if (fault := self.strike(slow, turn)) is not None:
            return Pace(takes_s=fault.amount_s, fault=fault)
        low_s, high_s = self._durations[turn.call]
        drawn_s = self.chance.between(low_s, high_s, "takes", self.place, turn.call, turn.about, turn.number)
        return Pace(takes_s=self._scale * drawn_s)

    async def wait(self, turn: Turn, pace: Pace, process: Process | None) -> None:
        """Let the time of a call pass."""
        if pace.fault is not None:
            await self._crawl(pace.fault, turn, process)
        elif pace.takes_s:
            await anyio.sleep(pace.takes_s)

    async def _crawl(self, fault: Fault, turn: Turn, process: Process | None) -> None:
        name = process.name if process else ""
        watch = Impatience(self.history, name)
        self.history.listeners.append(watch.hear)
        self.history.record(Slowed(process=name, where=self._where, call=turn.call))
        is_waited_for = False
        try:
            await anyio.sleep(fault.amount_s)
            is_waited_for = True
        finally:
            self.history.listeners.remove(watch.hear)
            self.note(fault, turn, mattered=watch.is_impatient or not is_waited_for, process=name)


class Impatience:
    """Notices when a process is asked again about a command or conversation that it works on already."""

    def __init__(self, history: History, process: str) -> None:
        self._process = process
        self._subjects = _begun(history, process)
        self.is_impatient = False

    def hear(self, line: Line) -> None:
        """Hear what happens meanwhile."""
        what = line.what
        if isinstance(what, Handed) and what.process == self._process:
            asked = [_subject(note.key) for note in what.notes if note.key and not note.answers]
            self.is_impatient = self.is_impatient or any(subject in self._subjects for subject in asked)


def _begun(history: History, process: str) -> tuple[str, ...]:
    """Give the subjects of the commands that a process has begun and not carried out."""
    begun: dict[str, None] = {}
    for line in history.lines[-LOOK_BACK_LINES:]:
        if line.what.process != process:
            continue
        if isinstance(line.what, Begun):
            begun[line.what.key] = None
        elif isinstance(line.what, Carried):
            begun.pop(line.what.key, None)
    return tuple(map(_subject, begun))


def _subject(text: str) -> str:
    """Name what a key is about: its conversation, so that an undo counts as well; of a plain call, itself."""
    key = Key.parse(text)
    return text if key.is_plain else key.scope


async def live(process: Process | None) -> None:
    """Return while the process lives; whoever calls without one always does."""
    if process is not None:
        await process.live()
