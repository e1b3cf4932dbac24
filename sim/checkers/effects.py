"""Oracles over effects: each is intended first, fenced, carried out once, never after its undo, and told truly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.journal import Kind
from sim.checkers.chronicle import actor_of, cell_of, is_step, key_of, step_key
from sim.checkers.oracle import Oracle
from sim.history import Begun, Carried, Closed, Happening, Journaled, Looked, Renounced, Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear

ANSWER = "answer"
LINK = "/link"


class IntentFirst(Oracle):
    """No command leaves, or gets to its actor, whose intent is not in the journal."""

    name = "intent_first"
    letters = "P4, S1"

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of what is sent, and of what actors are asked."""
        return {Sent: self._sent, Looked: self._looked}

    def _sent(self, what: Sent) -> None:
        for note in what.notes:
            if note.key and note.kind != ANSWER:
                self._judge(note.key, note.server, f"{what.process} sends")

    def _looked(self, what: Looked) -> None:
        self._judge(what.key, what.server, f"{what.process} gets")

    def _judge(self, key: str, server: str, text: str) -> None:
        if key not in self.chronicle.intended and step_key(key) is not None:
            self.accuse(server, f"{text} {key}, of which the journal has no intent")


class EpochsFence(Oracle):
    """No actor applies a command under an epoch below the highest that it has applied for the server, or closed."""

    name = "epochs_fence"
    letters = "P2, S1"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._highest: dict[tuple[str, str], int] = {}
        self._floors: dict[str, int] = {}
        self._applied: set[str] = set()
        # By actor: the conversations of which an effect is remembered there, and the epoch of the last one.
        self._served: dict[str, dict[str, int]] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of effects and of closings."""
        return {
            Begun: self._effect, Carried: self._carried, Closed: self._closed, Renounced: self._renounced,
        }  # fmt: skip

    def _renounced(self, what: Renounced) -> None:
        actor = actor_of(what.process)
        self._forget(actor, what.epoch)

    def _carried(self, what: Carried) -> None:
        if not what.is_error:
            self._effect(what)

    def _effect(self, what: Begun | Carried) -> None:
        key = step_key(what.key)
        # The undo of what never was there leaves a tombstone only, which fences nobody.
        if key is None or (key.is_undo and key.execute not in self._applied):
            return
        actor = actor_of(what.process)
        highest = max(self._highest.get((actor, what.server), 0), self._floors.get(actor, 0))
        if what.epoch < highest:
            self.accuse(what.server, f"{actor} applies {what.key} under epoch {what.epoch}, after {highest}")
        self._highest[actor, what.server] = max(highest, what.epoch)
        self._applied.add(what.key)
        self._served.setdefault(actor, {})[key.conversation] = what.epoch

    def _closed(self, what: Closed) -> None:
        actor = actor_of(what.process)
        if what.conversation in self._served.get(actor, {}):
            place = (actor, what.server)
            self._highest[place] = max(self._highest.get(place, 0), what.epoch)
        self._forget(actor, what.lowest_open)

    def _forget(self, actor: str, lowest: int) -> None:
        # Who is asked twice to close a conversation has forgotten it by then, and may be at the next one's commands.
        self._floors[actor] = max(self._floors.get(actor, 0), lowest)
        served = self._served.get(actor, {})
        self._served[actor] = {name: epoch for name, epoch in served.items() if epoch >= lowest}


class CarriedOnce(Oracle):
    """Each key is carried out at most once, but for what an actor has renounced since."""

    name = "carried_once"
    letters = "P3, E3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._begun: dict[tuple[str, str], str] = {}
        self._carried: dict[tuple[str, str], str] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of effects."""
        return {Begun: self._begin, Carried: self._carry, Renounced: self._renounce}

    def _renounce(self, what: Renounced) -> None:
        actor = actor_of(what.process)
        self._begun = {about: by for about, by in self._begun.items() if by != actor}
        self._carried = {about: by for about, by in self._carried.items() if by != actor}

    def _begin(self, what: Begun) -> None:
        about = (cell_of(what.process), what.key)
        if about in self._begun or about in self._carried:
            self.accuse(what.server, f"{what.process} accepts {what.key} again")
        self._begun[about] = actor_of(what.process)

    def _carry(self, what: Carried) -> None:
        about = (cell_of(what.process), what.key)
        # An order that a second conductor finds unfinished is brought to its end by both, and written once.
        is_shared = about in self._begun and step_key(what.key) is None
        if about in self._carried and not is_shared:
            self.accuse(what.server, f"{what.process} carries {what.key} out again")
        self._carried[about] = actor_of(what.process)


