"""Effects on the rows of images that users have made of their servers' root disks."""

from typing import Any, TypeGuard

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.images import ACTIVE, QUEUED
from protocol.effects.registry import Moment, effect
from protocol.errors import AlreadyExists
from protocol.messages import imaging as say
from protocol.messages.partners import ImageList
from protocol.records import Image
from protocol.requests import PAGE_MAX, Done


def _image(command: Any) -> tuple[Need, ...]:
    return (need(Image, id=command.image),)


@effect(say.RegisterSnapshot, lambda command: (*_image(command), need(Image, source=command.server)))
def _register(draft: Draft, command: say.RegisterSnapshot, _: Moment) -> Image:
    if draft.find(Image, id=command.image) is not None:
        raise AlreadyExists(kind="image", name=command.image)
    earlier = draft.all(Image, source=command.server)
    return draft.put(
        Image(
            id=command.image, name=command.name, status=QUEUED, server=command.server, source=command.server,
            conversation=command.conversation, backup_type=command.backup_type,
            number=max((image.number for image in earlier), default=0) + 1,
        )
    )  # fmt: skip


@effect(say.PublishSnapshot, _image)
def _publish(draft: Draft, command: say.PublishSnapshot, _: Moment) -> Image:
    image = draft.one(Image, id=command.image)
    return draft.put(
        attrs.evolve(image, status=ACTIVE, server=None, size_bytes=command.size_bytes, sha256=command.sha256)
    )


@effect(say.WithdrawSnapshot, _image)
def _withdraw(draft: Draft, command: say.WithdrawSnapshot, _: Moment) -> Done:
    image = draft.find(Image, id=command.image)
    if is_own(image, command):
        draft.drop(image)
    return Done()


def is_own(image: Image | None, command: say.WithdrawSnapshot) -> TypeGuard[Image]:
    """Tell whether an image is the one that is to be withdrawn: its id was its user's choice."""
    return image is not None and image.conversation == command.conversation


def surplus(images: tuple[Image, ...], command: say.RotateBackups) -> tuple[Image, ...]:
    """Tell which of a server's images are to go, the oldest first: only backups of that type, only whole ones."""
    own = [row for row in images if row.backup_type == command.backup_type and row.status == ACTIVE]
    own.sort(key=lambda image: image.number)
    return tuple(own[: max(0, len(own) - command.rotation)])


@effect(say.RotateBackups, lambda command: (need(Image, source=command.server),))
def _rotate(draft: Draft, command: say.RotateBackups, _: Moment) -> ImageList:
    old = surplus(draft.all(Image, source=command.server), command)
    for image in old:
        draft.drop(image)
    return ImageList(images=old)


@effect(say.ListImages, lambda command: (need(Image, source=command.source) if command.source else need(Image),))
def _list(draft: Draft, command: say.ListImages, _: Moment) -> ImageList:
    images = draft.all(Image, source=command.source) if command.source else draft.all(Image)
    return ImageList(images=images[:PAGE_MAX])
