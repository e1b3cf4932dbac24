"""Planted bugs in what actors remember of commands, and in how they carry them out."""

from __future__ import annotations

from typing import Any

from actors.kernel.actor import Actor
from actors.kernel.handlers import Transactional
from actors.kernel.mailbox import Mailbox
from actors.kernel.ports import Fresh, Known
from actors.store import inbox, records
from actors.store.inbox import SqlInbox
from protocol.bodies import encode_body
from protocol.effects.registry import Refused
from protocol.errors import CellferryError, StoreUnavailable
from sim.cases.portfolio import CALM, DOUBLED, ECHOED, LATE, STORES
from tests.planted.planting import Level, Patch, bug

LOOP = (Level.LOOP,)


class _Nothing:
    """A statement that does nothing and finds nothing."""

    def run(self, _connection: Any, **_values: Any) -> None:
        """Do nothing."""

    def first(self, _connection: Any, **_values: Any) -> None:
        """Find nothing."""


@bug("carried_once", "reply_constant", number="1", mix=DOUBLED, levels=LOOP, since=2)
def carries_out_what_it_knows(patch: Patch) -> None:
    """An actor does not look into its inbox for the reply that it has given."""
    look = SqlInbox.look

    def forgetful(self: Any, connection: Any, command: Any) -> Any:
        found = look(self, connection, command)
        return Fresh(undoes_nothing=False) if isinstance(found, Known) else found

    patch.setattr(SqlInbox, "look", forgetful)


@bug("no_leaks", number="2", mix=STORES, levels=LOOP, since=6)
def writes_the_inbox_in_a_second_transaction(patch: Patch) -> None:
    """An effect is durable before anybody remembers that it was carried out."""

    async def transact(self: Any, handler: Transactional, request: Any, command: Any, sender: str) -> Any:
        verdict = Fresh(undoes_nothing=False)
        try:
            if command is not None:
                found = await self.store.transact(self.inbox.look, command)
                if isinstance(found, Known):
                    return found.body, found.is_error
                verdict = found if isinstance(found, Fresh) else verdict
            moment = self._moment(str(command.key) if command else "", verdict, sender=sender)
            value = await self.store.transact(handler.run, request, moment)
            if isinstance(value, Refused):
                return await self._remember_refusal(command, value.error)
            reply = encode_body(value)
            if command is not None:
                await self.store.transact(self.inbox.settle, command, reply=reply, is_error=False)
        except CellferryError as error:
            return await self._remember_refusal(command, error)
        return reply, False

    patch.setattr(Actor, "_transact", transact)


@bug("undo_poisons", number="7", mix=ECHOED, levels=LOOP, since=25)
def undoes_without_poison(patch: Patch) -> None:
    """An undo leaves no tombstone, so that its command may come late and be carried out."""
    write = SqlInbox.__dict__["_write"]

    def but_tombstones(self: Any, connection: Any, command: Any, *, state: str, **named: Any) -> None:
        if state != inbox.POISONED:
            write(self, connection, command, state=state, **named)

    patch.setattr(SqlInbox, "_write", but_tombstones)
    patch.setattr(inbox, "_POISON", _Nothing())


@bug("epochs_fence", number="10", mix=LATE, levels=LOOP, since=3)
def ignores_epochs(patch: Patch) -> None:
    """An actor carries commands out whatever their epoch is."""
    patch.setattr(SqlInbox, "_check_epoch", lambda _self, _connection, _command: None)


@bug("epochs_fence", number="11", mix=LATE, levels=LOOP, since=3)
def forgets_without_a_closing_epoch(patch: Patch) -> None:
    """An actor drops what it remembers of a conversation, and does not refuse it from then on."""
    patch.setattr(inbox, "_RAISE_FLOOR", _Nothing())
    patch.setattr(inbox, "_HAD_EFFECT", _Nothing())


@bug("ack_after_commit", number="17", mix=CALM, levels=LOOP)
def acknowledges_before_the_commit(patch: Patch) -> None:
    """A message is acknowledged as soon as it is read."""
    handle = Actor.__dict__["_handle"]

    async def hasty(self: Any, letter: Any) -> None:
        letter.settle()
        await handle(self, letter)

    patch.setattr(Actor, "_handle", hasty)


@bug("frames_conserved", number="18", mix=STORES, levels=LOOP)
def lets_a_lane_die_in_silence(patch: Patch) -> None:
    """When the store is away, what serves a server's messages ends, and nobody notices."""
    guarded, serve = Actor.__dict__["_guarded"], Mailbox.__dict__["_serve"]

    class Swallowed(Exception):
        """What nobody hears of."""

    async def unguarded(self: Any, method: str, work: Any) -> Any:
        async def watched() -> Any:
            try:
                return await work()
            except StoreUnavailable as error:
                raise Swallowed from error

        body, is_error = await guarded(self, method, watched)
        if is_error and b"Swallowed" in body:
            raise Swallowed
        return body, is_error

    async def serve_till_death(self: Any, name: str) -> None:
        try:
            await serve(self, name)
        except Swallowed:
            self._lanes[name].clear()
            self._lanes[name].append(None)

    patch.setattr(Actor, "_guarded", unguarded)
    patch.setattr(Mailbox, "_serve", serve_till_death)


@bug("no_mistakes", mix=CALM, levels=LOOP)
def forgets_a_case(patch: Patch) -> None:
    """A handler raises an error that nobody has declared: the move is undone cleanly, and nobody wonders why."""
    carry_out = records.carry_out

    def clumsy(connection: Any, command: Any, moment: Any) -> Any:
        if type(command).METHOD.name == "allocate_host":
            raise TypeError("nobody thought of that")
        return carry_out(connection, command, moment)

    patch.setattr("actors.store.effects.carry_out", clumsy)
