"""A snapshot of the truth: what stores, hypervisors and partners hold, never what an actor believes.

The demo, the end-to-end tests and the simulator each collect one; `protocol.invariants` judges it.
"""

from typing import TypeVar

import attrs

from protocol.cell_path import CellPath
from protocol.records import Record
from protocol.requests import Gathered
from protocol.states import Goal, PowerState

R = TypeVar("R", bound=Record)


@attrs.frozen(kw_only=True)
class Memory:
    """What an actor remembers of commands: inbox rows (tombstones too) and the epochs they came with."""

    actor: str
    keys: tuple[tuple[str, int], ...]  # Of conversations only: key and epoch.
    waiting: int = 0  # Rows of the outbox that nobody has acknowledged yet.


@attrs.frozen(kw_only=True)
class CellTruth:
    """All rows of one cell's database."""

    path: CellPath
    rows: tuple[Record, ...]

    def all(self, record: type[R]) -> tuple[R, ...]:
        """List the cell's rows of one class."""
        return tuple([row for row in self.rows if isinstance(row, record)])


@attrs.frozen(kw_only=True)
class BootTruth:
    """One start of a guest, as its own disk tells it."""

    host: str
    permit: int
    number: int


@attrs.frozen(kw_only=True)
class GuestTruth:
    """What a hypervisor has of a server: a running or stopped guest, or only a disk."""

    server: str
    host: str
    cell: CellPath
    is_defined: bool
    is_running: bool  # It is there, counting or held.
    has_disk: bool
    has_spare_disk: bool = attrs.field(default=False, kw_only=True)  # Another root disk beside it.
    permit: int | None
    volumes: tuple[str, ...]
    counter: int
    boots: tuple[BootTruth, ...]
    is_paused: bool = False  # It is there, and held.
    is_suspended: bool = False  # It is not there, and goes on where it was when it is resumed.
    image: str = ""  # What its root disk was made from, where that says: after a move, the snapshot.

    @property
    def power(self) -> PowerState:
        """What it does."""
        if self.is_running:
            return PowerState.PAUSED if self.is_paused else PowerState.RUNNING
        return PowerState.SUSPENDED if self.is_suspended else PowerState.SHUTDOWN


@attrs.frozen(kw_only=True)
class VolumeTruth:
    """What is written on a volume: by which server, and its counter then; and what was on it first, where that says."""

    volume: str
    writer: str | None
    counter: int
    origin: str = ""


@attrs.frozen(kw_only=True)
class ConversationTruth:
    """How far the journal of a conversation is."""

    conversation: str
    server: str
    goal: Goal
    epoch: int
    is_ended: bool
    is_closed: bool
    waits_for: str | None = None  # Why it is parked.


@attrs.frozen(kw_only=True)
class CallTruth:
    """A call that was made: how often it was answered, and whether its deadline plus a hop has passed."""

    call: str
    answers: int
    is_overdue: bool


@attrs.frozen(kw_only=True)
class GatherTruth:
    """A broadcast call that was answered: over which subtree, and with what."""

    top: CellPath
    cells: tuple[CellPath, ...]  # The subtree, the top included.
    result: Gathered


@attrs.frozen(kw_only=True)
class Witnessed:
    """What somebody saw on a server's disk or volume before: less than that can never be right later."""

    server: str
    volume: str | None  # None: the root disk.
    counter: int


@attrs.frozen(kw_only=True)
class Truth:
    """Everything, at one instant."""

    root: CellPath
    cells: tuple[CellTruth, ...]
    partners: tuple[Record, ...]  # Rows of the image, volume and network actors.
    image_files: tuple[str, ...]
    guests: tuple[GuestTruth, ...]
    volumes: tuple[VolumeTruth, ...] = ()
    conversations: tuple[ConversationTruth, ...] = ()
    memories: tuple[Memory, ...] = ()
    calls: tuple[CallTruth, ...] = ()
    gathers: tuple[GatherTruth, ...] = ()
    witnessed: tuple[Witnessed, ...] = ()

    def all(self, record: type[R]) -> tuple[R, ...]:
        """List the rows of one class in all cells and partners."""
        rows = (*(row for cell in self.cells for row in cell.rows), *self.partners)
        return tuple([row for row in rows if isinstance(row, record)])

    def of_root(self, record: type[R]) -> tuple[R, ...]:
        """List the root's rows of one class."""
        return next(cell.all(record) for cell in self.cells if cell.path == self.root)


@attrs.frozen(kw_only=True)
class Violation:
    """An invariant that does not hold, of which server or other thing, and how."""

    invariant: str
    subject: str
    text: str
