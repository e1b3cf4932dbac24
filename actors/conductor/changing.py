"""Changes of a server's record, which wait for no conversation: they go to its home, wherever that is by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from protocol.cell_path import Address, CellPath
from protocol.errors import NotFound, NotItsHome
from protocol.ids import derived_id
from protocol.messages.changes import UpdateServer
from protocol.messages.root import FindHome

if TYPE_CHECKING:
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment
    from protocol.messages.changes import ChangeServer
    from protocol.records import Server

#: How long a change follows its server; the user asks again for longer.
FOLLOW_S: Final = 20.0
PAUSE_S: Final = 0.2
BUDGET_S: Final = 10.0


class Changing:
    """Finds the home of a server, and has its record changed there; looks again while the home changes."""

    def __init__(self, *, post: Post) -> None:
        self._post = post
        self._root = Address(post.me.cell.root, "cell")

    async def change(self, request: ChangeServer, _moment: Moment) -> Server:
        """Do it once: the change's id is in the server's history, which goes with it."""
        update = update_of(request)
        until_s = anyio.current_time() + FOLLOW_S
        while True:
            # Raises when there is no such server: nothing is left to follow.
            found = await self._post.call(self._root, FindHome(server=request.server), budget_s=BUDGET_S)
            home = Address(CellPath.parse(str(found.mapping.cell)), "cell")
            try:
                return await self._post.call(home, update, budget_s=BUDGET_S)
            except (NotItsHome, NotFound):
                if anyio.current_time() >= until_s:
                    raise
            await anyio.sleep(PAUSE_S)


def update_of(request: ChangeServer) -> UpdateServer:
    """Write what the home is asked: the same for the same change, however often it is asked for."""
    action = derived_id(request.id, "action")
    return UpdateServer(server=request.server, change=request.change, action=action, origin=request.origin)
