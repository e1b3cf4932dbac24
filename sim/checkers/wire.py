"""Oracles over the wire: where frames go and what becomes of them.  Where no frames are recorded, they see nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.checkers.chronicle import NS_PER_S, actor_of, step_key
from sim.checkers.oracle import Oracle
from sim.history import (
    Begun,
    Broker,
    Carried,
    Crashed,
    Fired,
    Handed,
    Happening,
    Lost,
    Noted,
    Paused,
    Sent,
    Settled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse, Ear
    from sim.history import Note

#: How old a frame must be at rest to be called forgotten.
FORGOTTEN_S: Final = 30.0
#: What commands an actor, among the kinds of envelopes.
COMMANDS: Final = frozenset({"call", "cast"})
LINK: Final = "/link"
#: Where a link gets the answers to its own questions: they go no further.
REPLIES: Final = "/replies:"
#: How the queue of a neighbour is called, behind its cell.
INBOUND: Final = "/from:"
#: What a link takes from one queue and puts into the next.
PASSED: Final = frozenset({"call", "cast", "answer"})
REFUSALS: Final = frozenset({"message_refused", "answer_lost"})


class Hops(Oracle):
    """No envelope passes more cells than it may, nor any cell twice."""

    name = "hops"
    letters = "R4"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._good: set[tuple[tuple[str, ...], int]] = set()

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of what is sent."""
        return {Sent: self._sent}

    def _sent(self, what: Sent) -> None:
        for note in what.notes:
            way = (note.route, note.hops_max)
            if way in self._good:
                continue
            if len(note.route) > note.hops_max:
                self.accuse(note.server, f"{note.method} has come {note.route}, over {note.hops_max} hops")
            elif len(dict.fromkeys(note.route)) < len(note.route):
                self.accuse(note.server, f"{note.method} has come {note.route}, by one cell twice")
            else:
                self._good.add(way)


class FramesConserved(Oracle):
    """What is handed out was sent and not settled; and every frame is settled or lost in the end, once."""

    name = "frames_conserved"
    letters = "R8, R1"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._waiting: dict[int, tuple[int, str]] = {}

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of frames."""
        return {Sent: self._sent, Handed: self._handed, Settled: self._gone, Lost: self._gone}

    def _sent(self, what: Sent) -> None:
        if what.frame in self._waiting:
            self.accuse(what.queue, f"frame {what.frame} is sent again")
        self._waiting[what.frame] = (self.chronicle.now_ns, what.queue)

    def _handed(self, what: Handed) -> None:
        if what.frame not in self._waiting:
            self.accuse(what.queue, f"frame {what.frame} is handed to {what.process}, and is not in the queue")

    def _gone(self, what: Settled | Lost) -> None:
        if self._waiting.pop(what.frame, None) is None:
            self.accuse(what.queue, f"frame {what.frame} goes, and is not in the queue")

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - The frames' own ages count.
        """Ask for frames that nobody takes."""
        for frame, (sent_ns, queue) in self._waiting.items():
            age_s = (self.chronicle.now_ns - sent_ns) / NS_PER_S
            if age_s > FORGOTTEN_S:
                self.accuse(queue, f"frame {frame} has been there for {age_s:.0f} s")


class PassedOn(Oracle):
    """A link acknowledges a frame only when each envelope in it has been taken by the next queue, or was refused."""

    name = "passed_on"
    letters = "R8"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._frames: dict[int, tuple[Note, ...]] = {}
        self._went: set[tuple[str, str]] = set()  # By link: the envelopes that went on, were answered, or refused.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of frames, and of what a link says that it refuses."""
        return {Handed: self._handed, Sent: self._sent, Noted: self._noted, Settled: self._settled, Lost: self._lost}

    def _handed(self, what: Handed) -> None:
        if actor_of(what.process).endswith(LINK) and REPLIES not in what.queue:
            # A broadcast is not part of its frame: its link answers for what becomes of it.
            self._frames[what.frame] = tuple(note for note in what.notes if note.kind in PASSED)

    def _sent(self, what: Sent) -> None:
        if actor_of(what.process).endswith(LINK):
            self._went.update((what.process, envelope) for note in what.notes for envelope in (note.id, note.answers))

    def _noted(self, what: Noted) -> None:
        if what.event in REFUSALS:
            methods = what.detail.split()
            notes = (note for notes in self._frames.values() for note in notes)
            self._went.update((what.process, note.id) for note in notes if f"method={note.method}" in methods)

    def _settled(self, what: Settled) -> None:
        for note in self._frames.pop(what.frame, ()):
            if (what.process, note.id) not in self._went and not what.reason:
                self.accuse(note.server, f"{what.process} has acknowledged {note.method} and not passed it on")

    def _lost(self, what: Lost) -> None:
        self._frames.pop(what.frame, None)


