"""One home: each live server is shown once, by the cell that its mapping names."""

from collections import Counter, defaultdict
from typing import TypeAlias, TypeVar

import attrs

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import Home, busy, located, settled
from protocol.mirroring import mirror_of, newest_faults
from protocol.records import Fault, Mapping, Mirror, MirroredDevice, MirroredFault, Record, Server
from protocol.truth import Truth

R = TypeVar("R", bound=Record)
#: Rows by server and cell.
Placed: TypeAlias = defaultdict[tuple[str, str], list[R]]


@checker("one_home")
def check(truth: Truth) -> Findings:
    """Ask for what a listing through the mapping shows: each server that has a home, once."""
    cells = {mapping.server: mapping.cell for mapping in truth.of_root(Mapping)}
    shown = Counter(row.uuid for cell, row in located(truth, Server) if cells.get(row.uuid) == cell)
    for server, cell in cells.items():
        if cell is not None and shown[server] != 1:
            yield server, f"its home {cell} shows it {shown[server]} times"


@checker("one_home")
def check_at_rest(truth: Truth) -> Findings:
    """Ask for one visible record per server, in the mapped cell, as the root has been told of it."""
    working = busy(truth)
    mappings = {mapping.server: mapping for mapping in truth.of_root(Mapping)}
    visible: dict[str, list[str]] = {server: [] for server in mappings}
    for cell, row in located(truth, Server):
        if row.uuid not in mappings and row.uuid not in working:
            yield row.uuid, f"{cell} has a record of it, and it has no mapping"
        elif not row.is_hidden:
            visible.setdefault(row.uuid, []).append(cell)
    for server, mapping in mappings.items():
        if server not in working and visible[server] != [mapping.cell]:
            yield server, f"visible in {' and '.join(visible[server]) or 'no cell'}, mapped to {mapping.cell}"
    yield from _mirrored(truth)


def _mirrored(truth: Truth) -> Findings:
    mirrors = {(mirror.server, mirror.cell): mirror for mirror in truth.of_root(Mirror)}
    devices, told_faults, faults = _by_place(truth)
    for standing in settled(truth):
        home = standing.home
        if home.record.generation != home.mapping.generation:
            yield (
                home.server,
                f"its record is of generation {home.record.generation}, its mapping of {home.mapping.generation}",
            )
        mirror, due = mirrors.get((home.server, home.cell)), mirror_of(home.record, home.cell)
        if mirror is None or attrs.evolve(mirror, devices_since=0) != due:
            yield home.server, f"the root was told {mirror}, its home has {due}"
        yield from _parts(home, devices, told_faults, faults)


def _by_place(
    truth: Truth,
) -> tuple[Placed[MirroredDevice], Placed[MirroredFault], Placed[Fault]]:
    devices, told, faults = Placed[MirroredDevice](list), Placed[MirroredFault](list), Placed[Fault](list)
    for device in truth.of_root(MirroredDevice):
        if not device.is_gone:
            devices[device.server, device.cell].append(device)
    for mirrored in truth.of_root(MirroredFault):
        told[mirrored.server, mirrored.cell].append(mirrored)
    for cell, fault in located(truth, Fault):
        faults[fault.server, cell].append(fault)
    return devices, told, faults


def _parts(
    home: Home, devices: Placed[MirroredDevice], told: Placed[MirroredFault], faults: Placed[Fault]
) -> Findings:  # fmt: skip
    """Ask for the home's block devices and newest faults, as the root has been told of them."""
    place = home.server, home.cell
    heard = {(each.id, each.volume, each.attachment, each.device, each.boot_index) for each in devices[place]}
    has = {(each.id, each.volume, each.attachment, each.device, each.boot_index) for each in home.devices}
    if heard != has:
        yield home.server, f"the root was told of the block devices {sorted(map(str, heard))}, its home has {has}"
    known = {(each.id, each.code, each.message, each.created_at_us) for each in told[place]}
    noted = {(each.id, each.code, each.message, each.created_at_us) for each in newest_faults(faults[place])}
    if known != noted:
        yield home.server, f"the root was told of the faults {known}, its home has {noted}"
