"""A user's side: places orders with the conductor, follows what becomes of them, and reads the root's listings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from actors.kernel.post import BUDGET_S, Stamp
from protocol.cell_path import Address
from protocol.envelope import Context, Key
from protocol.errors import CellferryError, Unavailable, revive
from protocol.ids import derived_id
from protocol.messages.orders import (
    Accepted,
    Order,
    Progress,
    Retried,
    RetryConversation,
    StepNews,
    WatchConversation,
)
from protocol.messages.root import HostList, ListHosts, ListServers, ServerList

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.kernel.post import Post
    from protocol.messages.changes import ChangeServer
    from protocol.records import Server
    from protocol.requests import Gathered, Request

R = TypeVar("R")
ORDER_BUDGET_S: Final = 30.0
WATCH_BUDGET_S: Final = 25.0
PATIENCE_S: Final = 120.0
PAUSE_S: Final = 0.5
HOSTS_PAUSE_S: Final = 0.05
HOSTS_BUDGET_S: Final = 60.0


class Client:
    """A user at the root.  `incarnation` tells it from all other clients, of all times."""

    def __init__(self, post: Post, *, incarnation: str) -> None:
        self._post = post
        self._incarnation = incarnation
        self._sequence = 0

    @property
    def root(self) -> Address:
        """The root's own actor."""
        return Address(self._post.me.cell, "cell")

    def fresh_id(self, *parts: str) -> str:
        """Make an id that no other client, and no other call of this one, makes."""
        self._sequence += 1
        return derived_id(self._incarnation, str(self._sequence), *parts)

    async def order(self, order: Order) -> Accepted:
        """Place an order, once: what goes unanswered is asked again under the same key."""
        self._sequence += 1
        stamp = Stamp(
            server=order.server,
            key=Key.plain(self._incarnation, self._sequence),
            context=Context(request_id=order.origin.request_id, user=order.origin.user, project=order.origin.project),
        )
        return await self._insist(Address(self._post.me.cell, "conductor"), order, stamp)

    async def change(self, request: ChangeServer) -> Server:
        """Change a server's record, once, wherever its home is; give it as it is then."""
        return await self._insist(Address(self._post.me.cell, "conductor"), request, Stamp())

    async def call(self, to: Address, request: Request[R], *, server: str = "") -> R:
        """Ask any actor, once, under a key of its own."""
        self._sequence += 1
        return await self._insist(to, request, Stamp(server=server, key=Key.plain(self._incarnation, self._sequence)))

    async def _insist(self, to: Address, request: Request[R], stamp: Stamp, *, budget_s: float = ORDER_BUDGET_S) -> R:
        since_s = anyio.current_time()
        with self._post.events.traces.opening(type(request).METHOD.name):
            while True:
                try:
                    return await self._post.call(to, request, stamp=stamp, budget_s=budget_s)
                except CellferryError as error:
                    if not error.is_retryable or anyio.current_time() - since_s > PATIENCE_S:
                        raise
                await anyio.sleep(PAUSE_S)

    async def follow(self, accepted: Accepted) -> AsyncGenerator[StepNews | Progress, None]:
        """Give each new entry of a conversation's journal as it comes, and at its end the whole progress."""
        seen = 0
        while True:
            progress = await self.watch(accepted, seen=seen)
            for news in progress.news:
                yield news
            seen += len(progress.news)
            if progress.is_closed:
                yield progress
                return

    async def watch(self, accepted: Accepted, *, seen: int) -> Progress:
        """Give what a conversation's journal has beyond its first `seen` entries, as soon as there is any."""
        request = WatchConversation(server=accepted.server, conversation=accepted.conversation, seen=seen)
        # A lane of its own: who waits for news must not hold up others.
        stamp = Stamp(server=f"watched by {self._incarnation}")
        return await self._insist(Address(self._post.me.cell, "conductor"), request, stamp, budget_s=WATCH_BUDGET_S)

    async def retry(self, conversation: str) -> Retried:
        """Have a conversation that waits try again now; give what comes of it within a while."""
        # Without a key: asked twice it tries twice, and of several conductors whoever has it is to hear of it.
        request = RetryConversation(conversation=conversation)
        return await self._insist(Address(self._post.me.cell, "conductor"), request, Stamp())

    async def finish(self, order: Order) -> Progress:
        """Place an order and wait until its conversation is closed; raise its cause if it failed."""
        accepted = await self.order(order)
        last: Progress | None = None
        async for news in self.follow(accepted):
            last = news if isinstance(news, Progress) else None
        assert last is not None, "a conversation ends with its progress"
        assert last.ending is not None, "a closed conversation has an ending"
        if last.ending.cause is not None:
            raise revive(last.ending.cause)
        return last

    async def hosts(self) -> HostList:
        """List all compute hosts that have announced themselves."""
        return await self._post.call(self.root, ListHosts())

    async def settle_hosts(self, count: int) -> None:
        """Wait until so many compute hosts have announced themselves."""
        known = 0
        with anyio.move_on_after(HOSTS_BUDGET_S):
            while True:
                known = len((await self.hosts()).hosts)
                if known >= count:
                    return
                await anyio.sleep(HOSTS_PAUSE_S)
        raise Unavailable(what=f"{count - known} of {count} compute hosts", reason="they have not announced themselves")

    async def servers(self) -> ServerList:
        """List all servers."""
        return await self._post.call(self.root, ListServers())

    async def ask(self, to: Address, request: Request[R], *, budget_s: float = BUDGET_S) -> R:
        """Read something, without a key."""
        return await self._post.call(to, request, budget_s=budget_s)

    async def send(self, to: Address, request: Request[R], *, server: str = "", budget_s: float = BUDGET_S) -> R:
        """Send something once, under a key of its own unless it is a read; `CallTimeout` when no answer comes."""
        return await self._post.call(to, request, stamp=self._fresh_stamp(request, server), budget_s=budget_s)

    async def cast(self, to: Address, request: Request[Any], *, server: str = "") -> None:
        """Send something once, and want no answer."""
        await self._post.cast(to, request, stamp=self._fresh_stamp(request, server))

    def _fresh_stamp(self, request: Request[Any], server: str) -> Stamp:
        if type(request).METHOD.is_read:
            return Stamp(server=server)
        self._sequence += 1
        return Stamp(server=server, key=Key.plain(self._incarnation, self._sequence))

    async def gather(self, request: Request[Any], *, budget_s: float = BUDGET_S, include_self: bool = True) -> Gathered:
        """Ask every cell of the tree, with `include_self` the root too; under a key what must not be done twice."""
        stamp = Stamp() if type(request).METHOD.is_idempotent else self._fresh_stamp(request, "")
        return await self._post.gather(request, budget_s=budget_s, include_self=include_self, stamp=stamp)
