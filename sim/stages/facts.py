"""The truth of a stage at one instant, one accessor for each kind of thing: never what an actor believes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from protocol.envelope import Key
from protocol.records import (
    ActionEvent,
    Allocation,
    Attachment,
    BlockDevice,
    Claim,
    Fault,
    Image,
    Mapping,
    Migration,
    Mirror,
    Notification,
    Permit,
    Port,
    PortBinding,
    Record,
    RequestSpec,
    Server,
    ServerAction,
)
from sim.history import Carried, Fired, Looked

if TYPE_CHECKING:
    from actors.compute.drivers.base import DiskWitness, GuestState
    from protocol.truth import CallTruth, ConversationTruth, GuestTruth, Truth, VolumeTruth
    from sim.history import History

R = TypeVar("R", bound=Record)


class Facts:
    """What stores, hypervisors and partners hold now, and what was done so far.

    Most accessors take a server's name; without one they tell of all servers.
    """

    def __init__(self, truth: Truth, history: History, hypervisors: dict[str, tuple[GuestState, ...]]) -> None:
        """Look at a truth, at the history that led to it, and at what hypervisors have."""
        self.all = truth
        self._history = history
        self._hypervisors = hypervisors

    # --- records of cells --------------------------------------------------------------------------------------

    def rows(self, kind: type[R], server: str = "") -> tuple[R, ...]:
        """List the records of any class, of all cells, the root and the partners."""
        return tuple(row for row in self.all.all(kind) if _is_of(row, server))

    def in_cell(self, cell: str, kind: type[R], server: str = "") -> tuple[R, ...]:
        """List the records of any class that one cell has."""
        found = next((each for each in self.all.cells if str(each.path) == cell), None)
        assert found is not None, f"there is no cell {cell}"
        return tuple(row for row in found.all(kind) if _is_of(row, server))

    def servers(self, server: str) -> dict[str, Server]:
        """Give each cell's record of a server, hidden or not, by the cell's path."""
        return {str(cell.path): row for cell in self.all.cells for row in cell.all(Server) if row.uuid == server}

    def home(self, server: str) -> Server | None:
        """Give the record of a server in the cell that its mapping names."""
        mapping = self.mapping(server)
        return self.servers(server).get(mapping.cell) if mapping is not None and mapping.cell is not None else None

    def migrations(self, server: str = "") -> tuple[Migration, ...]:
        """List the records of moves, of both cells."""
        return self.rows(Migration, server)

    def block_devices(self, server: str = "") -> tuple[BlockDevice, ...]:
        """List what the cells' records of a server say of its volumes."""
        return self.rows(BlockDevice, server)

    def allocations(self, server: str = "") -> tuple[Allocation, ...]:
        """List what is taken of hosts for a server."""
        return self.rows(Allocation, server)

    def claims(self, server: str = "") -> tuple[Claim, ...]:
        """List the places that hosts keep for a server."""
        return self.rows(Claim, server)

    def actions(self, server: str = "") -> tuple[ServerAction, ...]:
        """List what users did to a server, of both cells."""
        return self.rows(ServerAction, server)

    def events(self, server: str = "") -> tuple[ActionEvent, ...]:
        """List the parts of those actions, as they were carried out."""
        return self.rows(ActionEvent, server)

    def faults(self, server: str = "") -> tuple[Fault, ...]:
        """List why something done to a server has failed."""
        return self.rows(Fault, server)

    def notifications(self, server: str = "") -> tuple[Notification, ...]:
        """List what the cells told whoever listens."""
        return self.rows(Notification, server)

    # --- the root ----------------------------------------------------------------------------------------------

    def mapping(self, server: str) -> Mapping | None:
        """Give the row that says which cell is a server's home, and which conversation has taken it."""
        return next(iter(self.rows(Mapping, server)), None)

    def permit(self, server: str) -> Permit | None:
        """Give the newest right to run a server's guest."""
        return next(iter(self.rows(Permit, server)), None)

    def spec(self, server: str) -> RequestSpec | None:
        """Give what was asked for when a server was last placed."""
        return next(iter(self.rows(RequestSpec, server)), None)

    def listing(self, server: str = "") -> tuple[Mirror, ...]:
        """List what a user's listing shows."""
        homes = {mapping.server: mapping.cell for mapping in self.rows(Mapping)}
        mirrors = self.rows(Mirror, server)
        return tuple(row for row in mirrors if homes.get(row.server) == row.cell and not row.is_gone)

    # --- partners and hypervisors ------------------------------------------------------------------------------

    def ports(self, server: str = "") -> tuple[Port, ...]:
        """List a server's ports."""
        return self.rows(Port, server)

    def bindings(self, server: str = "") -> tuple[PortBinding, ...]:
        """List on which hosts a server's ports are known, and where they are active."""
        return self.rows(PortBinding, server)

    def attachments(self, server: str = "") -> tuple[Attachment, ...]:
        """List what reserves volumes for a server, or connects them."""
        return self.rows(Attachment, server)

    def images(self) -> tuple[Image, ...]:
        """List the images, snapshots included, that are registered."""
        return self.rows(Image)

    def image_files(self) -> tuple[str, ...]:
        """List the images whose bytes are kept."""
        return self.all.image_files

    def volumes(self) -> tuple[VolumeTruth, ...]:
        """List what is written on volumes: by which server, and its counter then."""
        return self.all.volumes

    def guests(self, server: str = "") -> tuple[GuestTruth, ...]:
        """List what hypervisors have of a server: a guest or only a disk, its witness counter and its boots."""
        return tuple(guest for guest in self.all.guests if server in {"", guest.server})

    def disks(self, server: str) -> dict[str, DiskWitness]:
        """Give what is written on a server's root disk, by host: its image, writer and counter, and all its boots."""
        return {
            host: state.witness
            for host, states in self._hypervisors.items()
            for state in states
            if state.server == server and state.witness is not None
        }

    def running(self, server: str) -> tuple[str, ...]:
        """Name the hosts on which a server's guest runs."""
        return tuple(guest.host for guest in self.guests(server) if guest.is_running)

    # --- what was done, and what is still to be ----------------------------------------------------------------

    def executions(self, server: str, step: str, *, is_undo: bool = False) -> int:
        """Count how often a step of any conversation was durably carried out for a server, or its undo."""
        return self.executed(server, is_undo=is_undo)[step]

    def asked(self, server: str, step: str, *, is_undo: bool = False) -> int:
        """Count how often a step of any conversation, or its undo, has come to its actor: again is not anew."""
        looked = (line.what for line in self._history.lines if isinstance(line.what, Looked))
        keys = (Key.parse(what.key) for what in looked if what.server == server)
        return sum(key.step == step and key.is_undo is is_undo for key in keys)

    def executed(self, server: str, *, is_undo: bool = False) -> Counter[str]:
        """Count, for each step, how often it was durably carried out for a server."""
        carried = (line.what for line in self._history.lines if isinstance(line.what, Carried))
        keys = (Key.parse(what.key) for what in carried if what.server == server and not what.is_error)
        return Counter(key.step for key in keys if key.step and key.is_undo is is_undo)

    def conversations(self, server: str = "") -> tuple[ConversationTruth, ...]:
        """List how far each conversation is, and what one that is parked waits for."""
        return tuple(each for each in self.all.conversations if server in {"", each.server})

    def pending(self) -> tuple[CallTruth, ...]:
        """List the calls that nobody has answered yet."""
        return tuple(call for call in self.all.calls if not call.answers and not call.is_overdue)

    def waiting(self) -> dict[str, int]:
        """Count the messages that wait in each actor's outbox."""
        return {memory.actor: memory.waiting for memory in self.all.memories if memory.waiting}

    def fired(self) -> tuple[Fired, ...]:
        """List the faults of the scenario that have struck, and whether each has made a difference."""
        return tuple(line.what for line in self._history.lines if isinstance(line.what, Fired))


def _is_of(row: Record, server: str) -> bool:
    return not server or getattr(row, "server", getattr(row, "uuid", None)) == server
