"""Oracles over journals: who writes them, in which order they go forward and back, and who has a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from protocol.journal import Kind
from protocol.moves.parties import OWE
from protocol.records import Mapping
from protocol.states import Goal
from sim.checkers.chronicle import is_step, step_key
from sim.checkers.oracle import Oracle
from sim.history import Carried, Happening, Journaled, Started, TakenOver

if TYPE_CHECKING:
    from collections.abc import Mapping as Ears

    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle, Tale
    from sim.checkers.oracle import Accuse, Ear

FIRST_STEP: Final = "take"
MOVES: Final = frozenset({Goal.RESIZE, Goal.MIGRATE})


class OneWriter(Oracle):
    """What is written in a journal under one epoch is written by one incarnation of one conductor."""

    name = "one_writer"
    letters = "P1"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._runs: dict[str, int] = {}
        self._writers: dict[tuple[str, int], tuple[str, int]] = {}

    def ears(self) -> Ears[type[Happening], Ear]:
        """Hear of starts, entries and take-overs."""
        return {Started: self._started, Journaled: self._journaled, TakenOver: self._taken_over}

    def _started(self, what: Started) -> None:
        self._runs[what.process] = what.run

    def _journaled(self, what: Journaled) -> None:
        self._judge(what.process, what.conversation, what.entry.epoch)

    def _taken_over(self, what: TakenOver) -> None:
        self._judge(what.process, what.conversation, what.epoch)

    def _judge(self, process: str, conversation: str, epoch: int) -> None:
        writer = (process, self._runs.get(process, 1))
        first = self._writers.setdefault((conversation, epoch), writer)
        if first != writer:
            tale = self.chronicle.tales[conversation]
            text = f"epoch {epoch} of {conversation} is written by run {first[1]} of {first[0]}"
            self.accuse(tale.server, f"{text}, and by run {writer[1]} of {process}")


class EpochsRise(Oracle):
    """A journal only grows: its epochs never fall, not below the newest owner's, and no entry is lost or rewritten."""

    name = "epochs_rise"
    letters = "P1, M6"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._highest: dict[str, int] = {}

    def ears(self) -> Ears[type[Happening], Ear]:
        """Hear of entries and take-overs."""
        return {Journaled: self._journaled, TakenOver: self._taken_over}

    def _journaled(self, what: Journaled) -> None:
        entry, highest = what.entry, self._highest.get(what.conversation, 0)
        if entry.epoch < highest:
            self.accuse(what.server, f"{what.conversation} is at epoch {highest}, and is written under {entry.epoch}")
        self._highest[what.conversation] = max(highest, entry.epoch)
        count = len(self.chronicle.tales[what.conversation].entries) - 1
        if entry.seq != count:
            self.accuse(what.server, f"entry {entry.seq} of {what.conversation} comes after {count} entries")

    def _taken_over(self, what: TakenOver) -> None:
        highest = self._highest.get(what.conversation, 0)
        if what.epoch <= highest:
            server = self.chronicle.tales[what.conversation].server
            self.accuse(server, f"{what.conversation} is taken over under {what.epoch}, and was at {highest}")
        self._highest[what.conversation] = max(highest, what.epoch)


class _OfTales(Oracle, ABC):
    """Base of what is judged entry by entry, with the conversation that the entry is of."""

    def ears(self) -> Ears[type[Happening], Ear]:
        """Hear of entries."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        self.judge(self.chronicle.tales[what.conversation])

    @abstractmethod
    def judge(self, tale: Tale) -> None:
        """Judge a conversation's newest entry."""


class UndoOrder(_OfTales):
    """What was intended last is undone first."""

    name = "undo_order"
    letters = "P6, S3"

    def judge(self, tale: Tale) -> None:
        """Compare what is undone now with what still stands."""
        entry = tale.last
        if entry.kind is not Kind.INTENT or not entry.is_undo:
            return
        newest = tale.standing[-1] if tale.standing else ("nothing", 0)
        if newest != (entry.step, entry.attempt):
            text = f"undoes {entry.step} (attempt {entry.attempt}), and {newest[0]} (attempt {newest[1]}) stands"
            self.accuse(tale.server, f"{tale.conversation} {text}")


class UndoWhole(_OfTales):
    """Whatever has an intent is undone before an attempt is followed by the next, or a conversation ends in failure."""

    name = "undo_whole"
    letters = "P6, S1"

    def judge(self, tale: Tale) -> None:
        """Ask what still stands when it may not."""
        entry = tale.last
        if entry.kind is Kind.END and not tale.is_success:
            left = tale.standing
        elif entry.kind is Kind.INTENT and not entry.is_undo and entry.attempt > 1:
            left = [each for each in tale.standing if 0 < each[1] < entry.attempt]
        else:
            return
        if left:
            steps = ", ".join(step for step, _ in left)
            self.accuse(tale.server, f"{tale.conversation} goes on to {entry.step or 'its end'}, and {steps} stands")


class OneDirection(_OfTales):
    """What is being undone is not executed again, and from the settling step's success on nothing is undone."""

    name = "one_direction"
    letters = "S8, P5"

    def judge(self, tale: Tale) -> None:
        """Ask whether an intent leads the right way."""
        entry = tale.last
        if entry.kind is not Kind.INTENT or not is_step(tale.goal, entry):
            return
        if entry.is_undo:
            if tale.is_settled:
                self.accuse(tale.server, f"{tale.conversation} is settled, and undoes {entry.step}")
        elif tale.undoing & {0, entry.attempt}:
            self.accuse(tale.server, f"{tale.conversation} is going back, and executes {entry.step}")


class OneTaker(_OfTales):
    """A server is one conversation's at a time, and as long as one cleans up behind a move, no other move takes it."""

    name = "one_taker"
    letters = "M4"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._takers: dict[str, Tale] = {}
        self._let_go: set[str] = set()  # Conversations whose last word the arbiter has, though they may not know it.

    def ears(self) -> Ears[type[Happening], Ear]:
        """Hear of entries, and of what the arbiter has carried out."""
        return {**super().ears(), Carried: self._carried}

    def _carried(self, what: Carried) -> None:
        key = step_key(what.key)
        if key is not None and key.step == OWE and not what.is_error:
            self._let_go.add(key.conversation)

    def judge(self, tale: Tale) -> None:
        """Ask who has the server that is taken."""
        entry = tale.last
        if entry.kind is not Kind.DONE or entry.step != FIRST_STEP or entry.is_undo:
            return
        before = self._takers.get(tale.server)
        if before is not None and before is not tale and not (
            before.is_closed or before.owes or before.conversation in self._let_go
        ):  # fmt: skip
            text = f"is taken by {tale.goal} {tale.conversation}, and {before.goal} {before.conversation} has it"
            self.accuse(tale.server, text)
        for other in self.chronicle.open_of(tale.server) if tale.goal in MOVES else ():
            if other is not tale and other.owes:
                text = f"is taken by {tale.goal} {tale.conversation}, and {other.goal} {other.conversation} owes"
                self.accuse(tale.server, text)
        self._takers[tale.server] = tale

    def see(self, truth: Truth) -> None:
        """Ask the arbiter whether it knows of each that works on a server."""
        mappings = {mapping.server: mapping for mapping in truth.of_root(Mapping)}
        for tale in self._takers.values():
            mapping = mappings.get(tale.server)
            has_it = not (tale.is_closed or tale.has(Kind.INTENT, OWE))
            if has_it and mapping is not None and mapping.conversation != tale.conversation:
                self.accuse(tale.server, f"{tale.goal} {tale.conversation} works on it, and has not got it")