class SenderVouched(Oracle):
    """What a link passes on has come by the queue of the neighbour that its route ends in, from that one's own link."""

    name = "sender_vouched"
    letters = "R7"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._lies: dict[tuple[str, str], str] = {}  # By link and envelope: the neighbour that has sent it.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of frames."""
        return {Sent: self._sent, Handed: self._handed}

    def _handed(self, what: Handed) -> None:
        neighbour = what.queue.partition(INBOUND)[2]
        if not neighbour or not actor_of(what.process).endswith(LINK):
            return
        for note in what.notes:
            if not note.route or note.route[-1] != neighbour:
                self._lies[what.process, note.id] = neighbour

    def _sent(self, what: Sent) -> None:
        neighbour = what.queue.partition(INBOUND)[2]
        if neighbour and actor_of(what.process) != f"{neighbour}{LINK}":
            self.accuse(neighbour, f"{what.process} has written to {what.queue}, in the place of its link")
        for note in what.notes if self._lies else ():
            if (neighbour := self._lies.get((what.process, note.id), "")) and not note.answers:
                self.accuse(
                    neighbour, f"{what.process} has passed on {note.method}, which {neighbour} sent as {note.source}"
                )


class AckAfterCommit(Oracle):
    """No actor acknowledges a frame before the effects of its commands are durable."""

    name = "ack_after_commit"
    letters = "P7, R1"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        #: By frame and process: one that a replica has lost is handed to another, while the first may still be at it.
        self._frames: dict[tuple[int, str], tuple[tuple[str, str], ...]] = {}
        self._held: dict[tuple[str, str], int] = {}  # By process and key: frames that are handed and not settled.
        self._begun: set[tuple[str, str]] = set()
        self._is_wired = False

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of frames and of effects."""
        return {Handed: self._handed, Settled: self._settled, Begun: self._begin, Carried: self._effect}

    def _handed(self, what: Handed) -> None:
        self._is_wired = True
        if (what.frame, what.process) in self._frames or actor_of(what.process).endswith(LINK):
            return
        found = tuple(
            (what.process, note.key)
            for note in what.notes
            if note.key and note.kind in COMMANDS and step_key(note.key) is not None
        )
        if found:
            self._frames[what.frame, what.process] = found
            for about in found:
                self._held[about] = self._held.get(about, 0) + 1

    def _settled(self, what: Settled) -> None:
        for about in self._frames.pop((what.frame, what.process), ()):
            self._held[about] -= 1
            if not self._held[about]:
                del self._held[about]

    def _begin(self, what: Begun) -> None:
        self._effect(what)
        self._begun.add((what.process, what.key))

    def _effect(self, what: Begun | Carried) -> None:
        about = (what.process, what.key)
        # What was accepted is durable: from there on the frame may go.
        if not self._is_wired or about in self._held or about in self._begun or step_key(what.key) is None:
            return
        self.accuse(what.server, f"{what.process} had acknowledged {what.key} before it was durable")


class NoRetries(Oracle):
    """In a run in which nothing goes wrong, each command of a conversation is sent once under an epoch."""

    name = "no_retries"
    letters = "V3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._is_healthy = True
        self._ids: dict[tuple[str, int], str] = {}
        self._sent_as: dict[str, tuple[str, int]] = {}
        self._again: dict[str, str] = {}  # What is to be said of whom, if nothing has gone wrong by the end.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of what is sent, and of whatever goes wrong."""
        wrong = dict.fromkeys((Fired, Crashed, Paused, Broker), self._wrong)
        return {Sent: self._sent, **wrong}

    def _wrong(self, _what: Happening) -> None:
        self._is_healthy = False
        self._ids.clear()

    def _sent(self, what: Sent) -> None:
        if not self._is_healthy:
            return
        for note in what.notes:
            if note.is_error and (about := self._sent_as.pop(note.answers, None)) is not None:
                # What was refused for now may be asked for again.
                self._ids.pop(about, None)
            is_command = note.key and note.kind in COMMANDS and step_key(note.key) is not None
            if is_command:
                self._sent_as[note.id] = (note.key, note.epoch)
            if is_command and self._ids.setdefault((note.key, note.epoch), note.id) != note.id:
                text = f"{actor_of(what.process)} sends {note.key} again, and nothing went wrong"
                self._again.setdefault(note.server, text)

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:
        """Accuse now: of some faults (a delay) it is known late that they struck and mattered."""
        del truth, healed_for_s
        if self._is_healthy:
            for server, text in self._again.items():
                self.accuse(server, text)
