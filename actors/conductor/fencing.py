"""An operator's word that a host's machine is off, and that it may come back: the root keeps it, the host is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.errors import CellferryError
from protocol.messages.fencing import LiftFence, SetFence
from protocol.messages.hosts import StartAnew

if TYPE_CHECKING:
    from actors.kernel.ports import Journals, Store
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment
    from protocol.messages.orders import FenceHost, UnfenceHost
    from protocol.records import HostFence


class Fencing:
    """Fences, as operators set and lift them.  Asking twice is harmless."""

    def __init__(self, *, post: Post, store: Store, journals: Journals) -> None:
        self._post = post
        self._store = store
        self._journals = journals
        self._root = Address(post.me.cell.root, "cell")

    async def fence(self, request: FenceHost, _moment: Moment) -> HostFence:
        """Set a fence."""
        fence = await self._post.call(self._root, SetFence(host=request.host, user=request.user))
        await self._tell(fence)
        return fence

    async def unfence(self, request: UnfenceHost, _moment: Moment) -> HostFence:
        """Have a fence lifted: everything that the host was told until now becomes void by the next epoch."""
        epoch = await self._store.transact(self._journals.next_epoch)
        fence = await self._post.call(self._root, LiftFence(host=request.host, epoch=epoch))
        await self._tell(fence)
        return fence

    async def _tell(self, fence: HostFence) -> None:
        """Have a host that runs after all ask the root; one that does not run will as it starts."""
        address = Address(CellPath.parse(fence.cell), host_mailbox(fence.host))
        try:
            await self._post.cast(address, StartAnew())
        except CellferryError as error:
            self._post.events.emit("fence_not_told", host=fence.host, error=str(error))
