"""Inbox, journals and events that note in the history what becomes durable; they decide nothing."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from actors.kernel.ports import Accepted, Fresh, Known
from actors.ops.events import MemoryEvents
from actors.store.inbox import SqlInbox
from actors.store.journal import SqlJournals
from actors.store.statements import driver_of
from protocol.errors import CellferryError
from sim.history import Begun, Carried, Closed, Journaled, Looked, Noted, Renounced, TakenOver

if TYPE_CHECKING:
    from actors.kernel.ports import Closing, Command, Connection, Lease, Verdict
    from protocol.journal import Entry, Journal
    from protocol.states import Goal
    from sim.history import History

DIGEST_BYTES: Final = 8
VERDICTS: Final[dict[type, str]] = {Fresh: "fresh", Known: "known", Accepted: "accepted"}
#: Where an object of ours is in memory differs from run to run.
ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class WatchedInbox(SqlInbox):
    """An inbox of which the history knows what it was asked and what it keeps."""

    def __init__(self, history: History, process: str) -> None:
        super().__init__()
        self._history = history
        self._process = process

    def look(self, connection: Connection, command: Command) -> Verdict:
        """Tell what is known of a command, and note the verdict, or the refusal's code."""
        try:
            verdict = super().look(connection, command)
        except CellferryError as error:
            self._note_look(command, error.code)
            raise
        self._note_look(command, VERDICTS[type(verdict)])
        return verdict

    def accept(self, connection: Connection, command: Command) -> None:
        """Write that the command is being worked on."""
        super().accept(connection, command)
        self._history.record(
            Begun(
                process=self._process, key=str(command.key), server=command.server, epoch=command.epoch,
                method=command.method,
            )
        )  # fmt: skip

    def settle(self, connection: Connection, command: Command, *, reply: bytes, is_error: bool) -> None:
        """Write the reply."""
        super().settle(connection, command, reply=reply, is_error=is_error)
        digest = hashlib.blake2b(reply, digest_size=DIGEST_BYTES).hexdigest()
        self._history.record(
            Carried(
                process=self._process, key=str(command.key), server=command.server, epoch=command.epoch,
                method=command.method, reply=digest, is_error=is_error,
            )
        )  # fmt: skip

    def close(self, connection: Connection, closing: Closing) -> None:
        """Forget what may be forgotten."""
        super().close(connection, closing)
        self._history.record(
            Closed(
                process=self._process, conversation=closing.conversation, server=closing.server, epoch=closing.epoch,
                lowest_open=closing.lowest_open,
            )
        )  # fmt: skip

    def renounce(self, connection: Connection, epoch: int) -> None:
        """Refuse and forget everything of a lower epoch."""
        super().renounce(connection, epoch)
        self._history.record(Renounced(process=self._process, epoch=epoch))

    def _note_look(self, command: Command, verdict: str) -> None:
        self._history.record(
            Looked(
                process=self._process, key=str(command.key), server=command.server, epoch=command.epoch,
                method=command.method, verdict=verdict,
            )
        )  # fmt: skip


class WatchedJournals(SqlJournals):
    """Journals of which the history knows every entry, and who took over."""

    def __init__(self, history: History, process: str) -> None:
        super().__init__()
        self._history = history
        self._process = process
        #: Neither ever changes; and a conversation that a crash undid begins again with the same ones.
        self._about: dict[str, tuple[str, Goal]] = {}

    def begin(self, connection: Connection, lease: Lease, *, goal: Goal, payload: bytes, at_us: int) -> Journal:
        """Open a conversation, and note its first entry if it is new."""
        changes = driver_of(connection).total_changes
        journal = super().begin(connection, lease, goal=goal, payload=payload, at_us=at_us)
        self._about[journal.conversation] = journal.server, journal.goal
        if driver_of(connection).total_changes != changes:
            self._note(connection, journal.conversation, journal.entries[0])
        return journal

    def append(self, connection: Connection, conversation: str, entry: Entry) -> bytes | None:
        """Write an entry."""
        ends_for = super().append(connection, conversation, entry)
        self._note(connection, conversation, entry)
        return ends_for

    def take_over(self, connection: Connection, conversation: str, *, owner: str) -> None:
        """Become the owner, and note under which epoch."""
        super().take_over(connection, conversation, owner=owner)
        epoch = self.epoch(connection, conversation, owner=owner)
        self._history.record(TakenOver(process=self._process, conversation=conversation, epoch=epoch))

    def _note(self, connection: Connection, conversation: str, entry: Entry) -> None:
        if conversation not in self._about:
            journal = self.read(connection, conversation)
            self._about[conversation] = journal.server, journal.goal
        server, goal = self._about[conversation]
        self._history.record(
            Journaled(process=self._process, conversation=conversation, server=server, goal=goal, entry=entry)
        )


class WatchedEvents(MemoryEvents):
    """Events that are counted, and written into the history."""

    def __init__(self, history: History, process: str) -> None:
        super().__init__()
        self._history = history
        self._process = process

    def emit(self, event: str, /, **fields: object) -> None:
        """Count the event, and note it with its data."""
        super().emit(event, **fields)
        detail = " ".join(f"{name}={ADDRESS.sub('', str(value))}" for name, value in sorted(fields.items()))
        self._history.record(Noted(process=self._process, event=event, detail=detail))
