"""What users of a scenario have a server's host do beside its life and its moves."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from sim.cases.workload import IMAGE, Act

if TYPE_CHECKING:
    from sim.scenario import Move


class OfHosts:
    """The part of a scenario that has a host do something."""

    @abstractmethod
    async def _place(self, act: Act, server: str, **fields: Any) -> Move: ...

    async def snapshot(self, server: str) -> Move:
        """Begin to make an image of a server's root disk, which is called `image-` and the operation's name."""
        return await self._place(Act.SNAPSHOT, server)

    async def backup(self, server: str, *, rotation: int = 1) -> Move:
        """Begin to make a daily backup of a server, and to keep so many; it is called as a snapshot would be."""
        return await self._place(Act.BACKUP, server, rotation=rotation)

    async def rebuild(self, server: str, *, image: str = IMAGE) -> Move:
        """Begin to make a server's root disk anew."""
        return await self._place(Act.REBUILD, server, image=image)

    async def reset_network(self, server: str) -> Move:
        """Begin to have a server's host apply its ports again."""
        return await self._place(Act.RESET_NETWORK, server)

    async def inject_network_info(self, server: str) -> Move:
        """Begin to have a server's host tell its guest of its ports."""
        return await self._place(Act.INJECT_NETWORK_INFO, server)

    async def live_migrate(self, server: str, *, host: str = "") -> Move:
        """Begin to move a server that runs to the named host of its cell, or any other one there."""
        return await self._place(Act.LIVE_MIGRATE, server, host=host)
