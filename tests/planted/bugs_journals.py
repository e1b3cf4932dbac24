"""Planted bugs in conversations: intents, epochs, leases, answers and ends."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import attrs

from actors.conductor.actor import Conductor
from actors.kernel.conversation import Conversations, _Run
from actors.kernel.post import Stamp
from actors.store.journal import _FIND, SqlJournals
from protocol.bodies import encode_body
from protocol.errors import CellferryError, StoreUnavailable
from protocol.ids import derived_id
from protocol.journal import Kind
from protocol.messages import orders
from protocol.requests import Close
from sim.cases.portfolio import CALM, KILLED, LOST, STORES, USURPED
from sim.edges.disk import SimStore
from tests.planted.planting import Level, Patch, bug

LOOP = (Level.LOOP,)


@bug("outcomes_true", number="3", mix=LOST, levels=LOOP)
def asks_again_under_a_fresh_key(patch: Patch) -> None:
    """A command that is sent again has another key than the first time."""
    stamp = _Run.__dict__["_stamp"]

    def fresh(self: Any, send: Any) -> Any:
        made = stamp(self, send)
        if made.key is None:
            return made
        self.tries = getattr(self, "tries", Counter())
        self.tries[made.key] += 1
        number = made.key.attempt + 1000 * (self.tries[made.key] - 1)
        return attrs.evolve(made, key=attrs.evolve(made.key, attempt=number))

    patch.setattr(_Run, "_stamp", fresh)


@bug("intent_first", number="4", mix=CALM, levels=LOOP)
def writes_the_intent_when_it_is_done(patch: Patch) -> None:
    """A command leaves before its intent is in the journal."""

    async def exchange(self: Any, send: Any) -> None:
        outcome = await self._answer(send)
        await self._write(Kind.INTENT, send)
        if isinstance(outcome, CellferryError):
            await self._write(Kind.REFUSED, send, encode_body(self._all.report(outcome)))
        else:
            await self._write_outcome(send, outcome, encode_body(outcome))

    patch.setattr(_Run, "_exchange", exchange)


@bug("one_writer", number="8", mix=KILLED, levels=LOOP, since=1)
def takes_over_under_the_same_epoch(patch: Patch) -> None:
    """Whoever takes a conversation over goes on under its predecessor's epoch."""
    take_over = SqlJournals.take_over

    def tacit(self: Any, connection: Any, conversation: str, *, owner: str) -> Any:
        epoch = max(entry.epoch for entry in self.read(connection, conversation).entries)
        self.next_epoch = lambda _connection: epoch
        try:
            return take_over(self, connection, conversation, owner=owner)
        finally:
            del self.next_epoch

    patch.setattr(SqlJournals, "take_over", tacit)


@bug("epochs_rise", number="9", mix=USURPED, levels=LOOP)
def writes_without_the_lease(patch: Patch) -> None:
    """A conductor that stood still writes on in a journal that another has taken over."""
    append = SqlJournals.append

    def anyway(self: Any, connection: Any, conversation: str, entry: Any) -> None:
        entries = self.read(connection, conversation).entries
        epoch = _FIND.one(connection, which=conversation).epoch
        append(self, connection, conversation, attrs.evolve(entry, seq=len(entries), epoch=epoch))

    patch.setattr(SqlJournals, "append", anyway)


@bug("acknowledged_kept", number="13", mix=CALM, levels=LOOP)
def acknowledges_before_it_is_decided(patch: Patch) -> None:
    """A user hears yes before his order has the server."""

    async def at_once(self: Any, order: Any, moment: Any) -> Any:
        conversation = derived_id(moment.key)
        await self._conversations.go_on(conversation, self._tasks)
        return orders.Accepted(conversation=conversation, server=order.server)

    patch.setattr(Conductor, "_take", at_once)


@bug("intent_first", "acknowledged_kept", number="13", mix=KILLED, levels=LOOP)
def answers_before_the_disk_has_it(patch: Patch) -> None:
    """A store says that a transaction is done before it is durable, so that a crash undoes what others build on."""

    async def transact(self: Any, work: Any, /, *arguments: Any, **named: Any) -> Any:
        if self._process.is_cut:
            await self._process.live()
        ran = self._disk.run(self._process, lambda connection: work(connection, *arguments, **named))
        if ran.error is not None:
            raise ran.error
        return ran.value

    patch.setattr(SimStore, "transact", transact)


@bug("progress", "ends_in_time", number="18", mix=STORES, levels=LOOP)
def lets_a_conversation_die_in_silence(patch: Patch) -> None:
    """When the store is away, a conversation ends in the middle, and nobody notices."""

    async def once(self: Any, conversation: str) -> None:
        try:
            await self._carry_out(conversation)
        except StoreUnavailable:
            self._given_up.add(conversation)  # Else its owner would find that nobody carries it out.

    patch.setattr(Conversations, "_steadily", once)


@bug("closed_last", mix=LOST, levels=LOOP)
def forgets_what_others_still_need(patch: Patch) -> None:
    """A closing lets actors forget the conversations that are still open, too."""
    lowest_open = SqlJournals.lowest_open

    def beyond(self: Any, connection: Any, *, but: str) -> int:
        return lowest_open(self, connection, but=but) + (100 if but else 0)

    patch.setattr(SqlJournals, "lowest_open", beyond)


@bug("parked_truly", mix=LOST, levels=LOOP)
def parks_for_ever(patch: Patch) -> None:
    """A conversation that got no answer waits for somebody to wake it."""
    patch.setattr(Conversations, "pause_s", lambda _self, _tries: 1e6)


@bug("no_retries", mix=CALM, levels=LOOP)
def has_no_patience(patch: Patch) -> None:
    """A command is sent again before its actor can have answered."""
    patch.setattr("actors.kernel.conversation.CALL_BUDGET_S", 0.02)


@bug("no_mistakes", mix=STORES, levels=LOOP)
def lets_a_failed_closing_out_as_a_group(patch: Patch) -> None:
    """What fails as receivers are told to close comes as a group of errors, which nobody knows for what it is."""

    async def close(self: Any, receivers: Any) -> None:
        self._epoch = await self._all.renew(self._journal)
        lowest_open = await self._all.lowest_open(but=self._journal.conversation)
        self._is_swept = lowest_open > self._epoch
        server, conversation = self._journal.server, self._journal.conversation
        request = Close(server=server, conversation=conversation, lowest_open=lowest_open)
        async with anyio.create_task_group() as tasks:
            for receiver in receivers:
                tasks.start_soon(self._insist, "close", receiver, request, Stamp(server=server, epoch=self._epoch))
        await self._write(Kind.CLOSED)

    patch.setattr(_Run, "_close", close)
