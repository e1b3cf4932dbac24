"""Asks the root about fences: what a host that does not answer would have to do may count as done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from protocol.cell_path import Address, host_of
from protocol.errors import CellferryError, HostFenced, StaleEpoch
from protocol.fencing import worth
from protocol.messages.fencing import FindFence, StandIn

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from actors.kernel.post import Post, Stamp
    from protocol.saga import Send

BUDGET_S: Final = 10.0


class Fences:
    """The root's fences, as conversations ask for them; nobody keeps what was answered."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._root = Address(post.me.cell.root, "cell")

    async def answer(self, asking: Awaitable[Any], send: Send, stamp: Stamp) -> Any:
        """Wait for an answer; what a host cannot do because it is fenced counts as done, or is refused for good."""
        try:
            return await asking
        except CellferryError as error:
            found = await self.stand_in(send, stamp) if error.is_retryable else None
            if isinstance(found, CellferryError):
                raise found from None
            if found is None:
                raise
        return found

    async def stand_in(self, send: Send, stamp: Stamp) -> Any:
        """Give what a step is worth whose host is fenced: a reply, or the error it is refused with.

        None: it is at no fenced host, as far as anybody can tell now.  `StaleEpoch` is raised: the step is to be asked
        again under the next epoch.
        """
        host = host_of(send.address)
        if host is None:
            return None
        found = worth(send.request, host=host)
        if found is None:
            method = type(send.request).METHOD.name
            return HostFenced(host=host, method=method) if await self.is_fenced(send.address) else None
        request = StandIn(server=send.story.server, host=host, acts=found.acts)
        try:
            await self._post.call(self._root, request, stamp=stamp, budget_s=BUDGET_S)
        except StaleEpoch:
            raise
        except CellferryError:
            return None
        return found.reply

    async def is_fenced(self, address: Address) -> bool:
        """Tell whether an actor is that of a fenced host; not to be told is no."""
        host = host_of(address)
        if host is None:
            return False
        try:
            return (await self._post.call(self._root, FindFence(host=host), budget_s=BUDGET_S)).is_fenced
        except CellferryError:
            return False
