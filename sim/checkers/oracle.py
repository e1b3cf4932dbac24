"""What an oracle is: it hears the lines of a history, and says as soon as its promise is broken."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle
    from sim.history import Happening

    #: Hears one kind of happening.
    Ear: TypeAlias = Callable[[Any], None]
    #: Says which oracle found what about whom.
    Accuse: TypeAlias = Callable[[str, str, str], None]


class Oracle:
    """Base of all oracles.  The docstring of each is its promise, in one sentence."""

    name: ClassVar[str]
    letters: ClassVar[str]  # Of the list of promises in the reference on reliability.

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        self.chronicle = chronicle
        self._accuse = accuse

    @classmethod
    def text(cls) -> str:
        """Give the promise, in one sentence."""
        return inspect.getdoc(cls) or ""

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Tell which happenings it wants to hear of."""
        return {}

    def see(self, truth: Truth) -> None:
        """Look at a snapshot of the truth, taken at any time."""

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:
        """Judge the end of a run, when all has been healed for so long."""

    def accuse(self, subject: str, text: str) -> None:
        """Say that the promise is broken, of which server or other thing, and how."""
        self._accuse(self.name, subject, text)
