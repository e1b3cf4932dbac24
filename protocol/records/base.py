"""What a row is: the base of all records, and the values that several of them hold.

Each class is one table: `TABLE` is its name, `KEY` the fields of its primary key.  Times are integer microseconds.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar

import attrs


class Record:
    """Base of all rows."""

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    #: Fields by which rows are looked up besides the key; the store makes an index for each.
    INDEX: ClassVar[tuple[str, ...]] = ()

    #: Reads the values of `KEY`, and the first one again.
    read_key: ClassVar[Callable[[Any], tuple[str, ...]]]

    def __init_subclass__(cls) -> None:
        """Prepare the reader of the key; of one name alone it would give no tuple."""
        super().__init_subclass__()
        cls.read_key = attrgetter(*cls.KEY, cls.KEY[0])

    @property
    def key(self) -> tuple[str, ...]:
        """The row's primary key."""
        return type(self).read_key(self)[:-1]


@attrs.frozen(kw_only=True)
class Flavor:
    """A size of server."""

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    extra_specs: dict[str, str] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
class KeyPair:
    """The public half of a key with which a server's user may enter its guest."""

    name: str
    public_key: str


@attrs.frozen(kw_only=True)
class MigrationContext:
    """What an open move holds beside the server's own fields; of which migration, and between which sizes."""

    migration: str
    old_flavor: str
    new_flavor: str
    #: Of a move inside a cell, which has no second record to tell: the zone that a revert leads back to, and the empty
    #: attachments that keep the volumes for the host that the server has left, by volume.
    old_zone: str | None = None
    kept: dict[str, str] = attrs.field(factory=dict, hash=False)