class ReplyConstant(Oracle):
    """A key has one reply for as long as its actor knows it: a refusal stays one, a success says the same each time."""

    name = "reply_constant"
    letters = "P3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._replies: dict[tuple[str, str], tuple[str, bool]] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of effects and of answers."""
        return {Carried: self._carry, Sent: self._sent, Renounced: self._renounce}

    def _renounce(self, what: Renounced) -> None:
        # Whoever renounces has this cell's commands for one host; what others of the cell replied is asked again, too.
        cell = cell_of(what.process)
        self._replies = {about: reply for about, reply in self._replies.items() if about[0] != cell}

    def _carry(self, what: Carried) -> None:
        reply = (what.reply, what.is_error)
        first = self._replies.setdefault((cell_of(what.process), what.key), reply)
        if first != reply:
            self.accuse(what.server, f"{what.process} replies {reply} to {what.key}, and first {first}")

    def _sent(self, what: Sent) -> None:
        for note in what.notes:
            # A link's list is no cell's reply: it holds those of all of them, and refusals among them.
            if note.kind == ANSWER and note.key and not (note.is_error or note.source.endswith(LINK)):
                _, is_error = self._replies.get((cell_of(note.source), note.key), ("", False))
                if is_error:
                    self.accuse(note.server, f"{note.source} has refused {note.key}, and answers as if it were done")


class UndoPoisons(Oracle):
    """Nothing is carried out after its undo."""

    name = "undo_poisons"
    letters = "P5, L6"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._undone: set[tuple[str, str]] = set()

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of effects."""
        return {Begun: self._effect, Carried: self._carried}

    def _carried(self, what: Carried) -> None:
        if not what.is_error:
            self._effect(what)

    def _effect(self, what: Begun | Carried) -> None:
        key = step_key(what.key)
        if key is None:
            return
        about = (cell_of(what.process), key.execute)
        if key.is_undo:
            self._undone.add(about)
        elif about in self._undone:
            self.accuse(what.server, f"{what.process} carries {what.key} out after its undo")


class OutcomesTrue(Oracle):
    """A journal says of no command that it is done which its actor has not durably carried out."""

    name = "outcomes_true"
    letters = "P3, M2"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._carried: set[str] = set()

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of effects and of entries."""
        return {Carried: self._carry, Journaled: self._journaled}

    def _carry(self, what: Carried) -> None:
        if not what.is_error:
            self._carried.add(what.key)

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        if entry.kind is Kind.DONE and is_step(what.goal, entry):
            key = key_of(what.conversation, entry)
            if key not in self._carried:
                self.accuse(what.server, f"the journal has {key} as done, and nobody has carried it out")


class ClosedLast(Oracle):
    """Nobody is told to forget a conversation before its end is written, nor what an open one might still send."""

    name = "closed_last"
    letters = "P9"

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of closings."""
        return {Closed: self._closed}

    def _closed(self, what: Closed) -> None:
        tale = self.chronicle.tales.get(what.conversation)
        if tale is None or tale.is_success is None:
            self.accuse(what.server, f"{what.process} closes {what.conversation}, which has not ended")
        for other in self.chronicle.all_open():
            first = other.entries[0].epoch
            if other is not tale and first < what.lowest_open:
                text = f"{what.process} forgets what is below {what.lowest_open}"
                self.accuse(other.server, f"{text}, and {other.conversation} is open since {first}")
