"""The users of a world: place operations with the conductor, and wait until what they asked for is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from protocol.errors import CellferryError
from protocol.journal import Kind
from protocol.messages.changes import ChangeServer
from sim.history import Answered, Journaled, Ordered

if TYPE_CHECKING:
    from actors.client import Client
    from sim.cases.workload import Op, Wish
    from sim.history import History, Line


class Conversations:
    """Which conversations are open and which are over, by what the journal's store has made durable."""

    def __init__(self, history: History) -> None:
        self.open: dict[str, str] = {}  # The servers, by conversation.
        self._over: dict[str, anyio.Event] = {}
        history.listen(self._listen, Journaled)

    def _listen(self, line: Line) -> None:
        if not isinstance(line.what, Journaled):
            return
        if line.what.entry.kind is Kind.BEGIN:
            self.open[line.what.conversation] = line.what.server
        elif line.what.entry.kind is Kind.RELEASED:
            self.open.pop(line.what.conversation, None)
            self._event(line.what.conversation).set()

    def _event(self, conversation: str) -> anyio.Event:
        return self._over.setdefault(conversation, anyio.Event())

    async def over(self, conversation: str) -> None:
        """Wait until a conversation is over."""
        await self._event(conversation).wait()


class Users:
    """Users who act through one client, each in a task of his own."""

    def __init__(self, client: Client, *, history: History, conversations: Conversations) -> None:
        self._client = client
        self._history = history
        self._conversations = conversations
        self._placed = 0
        self._done: dict[str, anyio.Event] = {}
        self.waiting: dict[str, Op] = {}

    async def place(self, op: Op) -> str | None:
        """Place an operation; give the conversation that carries it out, or None when none does, or it was refused."""
        self._placed += 1
        number, wish = self._placed, op.wish()
        self._history.record(Ordered(process="user", number=number, order=wish))
        try:
            conversation = await self._ask(wish)
        except CellferryError as error:
            self._history.record(Answered(process="user", number=number, error=error.code))
            return None
        self._history.record(Answered(process="user", number=number, conversation=conversation))
        return conversation or None

    async def _ask(self, wish: Wish) -> str:
        if isinstance(wish, ChangeServer):
            await self._client.change(wish)
            return ""
        return (await self._client.order(wish)).conversation

    async def carry_out(self, op: Op) -> None:
        """Place an operation at its time, and wait until its conversation is over."""
        self.waiting[op.name] = op
        if op.after:
            await self._event(op.after).wait()
        await anyio.sleep(op.at_s)
        conversation = await self.place(op)
        if conversation is not None:
            await self._conversations.over(conversation)
        self._event(op.name).set()
        del self.waiting[op.name]

    def _event(self, name: str) -> anyio.Event:
        return self._done.setdefault(name, anyio.Event())
