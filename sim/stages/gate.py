"""An inbox at which a scenario has commands fail: refused before they begin, or failing when all is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from protocol.errors import Conflict
from sim.edges.watching import WatchedInbox
from sim.loop.steps import OWNER

if TYPE_CHECKING:
    from actors.kernel.ports import Closing, Command, Connection, Verdict
    from sim.history import History

REFUSES: Final = "refuses"
DIRTY: Final = "dirty"


@attrs.define(kw_only=True)
class Order:
    """That an actor is to fail a command: by its method or step, its execute only, so often (0: for ever)."""

    process: str
    call: str
    how: str
    times: int
    struck: list[str] = attrs.field(factory=list)

    def strikes(self, process: str, command: Command, how: str) -> bool:
        """Tell whether a command is to fail so."""
        is_it = self.process == process and self.call in {command.method, command.key.step} and self.how == how
        if not is_it or command.key.is_undo:
            return False
        key = str(command.key)
        # The refusal of a plain call is written down, in a transaction that looks again.
        is_known = command.key.is_plain and key in self.struck
        if is_known or (self.times and len(self.struck) >= self.times):
            return False
        self.struck.append(key)
        return True


class Gate:
    """The inbox of all actors of a world.  Whose it is at the moment, the running task says."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.history: History | None = None
        self._inboxes: dict[str, WatchedInbox] = {}

    def refuse(self, process: str, call: str, how: str, *, times: int) -> None:
        """Have a command of an actor fail from now on."""
        self.orders.append(Order(process=process, call=call, how=how, times=times))

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
        for order in self.orders:
            if order.strikes(self._process, command, how):
                raise Conflict(server=command.server, action=command.method, reason="the scenario has it fail")
