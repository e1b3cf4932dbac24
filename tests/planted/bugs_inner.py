"""Planted bugs in what the inner level says again of inboxes, journals and conversations: it must find them, too."""

from __future__ import annotations

from typing import Any

from actors.kernel.ports import Fresh
from protocol.errors import CellferryError
from protocol.journal import Kind
from sim.cases.portfolio import CALM, DOUBLED, KILLED, LATE, LOST, USURPED
from sim.history import TakenOver
from sim.inner.conversing import Run
from sim.inner.journals import Journals
from sim.inner.memory import Memory, Reply
from tests.planted.planting import Level, Patch, bug

INNER = (Level.INNER,)


@bug("carried_once", "reply_constant", number="1", mix=DOUBLED, levels=INNER)
def inner_carries_out_what_it_knows(patch: Patch) -> None:
    """An actor does not look into its inbox for the reply that it has given."""
    look = Memory.look

    def forgetful(self: Any, command: Any) -> Any:
        found = look(self, command)
        return Fresh(undoes_nothing=False) if isinstance(found, Reply) else found

    patch.setattr(Memory, "look", forgetful)


@bug("intent_first", number="4", mix=CALM, levels=INNER)
def inner_writes_the_intent_when_it_is_done(patch: Patch) -> None:
    """A command leaves before its intent is in the journal."""

    def exchange(self: Any, send: Any) -> Any:
        outcome = yield from self._answer(send)
        yield from self._write(self._entry(Kind.INTENT, send, b""))
        if isinstance(outcome, CellferryError):
            yield from self._write(self._entry(Kind.REFUSED, send, self._reported(outcome)))
        else:
            yield from self._write(self._entry(Kind.DONE, send, outcome.body))

    patch.setattr(Run, "_exchange", exchange)


@bug("one_writer", number="8", mix=KILLED, levels=INNER)
def inner_takes_over_under_the_same_epoch(patch: Patch) -> None:
    """Whoever takes a conversation over goes on under its predecessor's epoch."""

    def tacit(self: Any, conversation: str, *, owner: str) -> int:
        kept = self.kept[conversation]
        kept.owner = owner
        self._history.record(TakenOver(process=owner, conversation=conversation, epoch=kept.epoch))
        return int(kept.epoch)

    patch.setattr(Journals, "take_over", tacit)


@bug("epochs_fence", number="10", mix=LATE, levels=INNER)
def inner_ignores_epochs(patch: Patch) -> None:
    """An actor carries commands out whatever their epoch is."""
    patch.setattr(Memory, "_check_epoch", lambda _self, _command: None)


@bug("epochs_rise", number="9", mix=USURPED, levels=INNER, since=65)
def inner_writes_without_the_lease(patch: Patch) -> None:
    """A conductor that stood still writes on in a journal that another has taken over."""
    append = Journals.append

    def anyway(self: Any, conversation: str, entry: Any, *, by: str) -> Any:
        kept = self.kept[conversation]
        epoch, kept.epoch = kept.epoch, entry.epoch
        try:
            return append(self, conversation, entry, by=by)
        finally:
            kept.epoch = epoch

    patch.setattr(Journals, "append", anyway)


@bug("closed_last", mix=LOST, levels=INNER)
def inner_forgets_what_others_still_need(patch: Patch) -> None:
    """A closing lets actors forget the conversations that are still open, too."""
    patch.setattr(Journals, "lowest_open", lambda self, *, but: self._counter + len(but))


@bug("parked_truly", mix=LOST, levels=INNER)
def inner_parks_for_ever(patch: Patch) -> None:
    """A conversation that got no answer waits for somebody to wake it."""
    patch.setattr(Run, "_pause_s", lambda _self, _what, _tries: 1e6)
