"""Effects on images' rows; their bytes are the image store's, which the image actor asks."""

from typing import Any

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import AlreadyExists
from protocol.messages import partners as say
from protocol.records import Image
from protocol.requests import Done

QUEUED = "queued"
ACTIVE = "active"


def _image(command: Any) -> tuple[Need, ...]:
    return (need(Image, id=command.image),)


@effect(say.RegisterImage, _image)
def _register(draft: Draft, command: say.RegisterImage, _: Moment) -> Image:
    known = draft.find(Image, id=command.image)
    image = Image(
        id=command.image, name=command.name, status=ACTIVE, size_bytes=command.size_bytes, sha256=command.sha256
    )
    if known is not None and known != image:
        raise AlreadyExists(kind="image", name=command.image)
    return draft.put(image)


@effect(say.CreateSnapshot, _image)
def _create(draft: Draft, command: say.CreateSnapshot, _: Moment) -> Image:
    return draft.put(Image(id=command.image, name=command.name, status=QUEUED, server=command.server))


@effect(say.VerifyImage, _image)
def _verify(draft: Draft, command: say.VerifyImage, _: Moment) -> Image:
    image = draft.one(Image, id=command.image)
    return draft.put(attrs.evolve(image, status=ACTIVE, size_bytes=command.size_bytes, sha256=command.sha256))


@effect(say.DeleteImage, _image)
def _delete(draft: Draft, command: say.DeleteImage, _: Moment) -> Done:
    image = draft.find(Image, id=command.image)
    if image is not None and image.server == command.server:
        draft.drop(image)
    return Done()


@effect(say.ShowImage, lambda command: (need(Image, id=command.image),))
def _show(draft: Draft, command: say.ShowImage, _: Moment) -> Image:
    return draft.one(Image, id=command.image)
