"""Does by itself what is due after a while: the root says with which servers, and no cell asks anybody."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actors.kernel.periodic import every
from protocol.cell_path import Address
from protocol.errors import NotFound
from protocol.moves.chores import LOOK_S
from protocol.moves.parties import Brief

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from actors.kernel.conversation import Conversations
    from actors.kernel.ports import Clock, Connection, Journals, Store
    from actors.kernel.post import Post
    from protocol.journal import Journal
    from protocol.messages.root import Due
    from protocol.moves.chores import Chore, Waits


class Chores:
    """The watch of one replica over what is due.  Two that watch at once do no harm."""

    def __init__(
        self, *, post: Post, store: Store, journals: Journals, clock: Clock, conversations: Conversations, waits: Waits
    ) -> None:  # fmt: skip
        self._post = post
        self._store = store
        self._journals = journals
        self._clock = clock
        self._conversations = conversations
        self._waits = waits
        self._tasks: TaskGroup | None = None
        self._watched: set[str] = set()  # By the chores' users.

    def start(self, tasks: TaskGroup) -> None:
        """Watch in the background, each chore by itself: what one waits for holds up no other."""
        self._tasks, self._watched = tasks, set()
        self._watch(tasks)

    def tune(self, waits: Waits) -> None:
        """Wait so long from now on; also for what was not watched before."""
        self._waits = waits
        if self._tasks is not None:
            self._watch(self._tasks)

    def _watch(self, tasks: TaskGroup) -> None:
        for chore, _ in self._waits.chores():
            if chore.user not in self._watched:
                self._watched.add(chore.user)
                tasks.start_soon(self._run, chore, tasks, name=chore.user)

    async def _run(self, chore: Chore, tasks: TaskGroup) -> None:
        look = partial(self._look, chore, tasks)
        await every(LOOK_S, look, events=self._post.events, waits="chore_waits", chore=chore.user)

    async def _look(self, chore: Chore, tasks: TaskGroup) -> None:
        after_us = next((after_us for each, after_us in self._waits.chores() if each is chore), None)
        if after_us is None:  # Nobody wants it done any more.
            return
        found = await self._post.call(Address(self._post.me.cell, "cell"), chore.due(after_us))
        for due in found.servers:
            conversation = await self._store.transact(self._begin, chore, due, self._clock.now_us())
            if conversation is not None:
                self._conversations.start(conversation, tasks)

    def _begin(self, connection: Connection, chore: Chore, due: Due, now_us: int) -> str | None:
        """Begin what is due, unless somebody else is at its server."""
        if self._journals.others(connection, due.server, but=""):
            return None

        def read(conversation: str) -> Journal | None:
            try:
                return self._journals.read(connection, conversation)
            except NotFound:
                return None

        conversation = chore.next_conversation(due, read, now_us)
        if conversation is not None:
            brief = Brief(root=self._post.me.cell, order=chore.order_of(due, conversation))
            lease = self._conversations.lease(conversation, due.server)
            payload = self._conversations.written(brief)
            self._journals.begin(connection, lease, goal=chore.goal, payload=payload, at_us=now_us)
        return conversation
