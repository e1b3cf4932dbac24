"""Where the bytes of images and volumes are: here only what the bytes say of themselves."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import attrs

from sim.inner.outside import Partner

if TYPE_CHECKING:
    from actors.compute.drivers.disk import DiskWitness
    from sim.inner.hypervisor import Images, Volumes
    from sim.inner.setting import Setting

#: What every image has that is the snapshot of a disk.
SIZE_BYTES: Final = 4096


@attrs.frozen(kw_only=True, eq=False)
class Stores:
    """Both stores: what they hold, and how they are called."""

    images: Images
    volumes: Volumes
    image: Partner
    volume: Partner

    @classmethod
    def of(cls, setting: Setting) -> Stores:
        """Make empty ones."""
        return cls(images={}, volumes={}, image=Partner("image", setting), volume=Partner("volume", setting))


def digest_of_disk(content: DiskWitness) -> str:
    """Tell a disk's content from another's."""
    return sha256(f"{content.counter} {content.image} {content.writer} {content.boots_total}".encode()).hexdigest()
