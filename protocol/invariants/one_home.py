"""One home: each live server is shown once, by the cell that its mapping names."""

from collections import Counter

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import Home, busy, located, settled
from protocol.records import Mapping, Mirror, Server
from protocol.truth import Truth


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
    for standing in settled(truth):
        home = standing.home
        if home.record.generation != home.mapping.generation:
            yield (
                home.server,
                f"its record is of generation {home.record.generation}, its mapping of {home.mapping.generation}",
            )
        mirror = mirrors.get((home.server, home.cell))
        if mirror != _told(home):
            yield home.server, f"the root was told {mirror}, its home has {_told(home)}"


def _told(home: Home) -> Mirror:
    record = home.record
    return Mirror(
        server=record.uuid,
        cell=home.cell,
        generation=record.generation,
        version=record.version,
        name=record.name,
        vm_state=record.vm_state,
        task_state=record.task_state,
        power_state=record.power_state,
        host=record.host,
        flavor=record.flavor.name,
    )
