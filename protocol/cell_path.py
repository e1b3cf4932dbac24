"""Where cells and actors are: paths down the tree of cells, and addresses of mailboxes in them."""

import re
from typing import Final, Self

import attrs

from protocol.errors import InvalidName

SEPARATOR: Final = "!"
MAILBOX_SEPARATOR: Final = "/"
#: Of the actor that keeps a cell's records.
CELL_MAILBOX: Final = "cell"
#: How the mailboxes of compute hosts begin.
HOST_PREFIX: Final = "host:"
#: How the queues begin that answers come to.
REPLIES: Final = "replies:"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MAILBOX: Final = re.compile(r"[a-z0-9][a-z0-9._:!-]{0,190}")
DEPTH_MAX: Final = 16


def _check_names(_path: object, _field: object, names: tuple[str, ...]) -> None:
    if not 1 <= len(names) <= DEPTH_MAX:
        raise InvalidName(kind="cell path", text=SEPARATOR.join(names), rule=f"1 to {DEPTH_MAX} names")
    for name in names:
        if NAME.fullmatch(name) is None:
            raise InvalidName(kind="cell name", text=name, rule=NAME.pattern)


@attrs.frozen(order=True, cache_hash=True)
class CellPath:
    """A cell's place in the tree, `api!eu!eu-1`: its names from the root down."""

    names: tuple[str, ...] = attrs.field(validator=_check_names)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `api!eu!eu-1`; raise `InvalidName` when it is no path."""
        return cls(tuple(text.split(SEPARATOR)))

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return SEPARATOR.join(self.names)

    @property
    def name(self) -> str:
        """The cell's own, last name."""
        return self.names[-1]

    @property
    def parent(self) -> Self | None:
        """The cell above, or None for the root."""
        return type(self)(self.names[:-1]) if len(self.names) > 1 else None

    @property
    def root(self) -> Self:
        """The root of the tree that this path is of."""
        return type(self)(self.names[:1])

    def child(self, name: str) -> Self:
        """Name the cell directly below, called `name`."""
        return type(self)((*self.names, name))

    def is_above(self, other: "CellPath") -> bool:
        """Tell whether `other` is somewhere below this cell."""
        return len(self.names) < len(other.names) and other.names[: len(self.names)] == self.names

    def is_neighbour(self, other: "CellPath") -> bool:
        """Tell whether one edge joins the two cells."""
        return self.parent == other or other.parent == self

    def common_ancestor(self, other: "CellPath") -> "CellPath | None":
        """Name the lowest cell that is at or above both; None when the roots differ."""
        shared = 0
        for mine, theirs in zip(self.names, other.names, strict=False):
            if mine != theirs:
                break
            shared += 1
        return CellPath(self.names[:shared]) if shared else None


def _check_mailbox(_address: object, _field: object, mailbox: str) -> None:
    if MAILBOX.fullmatch(mailbox) is None:
        raise InvalidName(kind="mailbox", text=mailbox, rule=MAILBOX.pattern)


@attrs.frozen(order=True, cache_hash=True)
class Address:
    """Where an actor is: its cell and the name of its mailbox, `api!eu!eu-1/host:h1`."""

    cell: CellPath
    mailbox: str = attrs.field(validator=_check_mailbox)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `api!eu/host:h1`; raise `InvalidName` when it is no address."""
        cell, separator, mailbox = text.partition(MAILBOX_SEPARATOR)
        if not separator:
            raise InvalidName(kind="address", text=text, rule="CELL-PATH/MAILBOX")
        return cls(CellPath.parse(cell), mailbox)

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"{self.cell}{MAILBOX_SEPARATOR}{self.mailbox}"


def speaks_for(source: Address, cell: CellPath | str) -> bool:
    """Tell whether that actor is the one that keeps the records of that cell, and so may tell others of them."""
    return source.mailbox == CELL_MAILBOX and str(source.cell) == str(cell)


def replies_of(mailbox: str, slot: str) -> str:
    """Name the queue to which answers come to one replica of an actor."""
    return f"{REPLIES}{mailbox}:{slot}"


def host_mailbox(host: str) -> str:
    """Name the mailbox of a compute host's actor."""
    return f"{HOST_PREFIX}{host}"


def host_of(address: Address) -> str | None:
    """Name the compute host whose actor that is; None: it is no host's."""
    return address.mailbox.removeprefix(HOST_PREFIX) if address.mailbox.startswith(HOST_PREFIX) else None
