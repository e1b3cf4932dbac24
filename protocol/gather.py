"""The answers of one broadcast at one hop: expected, arrived, overdue, merged.  Pure and immutable.

A hop waits for its own neighbours only.  Each of them yields the answers of all cells on its side of the tree, its own
last, or one error that is named for it and pretends nothing about the cells that it hides.
"""

from typing import Final

import attrs

from protocol.cell_path import CellPath
from protocol.codec import Layout, pack, require_layout, require_size, unpack
from protocol.errors import CellferryError, CellTimeout, Malformed, report
from protocol.errors_wire import encode_error

ANSWERS_MAX: Final = 4096
_ANSWER: Final[Layout] = {"cell": str, "body": bytes, "is_error": bool}


@attrs.frozen(kw_only=True)
class CellAnswer:
    """What one cell answered to a broadcast: a reply, or an error as `protocol.errors_wire` writes it."""

    cell: CellPath
    body: bytes
    is_error: bool


@attrs.frozen(kw_only=True)
class Gather:
    """The answers of one broadcast at one hop, as far as they have come."""

    here: CellPath
    #: The neighbours that the broadcast went on to, in their configured order.
    expected: tuple[CellPath, ...]
    #: Whether this cell answers too.
    has_own: bool
    #: Whether what was last given was taken as it was: not if doubled, late, unexpected, or not a neighbour's to say.
    accepted: bool = True
    _arrived: dict[CellPath, tuple[CellAnswer, ...]] = attrs.field(factory=dict, alias="arrived")

    @classmethod
    def begin(cls, expected: tuple[CellPath, ...], *, own: bool, here: CellPath) -> "Gather":
        """Begin to wait for these neighbours, and for this cell's own answer if it handles the broadcast too."""
        return cls(here=here, expected=expected, has_own=own)

    @property
    def missing(self) -> tuple[CellPath, ...]:
        """The neighbours that have not answered, and last this cell if it has not and must."""
        cells = (*self.expected, self.here) if self.has_own else self.expected
        return tuple(cell for cell in cells if cell not in self._arrived)

    @property
    def is_complete(self) -> bool:
        """Tell whether there is nothing left to wait for."""
        return len(self._arrived) == len(self.expected) + self.has_own

    def arrive(self, neighbour: CellPath, answers: tuple[CellAnswer, ...]) -> "Gather":
        """Take a neighbour's list; one that it may not give is replaced by a single error named for it."""
        reason = self._why_not(neighbour, answers)
        if reason is None:
            return self._take(neighbour, answers)
        error = Malformed(where=f"answers of {neighbour}", what=reason)
        return attrs.evolve(self._take(neighbour, (self._error(neighbour, error),)), accepted=False)

    def fail(self, neighbour: CellPath, body: bytes) -> "Gather":
        """Take an error for a neighbour: it could not be sent to, or answered the whole broadcast with an error."""
        return self._take(neighbour, (CellAnswer(cell=neighbour, body=body, is_error=True),))

    def own(self, answer: CellAnswer) -> "Gather":
        """Take this cell's own answer."""
        assert answer.cell == self.here, "a cell answers for itself"
        return self._take(self.here, (answer,))

    def overdue(self, waited_s: float) -> "Gather":
        """Give up waiting: whatever is missing is answered by one time-out named for it."""
        gather = self
        for cell in self.missing:
            error = CellTimeout(cell=str(cell), waited_s=waited_s)
            gather = gather._take(cell, (self._error(cell, error),))
        return gather

    def merged(self) -> tuple[CellAnswer, ...]:
        """List all answers: the neighbours in configured order, each one's side in one piece, this cell's own last."""
        assert self.is_complete, f"still waiting for {self.missing}"
        cells = (*self.expected, self.here) if self.has_own else self.expected
        return tuple(answer for cell in cells for answer in self._arrived[cell])

    def _take(self, cell: CellPath, answers: tuple[CellAnswer, ...]) -> "Gather":
        is_expected = cell in self.expected or (self.has_own and cell == self.here)
        if cell in self._arrived or not is_expected:
            return attrs.evolve(self, accepted=False)
        return attrs.evolve(self, arrived={**self._arrived, cell: answers}, accepted=True)

    def _error(self, cell: CellPath, error: CellferryError) -> CellAnswer:
        return CellAnswer(cell=cell, body=encode_error(report(error, cell=str(self.here))), is_error=True)

    def _why_not(self, neighbour: CellPath, answers: tuple[CellAnswer, ...]) -> str | None:
        cells = [answer.cell for answer in answers]
        # Every cell but a broadcast's source handles it, so that a neighbour never leaves itself out.
        if not cells or cells[-1] != neighbour:
            return "its own answer is not the last"
        if len(set(cells)) != len(cells):
            return "a cell answers twice"
        beyond = [cell for cell in cells[:-1] if not self._is_behind(neighbour, cell)]
        return f"{beyond[0]} is not on its side of the tree" if beyond else None

    def _is_behind(self, neighbour: CellPath, cell: CellPath) -> bool:
        return cell.is_above(neighbour) if neighbour.is_above(self.here) else neighbour.is_above(cell)


def encode_answers(answers: tuple[CellAnswer, ...]) -> bytes:
    """Write a list of answers as the body of a response; more than a body holds is `TooLarge`."""
    require_size("a list of answers", len(answers), ANSWERS_MAX)
    return pack([(str(answer.cell), answer.body, answer.is_error) for answer in answers], where="answers")


def decode_answers(data: bytes) -> tuple[CellAnswer, ...]:
    """Read a list of answers; whether its sender may give them is for `Gather.arrive` to say."""
    rows = unpack(data, where="answers")
    if not isinstance(rows, list):
        raise Malformed(where="answers", what="not an array")
    require_size("a list of answers", len(rows), ANSWERS_MAX)
    return tuple(_answer(row) for row in rows)


def _answer(row: object) -> CellAnswer:
    if not isinstance(row, list):
        raise Malformed(where="answers", what="an answer that is not an array")
    require_layout("answers", row, _ANSWER)
    cell, body, is_error = row
    return CellAnswer(cell=CellPath.parse(cell), body=body, is_error=is_error)
