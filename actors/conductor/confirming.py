"""Confirms moves that nobody settles: the root says which have waited for long enough, and no cell asks anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from protocol.bodies import encode_body
from protocol.cell_path import Address
from protocol.errors import CellferryError, NotFound
from protocol.messages.root import ListWaitingMoves
from protocol.moves.auto_confirm import LOOK_S, next_conversation, order_of
from protocol.moves.parties import Brief
from protocol.states import Goal

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from actors.kernel.conversation import Conversations
    from actors.kernel.ports import Clock, Connection, Journals, Store
    from actors.kernel.post import Post
    from protocol.journal import Journal
    from protocol.messages.root import WaitingMove


class Confirming:
    """The watch of one replica over the moves that wait.  Two that watch at once do no harm."""

    def __init__(
        self, *, post: Post, store: Store, journals: Journals, clock: Clock, conversations: Conversations, after_s: int
    ) -> None:  # fmt: skip
        self._post = post
        self._store = store
        self._journals = journals
        self._clock = clock
        self._conversations = conversations
        self._after_us = after_s * 1_000_000

    def start(self, tasks: TaskGroup) -> None:
        """Watch in the background, if moves are to be confirmed at all."""
        if self._after_us:
            tasks.start_soon(self._run, tasks, name="confirming")

    async def _run(self, tasks: TaskGroup) -> None:
        while True:
            try:
                await self._look(tasks)
            except CellferryError as error:
                # Whatever is away, nothing is lost: it is looked again.
                self._post.events.emit("confirming_waits", error=str(error))
            await anyio.sleep(LOOK_S)

    async def _look(self, tasks: TaskGroup) -> None:
        root = self._post.me.cell
        waiting = await self._post.call(Address(root, "cell"), ListWaitingMoves(for_us=self._after_us))
        for move in waiting.moves:
            conversation = await self._store.transact(self._begin, move, self._clock.now_us())
            if conversation is not None:
                self._conversations.start(conversation, tasks)

    def _begin(self, connection: Connection, move: WaitingMove, now_us: int) -> str | None:
        """Begin to confirm a move, unless somebody else is at its server."""
        if self._journals.others(connection, move.server, but=""):
            return None

        def read(conversation: str) -> Journal | None:
            try:
                return self._journals.read(connection, conversation)
            except NotFound:
                return None

        conversation = next_conversation(move, read, now_us)
        if conversation is not None:
            brief = Brief(root=self._post.me.cell, order=order_of(move, conversation))
            lease = self._conversations.lease(conversation, move.server)
            self._journals.begin(connection, lease, goal=Goal.CONFIRM, payload=encode_body(brief), at_us=now_us)
        return conversation
