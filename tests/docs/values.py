"""What a reader sees of a move at one instant: one text for each column of the tables of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.compute.drivers.base import GuestState, Power
from protocol.cell_path import CellPath
from protocol.records import (
    Allocation,
    Attachment,
    BlockDevice,
    Image,
    Mapping,
    Migration,
    Permit,
    PortBinding,
    Server,
)
from tests.docs.moves_seen import ROOT, SOURCE, SOURCE_CELL, TARGET, TARGET_CELL, Sight

NONE: Final = "-"
ABSENT: Final = "absent"
SIDES: Final = {SOURCE: "S", TARGET: "T"}
CELL_SIDES: Final = {SOURCE_CELL: "S", TARGET_CELL: "T"}


def columns(sight: Sight, server: str, heads: tuple[str, ...]) -> tuple[str, ...]:
    """Give the text of each of these columns."""
    return tuple(COLUMNS[head](sight, server) for head in heads)


def _record(sight: Sight, server: str, cell: CellPath) -> Server | None:
    return next((row for row in sight.of_cell(cell, Server) if row.uuid == server), None)


def _state(cell: CellPath) -> Callable[[Sight, str], str]:
    def show(sight: Sight, server: str) -> str:
        row = _record(sight, server, cell)
        return f"{row.vm_state} / {row.task_state or NONE} / {row.power_state:d}" if row else ABSENT

    return show


def _place(cell: CellPath) -> Callable[[Sight, str], str]:
    def show(sight: Sight, server: str) -> str:
        row = _record(sight, server, cell)
        if row is None:
            return ABSENT
        marks = [word for word, is_so in (("hidden", row.is_hidden), ("sealed", row.is_sealed)) if is_so]
        return ", ".join([*(marks or ["visible"]), SIDES[row.host or ""], row.flavor.name])

    return show


def _move(cell: CellPath) -> Callable[[Sight, str], str]:
    def show(sight: Sight, server: str) -> str:
        row = _record(sight, server, cell)
        if row is None:
            return ABSENT
        flavors = "/".join(flavor.name if flavor else NONE for flavor in (row.old_flavor, row.new_flavor))
        return f"{flavors}, {row.old_vm_state or NONE}, {'yes' if row.migration_context else 'no'}"

    return show


def _migration(cell: CellPath) -> Callable[[Sight, str], str]:
    def show(sight: Sight, server: str) -> str:
        rows = [row for row in sight.of_cell(cell, Migration) if row.server == server]
        return "; ".join(
            f"{row.status} ({SIDES.get(row.target_host or '', NONE)}){', cross-cell' if row.is_cross_cell else ''}"
            for row in rows
        ) or NONE  # fmt: skip

    return show


def _mapping(sight: Sight, server: str) -> str:
    rows = (row for row in sight.of_cell(ROOT, Mapping) if row.server == server)
    row = next(rows, None)
    if row is None or row.cell is None:
        return NONE
    return f"{CELL_SIDES[CellPath.parse(row.cell)]} {row.generation}, {f'taken: {row.goal}' if row.goal else 'free'}"


def _permit(sight: Sight, server: str) -> str:
    row = next((row for row in sight.of_cell(ROOT, Permit) if row.server == server), None)
    if row is None:
        return NONE
    return f"{row.number} {SIDES[row.holder.rpartition(':')[2]] if row.holder else 'returned'}"


def _bindings(sight: Sight, server: str) -> str:
    rows = [row for row in sight.of_partners(PortBinding) if row.server == server]
    found = {SIDES[row.host]: "active" if row.is_active else "inactive" for row in rows}
    return ", ".join(f"{side} {word}" for side, word in sorted(found.items())) or NONE


def _attachments(sight: Sight, server: str) -> str:
    # A fresh copy names its original's attachments until it has some of its own: they are the source's, then.
    sides = {
        row.attachment: side
        for cell, side in reversed(CELL_SIDES.items())
        for row in sight.of_cell(cell, BlockDevice)
        if row.server == server
    }
    for cell in CELL_SIDES:
        record = _record(sight, server, cell)
        if record is not None and record.migration_context is not None:
            sides |= dict.fromkeys(record.migration_context.kept.values(), "kept")
    found: dict[str, list[str]] = {}
    for row in sight.of_partners(Attachment):
        if row.server == server:
            word = f"connected at {SIDES[row.host.rpartition(':')[2]]}" if row.host else "empty"
            owner = sides.get(row.id, "new")
            found.setdefault(row.volume.removeprefix(f"{server}-"), []).append(f"{owner} {word}")
    return "; ".join(f"{volume}: {', '.join(sorted(words))}" for volume, words in sorted(found.items())) or NONE


def _allocations(sight: Sight, server: str) -> str:
    rows = [row for cell in CELL_SIDES for row in sight.of_cell(cell, Allocation) if row.server == server]
    return ", ".join(
        f"{SIDES[row.host]}:{'server' if row.consumer == server else 'migration'} {row.memory_mb} MB {row.disk_gb} GB"
        for row in sorted(rows, key=lambda row: SIDES[row.host])
    ) or NONE  # fmt: skip


def _image(sight: Sight, server: str) -> str:
    return ", ".join(row.status for row in sight.of_partners(Image) if row.server == server) or NONE


def _guests(sight: Sight, server: str) -> str:
    def word(host: str) -> str:
        guest = next((guest for guest in sight.guests[host] if guest.server == server), None)
        return NONE if guest is None else _guest(guest)

    return f"{word(SOURCE)} / {word(TARGET)}"


def _guest(guest: GuestState) -> str:
    if not guest.is_defined:
        return "disk" if guest.has_disk else NONE
    return "off" if guest.power is Power.SHUTDOWN else "runs"


#: Columns by their head, in order.
COLUMNS: Final[dict[str, Callable[[Sight, str], str]]] = {
    "S: vm / task / power": _state(SOURCE_CELL),
    "S: record, host, flavor": _place(SOURCE_CELL),
    "S: old/new flavor, old vm, context": _move(SOURCE_CELL),
    "S: migration (to)": _migration(SOURCE_CELL),
    "T: vm / task / power": _state(TARGET_CELL),
    "T: record, host, flavor": _place(TARGET_CELL),
    "T: old/new flavor, old vm, context": _move(TARGET_CELL),
    "T: migration (to)": _migration(TARGET_CELL),
    "mapping": _mapping,
    "permit": _permit,
    "bindings": _bindings,
    "attachments": _attachments,
    "allocations": _allocations,
    "snapshot": _image,
    "guests S / T": _guests,
}
