"""The actor that owns images: their rows here, their bytes in the image store, and that the two agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kernel.actor import Actor
from actors.kernel.handlers import Ensuring
from actors.store.effects import effect_handlers
from actors.store.records import carry_out
from protocol.effects import table
from protocol.errors import ImageDamaged
from protocol.messages.partners import DeleteImage, RegisterImage, VerifyImage

if TYPE_CHECKING:
    from actors.kernel.ports import Clock, Connection, Inbox, Store
    from actors.kernel.post import Post
    from actors.partners.ports import ImageFiles
    from protocol.effects.registry import Moment

_WITH_BYTES = (RegisterImage, VerifyImage, DeleteImage)


def image_actor(*, post: Post, store: Store, inbox: Inbox, clock: Clock, files: ImageFiles) -> Actor:
    """Make the image actor over an image store."""

    async def compare(request: RegisterImage | VerifyImage, _moment: Moment) -> None:
        found = await files.digest(request.image)
        expected = f"{request.size_bytes} bytes, sha256 {request.sha256}"
        actual = f"{found.size_bytes} bytes, sha256 {found.sha256}" if found else "nothing"
        if actual != expected:
            raise ImageDamaged(image=request.image, expected=expected, found=actual)

    async def remove(request: DeleteImage, _moment: Moment) -> None:
        await files.delete(request.image)

    def enter(
        connection: Connection, request: RegisterImage | VerifyImage | DeleteImage, _checked: None, moment: Moment
    ) -> object:
        return carry_out(connection, request, moment)[1]

    return Actor(
        post=post,
        store=store,
        inbox=inbox,
        clock=clock,
        handlers=(
            *effect_handlers(request for request in table.IMAGE if request not in _WITH_BYTES),
            Ensuring(request=RegisterImage, ensure=compare, settle=enter),
            Ensuring(request=VerifyImage, ensure=compare, settle=enter),
            Ensuring(request=DeleteImage, ensure=remove, settle=enter),
        ),
    )
