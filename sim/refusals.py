"""Commands that actors are to fail, as a scenario says: refused before they begin, or failing when all is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from protocol.errors import Conflict

if TYPE_CHECKING:
    from protocol.envelope import Key

REFUSES: Final = "refuses"
DIRTY: Final = "dirty"


@attrs.define(kw_only=True)
class Refusal:
    """That an actor is to fail a command: by its method or step, its execute only, so often (0: for ever)."""

    process: str
    call: str
    how: str
    times: int
    struck: list[str] = attrs.field(factory=list)

    def strikes(self, process: str, *, method: str, key: Key, how: str) -> bool:
        """Tell whether a command is to fail so."""
        is_it = self.process == process and self.call in {method, key.step} and self.how == how
        if not is_it or key.is_undo:
            return False
        text = str(key)
        # The refusal of a plain call is written down, in a transaction that looks again.
        is_known = key.is_plain and text in self.struck
        if is_known or (self.times and len(self.struck) >= self.times):
            return False
        self.struck.append(text)
        return True


class Refusals:
    """All of a world: what is asked, and whether each has struck."""

    def __init__(self) -> None:
        """Refuse nothing yet."""
        self.open: list[Refusal] = []
        self.asked: list[Refusal] = []  # Those that are over, too.

    def add(self, refusal: Refusal) -> None:
        """Have a command of an actor fail from now on."""
        self.open.append(refusal)
        self.asked.append(refusal)

    def end(self) -> None:
        """Refuse nothing more."""
        self.open.clear()

    def strike(self, process: str, *, server: str, method: str, key: Key, how: str) -> None:
        """Raise if this command is to fail in this way."""
        for refusal in self.open:
            if refusal.strikes(process, method=method, key=key, how=how):
                raise Conflict(server=server, action=method, reason="the scenario has it fail")
