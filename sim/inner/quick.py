"""A history that is hashed only when somebody asks for its hash."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from sim.history import Happening, History, Journaled, Line

if TYPE_CHECKING:
    from collections.abc import Callable


class QuickHistory(History):
    """The same lines for the same listeners; what it saves is the writing of each line as it comes."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        super().__init__(now_ns)
        self._hashed = 0

    @property
    def sha256(self) -> str:
        """The hash of all lines so far."""
        for line in self.lines[self._hashed :]:
            self._hash.update(f"{line.at_ns} {_text(line.what)}\n".encode())
        self._hashed = len(self.lines)
        return self._hash.hexdigest()

    def record(self, what: Happening) -> None:
        """Write a line: what happens on this level is durable at once."""
        line = Line(number=len(self.lines), at_ns=self.now_ns(), what=what)
        self.lines.append(line)
        for listener in self._by_kind.get(type(what), ()):
            listener(line)
        for listener in self.listeners:
            listener(line)


def _text(what: Happening) -> str:
    if type(what) is not Journaled:
        return str(what)
    entry = what.entry
    told = (what.process, what.conversation, entry.seq, entry.epoch, entry.kind.value, entry.step, entry.attempt)
    return f"{told} {entry.is_undo} {entry.at_us} {zlib.crc32(entry.payload)}"
