"""Histories written by hand: each oracle is shown one in which its promise is kept, and some in which it is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from protocol.bodies import encode_body
from protocol.cell_path import CellPath
from protocol.errors import ErrorReport
from protocol.journal import Ending, Entry, Kind
from protocol.requests import Done
from protocol.states import Goal
from protocol.truth import CellTruth, Truth
from sim.checkers import Watch, watch
from sim.history import Begun, Carried, Handed, Happening, History, Journaled, Looked, Note, Sent, Settled

S: Final = "s1"
C: Final = "c1"
CONDUCTOR: Final = "api/conductor"
CELL: Final = "api/cell"
CAUSE: Final = ErrorReport(code="conflict", message="no", arguments={}, is_retryable=False, cell="api")
WELL: Final = encode_body(Ending(is_success=True))
BADLY: Final = encode_body(Ending(is_success=False, cause=CAUSE))
DONE: Final = encode_body(Done())

ROOT: Final = CellPath.parse("api")
#: Of histories that tell of no world.
NOWHERE: Final = Truth(root=ROOT, cells=(CellTruth(path=ROOT, rows=()),), partners=(), image_files=(), guests=())


def note(**fields: Any) -> Note:
    """Make the note of a command of the conductor, but for these fields."""
    usual: dict[str, Any] = {
        "id": "e1", "kind": "call", "method": "take_server", "source": CONDUCTOR, "target": CELL, "route": ("api",),
        "hops_max": 10, "server": S, "key": "", "epoch": 1,
    }  # fmt: skip
    return Note(**{**usual, **fields})


class Hand:
    """Writes a history line by line, under the eyes of all checkers."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.history = History(lambda: round(self.now_s * 1e9))
        self.watch: Watch = watch(self.history)
        self._counts: dict[str, int] = {}
        self._frames = 0

    def write(self, *happenings: Happening) -> None:
        for what in happenings:
            self.history.record(what)

    def entry(
        self, kind: Kind, step: str = "", *, conversation: str = C, server: str = S, goal: Goal = Goal.RESIZE,
        attempt: int = 0, is_undo: bool = False, epoch: int = 1, payload: bytes = b"", process: str = CONDUCTOR,
        seq: int | None = None,
    ) -> None:  # fmt: skip
        """Write the next entry of a journal."""
        number = self._counts.get(conversation, 0) if seq is None else seq
        self._counts[conversation] = number + 1
        entry = Entry(
            seq=number, epoch=epoch, kind=kind, at_us=0, step=step, attempt=attempt, is_undo=is_undo, payload=payload
        )
        self.write(Journaled(process=process, conversation=conversation, server=server, goal=goal, entry=entry))

    def begin(self, conversation: str = C, **fields: Any) -> None:
        self.entry(Kind.BEGIN, conversation=conversation, **fields)

    def carry(
        self, key: str, *, at: str = CELL, epoch: int = 1, server: str = S, reply: str = "r", is_error: bool = False,
        is_begun: bool = False,
    ) -> None:  # fmt: skip
        """Write that an actor has carried a command out."""
        about: dict[str, Any] = {"process": at, "key": key, "server": server, "epoch": epoch, "method": "any"}
        self.write(Looked(**about, verdict="fresh"))
        if is_begun:
            self.write(Begun(**about))
        self.write(Carried(**about, reply=reply, is_error=is_error))

    def step(
        self, step: str, *, conversation: str = C, attempt: int = 0, is_undo: bool = False, at: str = CELL,
        epoch: int = 1, payload: bytes = DONE, **fields: Any,
    ) -> None:  # fmt: skip
        """Write a whole exchange: intended, carried out, done."""
        about: dict[str, Any] = {
            "conversation": conversation, "attempt": attempt, "is_undo": is_undo, "epoch": epoch, **fields
        }  # fmt: skip
        self.entry(Kind.INTENT, step, **about)
        key = f"{conversation}:{attempt}:{step}:{'undo' if is_undo else 'execute'}"
        self.carry(key, at=at, epoch=epoch, server=fields.get("server", S))
        self.entry(Kind.DONE, step, **about, payload=payload)

    def close(self, *, payload: bytes = WELL, **fields: Any) -> None:
        """Write the end of a conversation, to the release of its server."""
        self.entry(Kind.END, **fields, payload=payload)
        self.entry(Kind.CLOSED, **fields)
        self.entry(Kind.RELEASED, **fields)

    def send(self, *notes: Note, queue: str = CELL, process: str = CONDUCTOR) -> int:
        """Put a frame into a queue; give its number."""
        self._frames += 1
        self.write(Sent(process=process, queue=queue, frame=self._frames, notes=notes))
        return self._frames

    def hand(self, frame: int, *notes: Note, queue: str = CELL, process: str = CELL, copy: int = 1) -> None:
        self.write(Handed(process=process, queue=queue, frame=frame, copy=copy, notes=notes))

    def settle(self, frame: int, *, queue: str = CELL, process: str = CELL) -> None:
        self.write(Settled(process=process, queue=queue, frame=frame))

    def judged(self, truth: Truth, *, healed_for_s: float = 0.0) -> list[str]:
        """Come to rest with this truth; name the invariants and oracles that were found broken, each once."""
        self.watch.at_rest(truth, healed_for_s=healed_for_s)
        return list(dict.fromkeys(breach.invariant for breach in self.watch.breaches))


Story = Callable[[Hand], object]


@attrs.frozen
class Stories:
    """Of some oracles: histories in which each one's promise is kept, and histories in which it alone is broken."""

    kept: list[tuple[str, Story]] = attrs.field(factory=list)
    broken: list[tuple[str, Story]] = attrs.field(factory=list)

    def keeps(self, oracle: str) -> Callable[[Story], Story]:
        """Enter a history in which a promise is kept."""

        def enter(story: Story) -> Story:
            self.kept.append((oracle, story))
            return story

        return enter

    def breaks(self, oracle: str) -> Callable[[Story], Story]:
        """Enter a history in which a promise is broken."""

        def enter(story: Story) -> Story:
            self.broken.append((oracle, story))
            return story

        return enter


def named(pair: object) -> str | None:
    """Name a parametrised test by its story."""
    return getattr(pair, "__name__", None)
