"""What is needed of the world outside: a place for the bytes of images, and one for the bytes of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from actors.partners.names import NAME
from protocol.errors import InvalidName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

IMAGE_BYTES_MAX: Final = 1 << 40


def check_name(kind: str, text: str) -> str:
    """Give `text` back if it may name a thing of that kind; raise `InvalidName` if not."""
    if NAME.fullmatch(text) is None:
        raise InvalidName(kind=kind, text=text, rule=NAME.pattern)
    return text


@attrs.frozen(kw_only=True)
class ImageDigest:
    """What an image's bytes were when it was registered."""

    size_bytes: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size_bytes} bytes, sha256 {self.sha256}"


class ImageFiles(Protocol):
    """Where images are kept.  Shared by the hosts of all cells."""

    async def write(self, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        """Keep the bytes as a whole or not at all; an image of that name is replaced.

        Raises `ImageTooLarge`, and what `chunks` raises.
        """
        ...

    def read(self, image: str) -> AsyncGenerator[bytes, None]:
        """Give the image's bytes in chunks; raise `NotFound` at the first when there is none.

        They are not verified here: who reads compares them with the digest.  One who stops early closes the generator.
        """
        ...

    async def digest(self, image: str) -> ImageDigest | None:
        """Give what the image was when it was written, not what its bytes are now; None when there is none."""
        ...

    async def delete(self, image: str) -> None:
        """Forget the image and what is left of a broken write of it; a missing one is no error."""
        ...

    async def names(self) -> tuple[str, ...]:
        """List the images."""
        ...


class VolumeFiles(Protocol):
    """Where the bytes of volumes are kept.  Hosts reach a volume by its path."""

    async def create(self, volume: str, size_bytes: int) -> None:
        """Make a blank volume; one that exists keeps its bytes, and is never made smaller."""
        ...

    def path(self, volume: str) -> str:
        """Tell where the volume's bytes are, or would be."""
        ...

    async def exists(self, volume: str) -> bool:
        """Tell whether there is such a volume."""
        ...

    async def delete(self, volume: str) -> None:
        """Forget the volume and its bytes; a missing one is no error."""
        ...

    async def names(self) -> tuple[str, ...]:
        """List the volumes."""
        ...
