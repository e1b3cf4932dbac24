"""What a cell asks its hosts on behalf of others: only what is declared for that, and only hosts that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.kernel.handlers import Ensuring
from actors.kernel.post import Stamp
from actors.store.records import load
from protocol.cell_path import Address, host_mailbox
from protocol.draft import need
from protocol.errors import CallTimeout, ComputeHostNotFound, HostSilent, Unroutable
from protocol.messages.nodes import AskHost, HostAnswer
from protocol.records import Host
from protocol.requests import Done

if TYPE_CHECKING:
    from actors.kernel.handlers import Handler
    from actors.kernel.ports import Connection, Store
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment

#: How long a host may take to answer its cell.
BUDGET_S: Final = 5.0


class Asking:
    """Passes questions on to hosts of the cell, and their answers back."""

    def __init__(self, post: Post, store: Store) -> None:
        self._post = post
        self._store = store

    def handlers(self) -> tuple[Handler, ...]:
        """List what is asked of it.  Nothing is stored, so nothing is finished after a crash."""
        return (Ensuring(request=AskHost, ensure=self.ask, is_resumed=False),)

    async def ask(self, request: AskHost, _moment: Moment) -> HostAnswer:
        """Refuse at once what is for no host of this cell; name one that does not answer."""
        to = await self.address_of(request.host)
        stamp = Stamp(server=str(getattr(request.question, "server", "")))
        if not request.wants_answer:
            await self._post.cast(to, request.question, stamp=stamp)
            return HostAnswer(host=request.host, answer=Done())
        return HostAnswer(host=request.host, answer=await self.asked(to, request.question, stamp, host=request.host))

    async def asked(self, to: Address, question: Any, stamp: Stamp, *, host: str) -> Any:
        """Give a host's answer; one that gives none is named."""
        try:
            return await self._post.call(to, question, stamp=stamp, budget_s=BUDGET_S)
        except (CallTimeout, Unroutable) as error:
            raise HostSilent(host=host, cell=str(self._post.me.cell), reason=str(error)) from error

    async def address_of(self, host: str) -> Address:
        """Find a host of this cell."""
        if not await self._store.transact(_is_known, host):
            raise ComputeHostNotFound(host=host)
        return Address(self._post.me.cell, host_mailbox(host))


def _is_known(connection: Connection, host: str) -> bool:
    return bool(load(connection, (need(Host, name=host),)))
