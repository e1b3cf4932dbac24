"""An inbox at which a scenario has commands fail: refused before they begin, or failing when all is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.edges.watching import WatchedInbox
from sim.loop.steps import OWNER
from sim.refusals import DIRTY, REFUSES, Refusals

if TYPE_CHECKING:
    from actors.kernel.ports import Closing, Command, Connection, Verdict
    from sim.history import History


class Gate:
    """The inbox of all actors of a world.  Whose it is at the moment, the running task says."""

    def __init__(self) -> None:
        self.refusals = Refusals()
        self.history: History | None = None
        self._inboxes: dict[str, WatchedInbox] = {}

    def look(self, connection: Connection, command: Command) -> Verdict:
        """Tell what is known of a command, unless it is to be refused."""
        self._strike(command, REFUSES)
        return self._inbox.look(connection, command)

    def accept(self, connection: Connection, command: Command) -> None:
        """Write that a command is being worked on."""
        self._inbox.accept(connection, command)

    def settle(self, connection: Connection, command: Command, *, reply: bytes, is_error: bool) -> None:
        """Write a command's reply, unless it is to fail after all."""
        if not is_error:
            self._strike(command, DIRTY)
        self._inbox.settle(connection, command, reply=reply, is_error=is_error)

    def renounce(self, connection: Connection, epoch: int) -> None:
        """Refuse and forget everything of a lower epoch."""
        self._inbox.renounce(connection, epoch)

    def unfinished(self, connection: Connection) -> tuple[Command, ...]:
        """List what was accepted and not answered."""
        return self._inbox.unfinished(connection)

    def close(self, connection: Connection, closing: Closing) -> None:
        """Forget what may be forgotten."""
        self._inbox.close(connection, closing)

    @property
    def _process(self) -> str:
        return OWNER.get().rpartition("#")[0]

    @property
    def _inbox(self) -> WatchedInbox:
        assert self.history is not None, "the gate has no world"
        return self._inboxes.setdefault(self._process, WatchedInbox(self.history, self._process))

    def _strike(self, command: Command, how: str) -> None:
        self.refusals.strike(self._process, server=command.server, method=command.method, key=command.key, how=how)
