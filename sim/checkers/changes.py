"""The oracle over what users change of a record: what was acknowledged stays, once, wherever the server goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from protocol.effects.changes import action_of
from protocol.errors import CODES
from protocol.ids import derived_id
from protocol.invariants.standing import located, settled
from protocol.messages.changes import ChangeServer
from protocol.records import ServerAction
from sim.checkers.oracle import Oracle
from sim.history import Answered, Happening, Ordered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingOf

    from protocol.invariants.standing import Home
    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

#: A cell, a server, and the action's id.
_ActionKey = tuple[str, str, str]


@attrs.define
class _Asked:
    """A change that was asked for: when it was, and when and how it was answered."""

    request: ChangeServer
    since: int
    until: int | None = None
    error: str = ""

    @property
    def is_done(self) -> bool:
        """Whether its user knows that it is done."""
        return self.until is not None and not self.error

    @property
    def is_refused(self) -> bool:
        """Whether its user knows that it never will be; what went unanswered for too long may be done yet."""
        return bool(self.error) and not CODES[self.error].is_retryable

    def is_undone_by(self, other: _Asked) -> bool:
        """Tell whether it was done before the other was asked for, which was done, too."""
        return self.is_done and other.is_done and (self.until or 0) < other.since


class ChangesKept(Oracle):
    """A change that was acknowledged is in its server's record and history at rest, unless a later one undid it."""

    name = "changes_kept"
    letters = "M7"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._count = 0
        self._asked: dict[int, _Asked] = {}

    def ears(self) -> MappingOf[type[Happening], Ear]:
        """Hear what users ask and are told."""
        return {Ordered: self._ordered, Answered: self._answered}

    def _ordered(self, what: Ordered) -> None:
        self._count += 1
        if isinstance(what.order, ChangeServer):
            self._asked[what.number] = _Asked(what.order, since=self._count)

    def _answered(self, what: Answered) -> None:
        self._count += 1
        if (asked := self._asked.get(what.number)) is not None:
            asked.until, asked.error = self._count, what.error

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Compare the records of all settled servers with what their users were told."""
        by_server: dict[str, list[_Asked]] = {}
        for asked in self._asked.values():
            by_server.setdefault(asked.request.server, []).append(asked)
        actions = {(cell, row.server, row.id): row for cell, row in located(truth, ServerAction)}
        for standing in settled(truth):
            for text in _missing(standing.home, by_server.get(standing.server, []), actions):
                self.accuse(standing.server, text)


def _missing(home: Home, asked: list[_Asked], actions: MappingOf[_ActionKey, ServerAction]) -> Iterator[str]:
    record = home.record
    done = [each for each in asked if each.is_done]
    for each in done:
        action = actions.get((home.cell, record.uuid, derived_id(each.request.id, "action")))
        if action is None or action.action != action_of(each.request.change):
            yield f"its change {each.request.id} was acknowledged, and is not in its history in {home.cell}"
    for field in dict.fromkeys(name for each in done for name in each.request.change.fields()):
        of_field = [each for each in asked if field in each.request.change.fields()]
        allowed = _values(field, of_field)
        if getattr(record, field) not in allowed:
            yield f"its {field} is {getattr(record, field)!r}, and may be {' or '.join(map(repr, allowed))}"


def _values(field: str, asked: list[_Asked]) -> list[Any]:
    """Give what a field may be: what one of the last has set it to, unless that was refused."""
    last = [each for each in asked if not each.is_refused and not any(map(each.is_undone_by, asked))]
    return [each.request.change.fields()[field] for each in last]
