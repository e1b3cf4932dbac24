"""How servers stand: which are being worked on, which are settled, which of those wait for a confirm or a revert."""

from collections.abc import Iterator
from typing import TypeVar

import attrs

from protocol.cell_path import MAILBOX_SEPARATOR, CellPath, host_mailbox
from protocol.records import BlockDevice, HostFence, Mapping, Migration, Record, Server
from protocol.states import VmState
from protocol.truth import Truth

R = TypeVar("R", bound=Record)

#: A cell, and a host in it.
Place = tuple[str, str]


@attrs.frozen(kw_only=True)
class Home:
    """A server by its mapping, and the record that the cell named there has of it."""

    mapping: Mapping
    cell: str
    record: Server
    devices: tuple[BlockDevice, ...]

    @property
    def server(self) -> str:
        """The server's id."""
        return self.record.uuid

    @property
    def place(self) -> Place:
        """Where the server is."""
        return self.cell, self.record.host or ""

    @property
    def is_volume_backed(self) -> bool:
        """Whether its root disk is a volume."""
        return not self.record.image

    @property
    def root_volume(self) -> str | None:
        """The volume that is its root disk."""
        return next((device.volume for device in self.devices if device.boot_index == 0), None)


@attrs.frozen(kw_only=True)
class Standing:
    """A settled server: nobody works on it, so that everything about it must be in place."""

    home: Home
    #: The home's record of the move that waits for its user, in VERIFY_RESIZE.
    move: Migration | None
    #: The source's hidden record of the server, and its devices, while a move between cells waits.
    source: Server | None
    source_devices: tuple[BlockDevice, ...]

    @property
    def server(self) -> str:
        """The server's id."""
        return self.home.server

    @property
    def record(self) -> Server:
        """The home's record."""
        return self.home.record

    @property
    def has_crossed(self) -> bool:
        """Whether the move that waits has come from another cell."""
        return self.move is not None and self.move.source_cell != self.home.cell

    @property
    def source_place(self) -> Place | None:
        """Where the server would go back to."""
        return (self.move.source_cell, self.move.source_host) if self.move else None


def located(truth: Truth, kind: type[R]) -> Iterator[tuple[str, R]]:
    """List the rows of one class, each with the cell that has it."""
    for cell in truth.cells:
        path = str(cell.path)
        for row in cell.all(kind):
            yield path, row


def holder(cell: CellPath | str, host: str) -> str:
    """Name a host as permits and attachments do."""
    return f"{cell}{MAILBOX_SEPARATOR}{host_mailbox(host)}"


def fenced(truth: Truth) -> frozenset[str]:
    """Name the hosts whose machines are off, as their operators say: what is left there waits for the unfence."""
    return frozenset(fence.host for fence in truth.of_root(HostFence))


def lifting(truth: Truth) -> tuple[HostFence, ...]:
    """List the fences that are to be lifted, and are not yet: their hosts have not done what they owe."""
    return tuple(fence for fence in truth.of_root(HostFence) if fence.lift_epoch is not None)


def busy(truth: Truth) -> frozenset[str]:
    """Name the servers that a conversation has not ended with: only what holds always is asked of them."""
    return frozenset(each.server for each in truth.conversations if not each.is_ended)


def homes(truth: Truth) -> tuple[Home, ...]:
    """List the servers that have a home with a record of them.  `one_home` judges those that have none."""
    records = {(cell, row.uuid): row for cell, row in located(truth, Server)}
    devices = _devices(truth)
    found = []
    for mapping in truth.of_root(Mapping):
        record = records.get((mapping.cell or "", mapping.server))
        if mapping.cell is not None and record is not None:
            own = tuple(devices.get((mapping.cell, mapping.server), ()))
            found.append(Home(mapping=mapping, cell=mapping.cell, record=record, devices=own))
    return tuple(found)


def settled(truth: Truth) -> tuple[Standing, ...]:
    """List the servers that have a home and no open conversation."""
    working = busy(truth)
    records = {(cell, row.uuid): row for cell, row in located(truth, Server)}
    migrations = {(cell, row.uuid): row for cell, row in located(truth, Migration)}
    devices = _devices(truth)
    found = []
    for home in homes(truth):
        if home.server in working:
            continue
        context = home.record.migration_context
        move = None
        if home.record.vm_state is VmState.RESIZED and context is not None:
            move = migrations.get((home.cell, context.migration))
        # A move inside of a cell has left no second record: its source is to be found in no cell.
        at_source = (move.source_cell if move and move.source_cell != home.cell else "", home.server)
        found.append(
            Standing(
                home=home,
                move=move,
                source=records.get(at_source),
                source_devices=tuple(devices.get(at_source, ())),
            )
        )
    return tuple(found)


def _devices(truth: Truth) -> dict[tuple[str, str], list[BlockDevice]]:
    devices: dict[tuple[str, str], list[BlockDevice]] = {}
    for cell, row in located(truth, BlockDevice):
        devices.setdefault((cell, row.server), []).append(row)
    return devices
