"""The actor that owns volumes and attachments; the bytes are in the volume store, where hosts find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.kernel.actor import Actor
from actors.kernel.handlers import Ensuring
from actors.store.effects import effect_handlers
from actors.store.records import carry_out
from protocol.effects import table
from protocol.messages.partners import RegisterVolume

if TYPE_CHECKING:
    from actors.kernel.ports import Clock, Connection, Inbox, Store
    from actors.kernel.post import Post
    from actors.partners.ports import VolumeFiles
    from protocol.effects.registry import Moment
    from protocol.records import Volume

#: Blank volumes of the built-in store are sparse, and kept small: nothing here needs a real gigabyte.
BYTES_A_GB: Final = 64 * 1024


def volume_actor(*, post: Post, store: Store, inbox: Inbox, clock: Clock, files: VolumeFiles) -> Actor:
    """Make the volume actor over a volume store."""

    async def make(request: RegisterVolume, _moment: Moment) -> None:
        await files.create(request.volume, request.size_gb * BYTES_A_GB)

    def enter(connection: Connection, request: RegisterVolume, _made: None, moment: Moment) -> Volume:
        return carry_out(connection, request, moment)[1]

    handlers = effect_handlers(request for request in table.VOLUME if request is not RegisterVolume)
    register = Ensuring(request=RegisterVolume, ensure=make, settle=enter)
    return Actor(post=post, store=store, inbox=inbox, clock=clock, handlers=(*handlers, register))
