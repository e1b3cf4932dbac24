"""What a row is: the base of all records, and the values that several of them hold.

Each class is one table: `TABLE` is its name, `KEY` the fields of its primary key.  Times are integer microseconds.
"""

from typing import ClassVar

import attrs


class Record:
    """Base of all rows."""

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    #: Fields by which rows are looked up besides the key; the store makes an index for each.
    INDEX: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The row's primary key."""
        return tuple(getattr(self, name) for name in self.KEY)


@attrs.frozen(kw_only=True)
class Flavor:
    """A size of server."""

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int


@attrs.frozen(kw_only=True)
class MigrationContext:
    """What an open move holds beside the server's own fields; of which migration, and between which sizes."""

    migration: str
    old_flavor: str
    new_flavor: str
