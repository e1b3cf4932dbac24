"""What an actor remembers of commands, so that each takes effect once: keys with replies, tombstones, epochs.

Every function here runs inside the transaction of the effect that it guards.
"""

from typing import Final

import attrs
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from actors.kernel.ports import Accepted, Closing, Command, Connection, Fresh, Known, Verdict
from actors.store.tables import EPOCHS, FLOORS, INBOX
from protocol.envelope import Key
from protocol.errors import Stale, StaleEpoch, Superseded
from protocol.truth import Memory

ACCEPTED: Final = "accepted"
REPLIED: Final = "replied"
POISONED: Final = "poisoned"
#: How many plain calls of one sender are remembered.
WINDOW: Final = 1024

_BY_KEY = select(INBOX).where(INBOX.c.key == bindparam("key"))
_HIGHEST = select(EPOCHS.c.epoch).where(EPOCHS.c.server == bindparam("server"))
_FLOOR = select(FLOORS.c.epoch)
_NEWEST = select(func.max(INBOX.c.number)).where(INBOX.c.scope == bindparam("scope"), INBOX.c.is_plain)


class SqlInbox:
    """The kernel's `Inbox` port over SQL."""

    def look(self, connection: Connection, command: Command) -> Verdict:
        """Tell whether the command is new here, known, or being worked on; refuse one that may not be carried out."""
        if not command.key.is_plain:
            self._check_epoch(connection, command)
        row = connection.execute(_BY_KEY, {"key": str(command.key)}).one_or_none()
        if row is not None:
            if row.state == POISONED:
                raise Superseded(key=str(command.key))
            return Accepted() if row.state == ACCEPTED else Known(body=row.reply, is_error=row.is_error)
        if command.key.is_plain:
            self._check_window(connection, command.key)
            return Fresh(undoes_nothing=False)
        return Fresh(undoes_nothing=command.key.is_undo and not self._poison(connection, command))

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
            old = INBOX.c.number <= command.key.attempt - WINDOW
            connection.execute(delete(INBOX).where(INBOX.c.scope == command.key.scope, INBOX.c.is_plain, old))

    def unfinished(self, connection: Connection) -> tuple[Command, ...]:
        """List the commands that were accepted and never answered, in the order of their epochs."""
        rows = connection.execute(select(INBOX).where(INBOX.c.state == ACCEPTED).order_by(INBOX.c.epoch, INBOX.c.key))
        return tuple(
            Command(key=Key.parse(row.key), server=row.server, epoch=row.epoch, method=row.method, body=row.request)
            for row in rows
        )

    def close(self, connection: Connection, closing: Closing) -> None:
        """Refuse older commands for the server from now on; forget everything behind the lowest open epoch.

        A conversation that had no effect here never had the server: it fences nobody.
        """
        lowest_open = closing.lowest_open
        had_effect = select(INBOX.c.key).where(INBOX.c.scope == closing.conversation, INBOX.c.had_effect).limit(1)
        if connection.execute(had_effect).first() is not None:
            self._set_epoch(connection, closing.server, closing.epoch)
        floor = connection.execute(_FLOOR).scalar() or 0
        if lowest_open > floor:
            statement = _insert(connection, "floor").values(id=0, epoch=lowest_open)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_={"epoch": statement.excluded.epoch})
            )
        connection.execute(delete(INBOX).where(INBOX.c.is_plain.is_(False), INBOX.c.epoch < lowest_open))
        connection.execute(delete(EPOCHS).where(EPOCHS.c.epoch < lowest_open))

    def _check_epoch(self, connection: Connection, command: Command) -> None:
        highest = connection.execute(_HIGHEST, {"server": command.server}).scalar() or 0
        floor = connection.execute(_FLOOR).scalar() or 0
        if command.epoch < max(highest, floor):
            raise StaleEpoch(server=command.server, epoch=command.epoch, highest=max(highest, floor))

    def _raise_epoch(self, connection: Connection, command: Command) -> None:
        # Only what has an effect: a refused command of another conversation must not fence the one that has the server.
        if not command.key.is_plain:
            self._set_epoch(connection, command.server, command.epoch)

    def _has_effect(self, connection: Connection, command: Command) -> bool:
        if not command.key.is_undo:
            return True
        execute = connection.execute(_BY_KEY, {"key": str(attrs.evolve(command.key, is_undo=False))}).one_or_none()
        return bool(execute is not None and execute.had_effect)

    def _set_epoch(self, connection: Connection, server: str, epoch: int) -> None:
        statement = _insert(connection, "epoch").values(server=server, epoch=epoch)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["server"],
                set_={"epoch": statement.excluded.epoch},
                where=EPOCHS.c.epoch < statement.excluded.epoch,
            )
        )

    def _check_window(self, connection: Connection, key: Key) -> None:
        newest = connection.execute(_NEWEST, {"scope": key.scope}).scalar()
        if newest is not None and key.attempt <= newest - WINDOW:
            raise Stale(sender=key.scope, sequence=key.attempt, floor=newest - WINDOW + 1)

    def _poison(self, connection: Connection, command: Command) -> bool:
        """Turn the execute of this undo into a tombstone; tell whether it may have left anything."""
        execute = attrs.evolve(command, key=attrs.evolve(command.key, is_undo=False))
        row = connection.execute(_BY_KEY, {"key": str(execute.key)}).one_or_none()
        if row is None:
            self._write(connection, execute, state=POISONED, reply=None, is_error=False)
            return False
        connection.execute(
            update(INBOX).where(INBOX.c.key == str(execute.key)).values(state=POISONED, reply=None, request=b"")
        )
        return bool(row.state == ACCEPTED or row.had_effect)

    def _write(
        self, connection: Connection, command: Command, *, state: str, reply: bytes | None, is_error: bool
    ) -> None:
        statement = _insert(connection, "inbox").values(
            key=str(command.key), scope=command.key.scope, number=command.key.attempt, is_plain=command.key.is_plain,
            server=command.server, epoch=command.epoch, state=state, method=command.method,
            request=command.body if state == ACCEPTED else b"", reply=reply, is_error=is_error,
            had_effect=state != POISONED and not is_error and self._has_effect(connection, command),
        )  # fmt: skip
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["key"],
                set_={
                    "state": statement.excluded.state,
                    "reply": statement.excluded.reply,
                    "request": statement.excluded.request,
                    "is_error": statement.excluded.is_error,
                },
                where=INBOX.c.state == ACCEPTED,
            )
        )


_TARGETS = {"floor": FLOORS, "epoch": EPOCHS, "inbox": INBOX}


def _insert(connection: Connection, what: str) -> "sqlite.Insert | postgresql.Insert":
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(_TARGETS[what])


def remembered(connection: Connection, actor: str, waiting: int) -> Memory:
    """Tell what an actor remembers of conversations, for the truth."""
    rows = connection.execute(select(INBOX.c.key, INBOX.c.epoch).where(INBOX.c.is_plain.is_(False)))
    return Memory(actor=actor, keys=tuple((row.key, row.epoch) for row in rows), waiting=waiting)
