"""The journals of conversations on dicts: the rules of `actors.store.journal`, said again without SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from actors.kernel.leases import slot_of
from actors.kernel.ports import Holder
from protocol.errors import NotFound, StaleEpoch
from protocol.journal import Entry, Journal, Kind
from protocol.moves.queueing import Other, Verdict, verdict
from protocol.truth import ConversationTruth
from sim.history import Journaled, TakenOver

if TYPE_CHECKING:
    from protocol.cell_path import Address
    from protocol.states import Goal
    from sim.history import History


@attrs.define(eq=False)
class Kept:
    """A conversation as the store has it."""

    journal: Journal
    owner: str
    first_epoch: int
    epoch: int
    waits_for: str | None = None
    ends_for: bytes | None = None
    is_ended: bool = False
    receivers: tuple[Address, ...] = ()  # Whom its closing told.
    #: What is decided about its order, and as of which journal that was read.
    verdict: Verdict | None = None
    judged: Journal | None = None


class Journals:
    """All journals, their owners, and the one counter from which epochs come."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._counter = 0
        self.kept: dict[str, Kept] = {}
        self.open: dict[str, Kept] = {}  # Oldest first.
        self._beats: dict[str, int] = {}  # How often each owner has renewed the lease of all that it has.
        self._unswept: dict[str, Kept] = {}

    def begin(self, conversation: str, *, server: str, goal: Goal, owner: str, payload: bytes, at_us: int) -> None:
        """Open a conversation under the next epoch, unless it is open already."""
        if conversation in self.kept:
            return
        self._counter += 1
        self.keep(owner)
        entry = Entry(seq=0, epoch=self._counter, kind=Kind.BEGIN, at_us=at_us, payload=payload)
        journal = Journal(conversation=conversation, server=server, goal=goal, entries=(entry,))
        kept = Kept(journal, owner, first_epoch=self._counter, epoch=self._counter)
        self.kept[conversation] = self.open[conversation] = kept
        self._note(slot_of(owner), journal, entry)

    def others(self, server: str, *, but: str) -> tuple[Other, ...]:
        """List the conversations that are open for a server, `but` left out, oldest first."""
        return tuple(
            Other(conversation=name, goal=kept.journal.goal)
            for name, kept in self.open.items()
            if kept.journal.server == server and name != but
        )

    def append(self, conversation: str, entry: Entry, *, by: str) -> Journal:
        """Write an entry, if the conversation still is at the entry's epoch; else another owner has it."""
        kept = self.kept[conversation]
        if kept.epoch != entry.epoch:
            raise StaleEpoch(server=kept.journal.server, epoch=entry.epoch, highest=kept.epoch)
        kept.journal = kept.journal.followed_by(entry)
        kept.waits_for = None
        if entry.kind is Kind.END:
            kept.is_ended = True
        elif entry.kind is Kind.RELEASED:
            self._unswept[conversation] = self.open.pop(conversation)
        self._note(by, kept.journal, entry)
        return kept.journal

    def keep(self, owner: str) -> None:
        """Renew the lease of all that an owner has."""
        self._beats[owner] = self._beats.get(owner, 0) + 1

    def holders(self) -> tuple[Holder, ...]:
        """List who has open conversations, how many, and how often each has renewed its lease."""
        counts: dict[str, int] = {}
        for kept in self.open.values():
            counts[kept.owner] = counts.get(kept.owner, 0) + 1
        return tuple(
            Holder(owner=owner, beats=self._beats.get(owner), count=count) for owner, count in sorted(counts.items())
        )

    def held_by(self, owner: str) -> tuple[str, ...]:
        """List the open conversations that an owner has, oldest first."""
        return tuple(name for name, kept in self.open.items() if kept.owner == owner)

    def take(self, conversation: str, *, owner: str, holder: Holder) -> bool:
        """Take a conversation over if it is still the holder's and he has not renewed his lease since he was seen."""
        kept = self.kept[conversation]
        is_heir = slot_of(holder.owner) == slot_of(owner)
        is_his = kept.owner == holder.owner and conversation in self.open
        if not is_his or not (is_heir or self._beats.get(holder.owner) == holder.beats):
            return False
        self.take_over(conversation, owner=owner)
        self.keep(owner)
        return True

    def take_over(self, conversation: str, *, owner: str) -> int:
        """Become the owner of a conversation, under the next epoch."""
        self._counter += 1
        kept = self.kept[conversation]
        kept.owner, kept.epoch = owner, self._counter
        self._history.record(TakenOver(process=slot_of(owner), conversation=conversation, epoch=kept.epoch))
        return kept.epoch

    def renew(self, conversation: str, *, owner: str) -> int:
        """Take the next epoch for a conversation that this owner still has; raise `StaleEpoch` when it has not."""
        self.epoch(conversation, owner=owner)
        return self.take_over(conversation, owner=owner)

    def park(self, conversation: str, waits_for: str) -> None:
        """Write what a conversation waits for."""
        self.kept[conversation].waits_for = waits_for

    def read(self, conversation: str) -> Journal:
        """Give a conversation's journal."""
        if conversation not in self.kept:
            raise NotFound(kind="conversation", name=conversation)
        return self.kept[conversation].journal

    def verdict(self, conversation: str) -> Verdict | None:
        """Tell what is decided about an order: whoever waits for it asks all the time, and a journal grows seldom."""
        kept = self.kept[conversation]
        if kept.judged is not kept.journal:
            kept.judged, kept.verdict = kept.journal, verdict(kept.journal)
        return kept.verdict

    def epoch(self, conversation: str, *, owner: str) -> int:
        """Give the epoch that a conversation is at; raise `StaleEpoch` when another owner has it."""
        kept = self.kept[conversation]
        if kept.owner != owner:
            raise StaleEpoch(server=kept.journal.server, epoch=kept.epoch - 1, highest=kept.epoch)
        return kept.epoch

    def lowest_open(self, *, but: str) -> int:
        """Give the lowest epoch of any conversation that is not closed, `but` left out; none: one that is to come."""
        for conversation, kept in self.open.items():
            if conversation != but:
                return kept.first_epoch
        return self._counter + 1

    def next_epoch(self) -> int:
        """Take the next number of the one rising counter."""
        self._counter += 1
        return self._counter

    def unswept(self, lowest_open: int) -> list[Kept]:
        """Give the closed conversations that may be forgotten by all their receivers now, and may not be yet."""
        return [kept for kept in self._unswept.values() if kept.epoch < lowest_open]

    def swept(self, conversation: str) -> None:
        """Write that every receiver has forgotten a conversation."""
        self._unswept.pop(conversation, None)

    def truth(self) -> tuple[ConversationTruth, ...]:
        """Tell how far each conversation is."""
        return tuple(
            ConversationTruth(
                conversation=name, server=kept.journal.server, goal=kept.journal.goal, epoch=kept.first_epoch,
                is_ended=kept.is_ended, is_closed=name not in self.open, waits_for=kept.waits_for,
            )
            for name, kept in self.kept.items()
        )  # fmt: skip

    def _note(self, by: str, journal: Journal, entry: Entry) -> None:
        self._history.record(
            Journaled(
                process=by, conversation=journal.conversation, server=journal.server, goal=journal.goal, entry=entry
            )
        )
