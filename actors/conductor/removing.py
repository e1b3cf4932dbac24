"""An operator's word that a cell leaves the running deployment: only one that holds nothing, unless it is forced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.store.listings import conversation_page
from protocol.cell_path import Address, CellPath
from protocol.errors import CellferryError, CellInUse, InvalidValue
from protocol.messages.orders import ListConversations
from protocol.messages.root import CountServersBelow
from protocol.messages.tree import AddNeighbour, RemoveNeighbour
from protocol.moves.plans import PLANS
from protocol.requests import PAGE_MAX, Done
from protocol.saga import receivers

if TYPE_CHECKING:
    from actors.kernel.ports import Journals, Store
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment
    from protocol.messages.orders import ConversationLine
    from protocol.messages.tree import RemoveCell


class Removing:
    """Takes a cell, and all below it, out of the tree.  Asking twice is harmless."""

    def __init__(self, *, post: Post, store: Store, journals: Journals) -> None:
        self._post = post
        self._store = store
        self._journals = journals
        self._root = Address(post.me.cell.root, "cell")

    async def remove(self, request: RemoveCell, _moment: Moment) -> Done:
        """Remove a cell; raise `CellInUse` when it holds something and that is not forced."""
        cell, parent = request.cell, request.cell.parent
        if parent is None:
            raise InvalidValue(name="cell", value=str(cell), rule="the root cannot be removed")
        if request.is_forced:
            await self._let_go(cell, parent)
            return Done()
        await self._check(cell)
        await self._let_go(cell, parent)
        try:
            # What began in between may have chosen it; what begins from now on can not.
            await self._check(cell)
        except CellInUse:
            await self._take_back(cell, parent)
            raise
        return Done()

    async def _let_go(self, cell: CellPath, parent: CellPath) -> None:
        # The child first, for afterwards nothing reaches it; it is told, and not asked, for it may be gone already.
        await self._tell(cell, RemoveNeighbour(cell=parent))
        await self._post.call(Address(parent, "cell"), RemoveNeighbour(cell=cell))

    async def _take_back(self, cell: CellPath, parent: CellPath) -> None:
        await self._post.call(Address(parent, "cell"), AddNeighbour(cell=cell))
        await self._tell(cell, AddNeighbour(cell=parent))

    async def _tell(self, cell: CellPath, request: RemoveNeighbour | AddNeighbour) -> None:
        try:
            await self._post.cast(Address(cell, "cell"), request)
        except CellferryError as error:
            self._post.events.emit("child_not_told", cell=str(cell), error=str(error))

    async def _check(self, cell: CellPath) -> None:
        below = await self._post.call(self._root, CountServersBelow(cell=cell))
        if below.count:
            raise CellInUse(cell=str(cell), what=f"{below.count} server(s) are there, {below.first} among them")
        before: int | None = None
        while True:
            page = await self._store.transact(
                conversation_page, ListConversations(is_open=True, limit=PAGE_MAX, before=before)
            )
            for line in page.lines:
                if await self._takes_part(cell, line):
                    what = f"{line.goal} {line.conversation} of server {line.server} is under way there"
                    raise CellInUse(cell=str(cell), what=what)
            if len(page.lines) < PAGE_MAX:
                return
            before = page.lines[-1].number

    async def _takes_part(self, cell: CellPath, line: ConversationLine) -> bool:
        journal = await self._store.transact(self._journals.read, line.conversation)
        there = (address.cell for address in receivers(PLANS[journal.goal], journal))
        return any(each == cell or cell.is_above(each) for each in there)
