"""The actor that owns images: their rows here, their bytes in the image store, and that the two agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.kernel.actor import Actor
from actors.kernel.handlers import Ensuring
from actors.store.effects import effect_handlers
from actors.store.records import carry_out, load
from protocol.draft import need
from protocol.effects import table
from protocol.effects.imaging import is_own, surplus
from protocol.errors import ImageDamaged
from protocol.messages.imaging import PublishSnapshot, RotateBackups, WithdrawSnapshot
from protocol.messages.partners import DeleteImage, RegisterImage, VerifyImage
from protocol.records import Image

if TYPE_CHECKING:
    from actors.kernel.ports import Clock, Connection, Inbox, Store
    from actors.kernel.post import Post
    from actors.partners.ports import ImageFiles
    from protocol.draft import Need
    from protocol.effects.registry import Moment
    from protocol.requests import Request

_WITH_BYTES = (RegisterImage, VerifyImage, DeleteImage, PublishSnapshot, WithdrawSnapshot, RotateBackups)
#: What an image's bytes are compared for with what somebody says of them.
_Comparing = RegisterImage | VerifyImage | PublishSnapshot


def image_actor(*, post: Post, store: Store, inbox: Inbox, clock: Clock, files: ImageFiles) -> Actor:
    """Make the image actor over an image store."""

    async def compare(request: _Comparing, _moment: Moment) -> None:
        found = await files.digest(request.image)
        expected = f"{request.size_bytes} bytes, sha256 {request.sha256}"
        actual = f"{found.size_bytes} bytes, sha256 {found.sha256}" if found else "nothing"
        if actual != expected:
            raise ImageDamaged(image=request.image, expected=expected, found=actual)

    async def remove(request: DeleteImage, _moment: Moment) -> None:
        await files.delete(request.image)

    async def remove_own(request: WithdrawSnapshot, _moment: Moment) -> None:
        rows = await store.transact(_images, need(Image, id=request.image))
        if is_own(next(iter(rows), None), request):
            await files.delete(request.image)

    async def remove_old(request: RotateBackups, _moment: Moment) -> None:
        # The bytes first: whoever dies in between finds the rows, and goes on.
        for image in surplus(await store.transact(_images, need(Image, source=request.server)), request):
            await files.delete(image.id)

    def enter(connection: Connection, request: Request[Any], _checked: None, moment: Moment) -> object:
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
            Ensuring(request=PublishSnapshot, ensure=compare, settle=enter),
            Ensuring(request=WithdrawSnapshot, ensure=remove_own, settle=enter),
            Ensuring(request=RotateBackups, ensure=remove_old, settle=enter),
        ),
    )


def _images(connection: Connection, which: Need) -> tuple[Image, ...]:
    return tuple(row for row in load(connection, (which,)) if isinstance(row, Image))
