"""What an actor remembers of commands, so that each takes effect once: keys with replies, tombstones, epochs.

Every function here runs inside the transaction of the effect that it guards.
"""

from collections.abc import Callable
from typing import Final

import attrs
from sqlalchemy import bindparam, delete, func, select, union_all, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable

from actors.kernel.ports import Accepted, Closing, Command, Connection, Fresh, Known, Verdict
from actors.store.statements import Statement
from actors.store.tables import EPOCHS, FLOORS, INBOX
from protocol.envelope import Key
from protocol.errors import Stale, StaleEpoch, Superseded
from protocol.truth import Memory

ACCEPTED: Final = "accepted"
REPLIED: Final = "replied"
POISONED: Final = "poisoned"
#: The floors: behind the first nothing is known any more, and behind the second it was forgotten while it was open.
CLOSED: Final = 0
RENOUNCED: Final = 1
#: How many plain calls of one sender are remembered.
WINDOW: Final = 1024


def _raise_epoch(insert: Callable[..., sqlite.Insert]) -> Executable:
    statement = insert(EPOCHS)
    return statement.on_conflict_do_update(
        index_elements=["server"],
        set_={"epoch": statement.excluded.epoch},
        where=EPOCHS.c.epoch < statement.excluded.epoch,
    )


def _raise_floor(insert: Callable[..., sqlite.Insert]) -> Executable:
    statement = insert(FLOORS)
    return statement.on_conflict_do_update(index_elements=["id"], set_={"epoch": statement.excluded.epoch})


def _write(insert: Callable[..., sqlite.Insert]) -> Executable:
    statement = insert(INBOX)
    return statement.on_conflict_do_update(
        index_elements=["key"],
        set_={name: statement.excluded[name] for name in ("state", "reply", "request", "is_error")},
        where=INBOX.c.state == ACCEPTED,
    )


_BY_KEY: Final = Statement(select(INBOX).where(INBOX.c.key == bindparam("key")))
_UNFINISHED: Final = Statement(select(INBOX).where(INBOX.c.state == ACCEPTED).order_by(INBOX.c.epoch, INBOX.c.key))
_NEWEST: Final = Statement(
    select(func.max(INBOX.c.number)).where(INBOX.c.scope == bindparam("scope"), INBOX.c.is_plain)
)
_HAD_EFFECT: Final = Statement(
    select(INBOX.c.key).where(INBOX.c.scope == bindparam("scope"), INBOX.c.had_effect).limit(1)
)
_KEYS: Final = Statement(select(INBOX.c.key, INBOX.c.epoch).where(INBOX.c.is_plain.is_(False)))
_WRITE: Final = Statement(_write)
_POISON: Final = Statement(
    update(INBOX).where(INBOX.c.key == bindparam("which")).values(state=POISONED, reply=None, request=b"")
)
_FORGET_PLAIN: Final = Statement(
    delete(INBOX).where(INBOX.c.scope == bindparam("scope"), INBOX.c.is_plain, INBOX.c.number <= bindparam("newest"))
)
_FORGET_KEYS: Final = Statement(delete(INBOX).where(INBOX.c.is_plain.is_(False), INBOX.c.epoch < bindparam("lowest")))
_LEAST: Final = union_all(
    select(EPOCHS.c.epoch).where(EPOCHS.c.server == bindparam("server")), select(FLOORS.c.epoch)
).subquery()
_HIGHEST: Final = Statement(select(func.max(_LEAST.c.epoch)))
_RAISE_EPOCH: Final = Statement(_raise_epoch)
_FORGET_EPOCHS: Final = Statement(delete(EPOCHS).where(EPOCHS.c.epoch < bindparam("lowest")))
_FLOOR: Final = Statement(select(FLOORS.c.epoch).where(FLOORS.c.id == bindparam("which")))
_RAISE_FLOOR: Final = Statement(_raise_floor)


class SqlInbox:
    """The kernel's `Inbox` port over SQL."""

    def look(self, connection: Connection, command: Command) -> Verdict:
        """Tell whether the command is new here, known, or being worked on; refuse one that may not be carried out."""
        if not command.key.is_plain:
            self._check_epoch(connection, command)
        row = _BY_KEY.first(connection, key=str(command.key))
        if row is not None:
            if row.state == POISONED:
                raise Superseded(key=str(command.key))
            return Accepted() if row.state == ACCEPTED else Known(body=row.reply, is_error=row.is_error)
        if command.key.is_plain:
            self._check_window(connection, command.key)
            return Fresh(undoes_nothing=False)
        is_unknown = command.key.is_undo and not self._poison(connection, command)
        # What an actor has renounced it may have carried out: then only the world can tell, and the undo looks there.
        return Fresh(undoes_nothing=is_unknown and _FLOOR.scalar(connection, which=RENOUNCED) is None)

    def accept(self, connection: Connection, command: Command) -> None:
        """Write that the command is being worked on, with all that is needed to go on after a restart."""
        self._raise_epoch(connection, command)
        self._write(connection, command, state=ACCEPTED, reply=None, is_error=False)

    def settle(self, connection: Connection, command: Command, *, reply: bytes, is_error: bool) -> None:
        """Write the reply with which the command is answered from now on, unless it was poisoned meanwhile."""
        if not is_error and self._has_effect(connection, command):
            self._raise_epoch(connection, command)
        self._write(connection, command, state=REPLIED, reply=reply, is_error=is_error)
        if command.key.is_plain:
            _FORGET_PLAIN.run(connection, scope=command.key.scope, newest=command.key.attempt - WINDOW)

    def unfinished(self, connection: Connection) -> tuple[Command, ...]:
        """List the commands that were accepted and never answered, in the order of their epochs."""
        return tuple(
            Command(key=Key.parse(row.key), server=row.server, epoch=row.epoch, method=row.method, body=row.request)
            for row in _UNFINISHED.all(connection)
        )

    def close(self, connection: Connection, closing: Closing) -> None:
        """Refuse older commands for the server from now on; forget everything behind the lowest open epoch.

        A conversation that had no effect here never had the server: it fences nobody.
        """
        if _HAD_EFFECT.first(connection, scope=closing.conversation) is not None:
            _RAISE_EPOCH.run(connection, server=closing.server, epoch=closing.epoch)
        self._forget(connection, closing.lowest_open)

    def renounce(self, connection: Connection, epoch: int) -> None:
        """Refuse and forget everything of a lower epoch, for whichever server.

        Whoever still means what he said asks again, under his next epoch, what can be carried out twice.
        """
        _RAISE_FLOOR.run(connection, id=RENOUNCED, epoch=epoch)
        self._forget(connection, epoch)

    def _forget(self, connection: Connection, lowest: int) -> None:
        if lowest > (_FLOOR.scalar(connection, which=CLOSED) or 0):
            _RAISE_FLOOR.run(connection, id=CLOSED, epoch=lowest)
        _FORGET_KEYS.run(connection, lowest=lowest)
        _FORGET_EPOCHS.run(connection, lowest=lowest)

    def _check_epoch(self, connection: Connection, command: Command) -> None:
        highest = _HIGHEST.scalar(connection, server=command.server) or 0
        if command.epoch < highest:
            raise StaleEpoch(server=command.server, epoch=command.epoch, highest=highest)

    def _raise_epoch(self, connection: Connection, command: Command) -> None:
        # Only what has an effect: a refused command of another conversation must not fence the one that has the server.
        if not command.key.is_plain:
            _RAISE_EPOCH.run(connection, server=command.server, epoch=command.epoch)

    def _has_effect(self, connection: Connection, command: Command) -> bool:
        if not command.key.is_undo:
            return True
        execute = _BY_KEY.first(connection, key=str(attrs.evolve(command.key, is_undo=False)))
        return bool(execute is not None and execute.had_effect)

    def _check_window(self, connection: Connection, key: Key) -> None:
        newest = _NEWEST.scalar(connection, scope=key.scope)
        if newest is not None and key.attempt <= newest - WINDOW:
            raise Stale(sender=key.scope, sequence=key.attempt, floor=newest - WINDOW + 1)

    def _poison(self, connection: Connection, command: Command) -> bool:
        """Turn the execute of this undo into a tombstone; tell whether it may have left anything."""
        execute = attrs.evolve(command, key=attrs.evolve(command.key, is_undo=False))
        row = _BY_KEY.first(connection, key=str(execute.key))
        if row is None:
            self._write(connection, execute, state=POISONED, reply=None, is_error=False)
            return False
        _POISON.run(connection, which=str(execute.key))
        return bool(row.state == ACCEPTED or row.had_effect)

    def _write(
        self, connection: Connection, command: Command, *, state: str, reply: bytes | None, is_error: bool
    ) -> None:
        _WRITE.run(
            connection, key=str(command.key), scope=command.key.scope, number=command.key.attempt,
            is_plain=command.key.is_plain, server=command.server, epoch=command.epoch, state=state,
            method=command.method, request=command.body if state == ACCEPTED else b"", reply=reply, is_error=is_error,
            had_effect=state != POISONED and not is_error and self._has_effect(connection, command),
        )  # fmt: skip


def remembered(connection: Connection, actor: str, waiting: int) -> Memory:
    """Tell what an actor remembers of conversations, for the truth."""
    return Memory(actor=actor, keys=tuple((row.key, row.epoch) for row in _KEYS.all(connection)), waiting=waiting)
