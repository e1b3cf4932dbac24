"""Which process a name means that a person writes, and which of them speak with each other directly."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import attrs

from protocol.cell_path import CellPath, host_mailbox
from protocol.errors import CellferryError, InvalidValue
from sim.cases.layout import Layout
from sim.cases.places import crash_points, link_of, process_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def actor_of(layout: Layout, name: str) -> str:
    """Find the process of an actor: `h1`, `image`, `conductor`, `api!eu` (its cell actor), or a full process name."""
    root, processes = layout.root, process_names(layout)
    if name in layout.hosts:
        return f"{layout.hosts[name]}/{host_mailbox(name)}"
    for process in (name, f"{root}/{name}", f"{name}/cell"):
        if process in processes:
            return process
    return one_of("actor", name, (*layout.hosts, "image", "volume", "network", "conductor", *processes))


def end_of(layout: Layout, name: str) -> str:
    """Find the process at one end of a link: as `actor_of`, but a cell's path means what speaks with its neighbours."""
    return link_of(CellPath.parse(name)) if _is_cell(layout, name) else actor_of(layout, name)


def link_between(layout: Layout, one: str, other: str) -> tuple[str, str]:
    """Find two processes that speak with each other directly; refuse two that never do."""
    first, second = end_of(layout, one), end_of(layout, other)
    if not _is_link(first, second):
        rule = "only neighbouring cells, and actors of one cell, speak directly; name each hop that you mean"
        raise InvalidValue(name="link", value=f"{one} to {other}", rule=rule)
    return first, second


def cell_of(layout: Layout, name: str) -> CellPath:
    """Find a cell by its path."""
    return CellPath.parse(one_of("cell", name, map(str, layout.cells)))


def point_named(text: str) -> str:
    """Check the name of a point that conversations pass."""
    return one_of("point", text, crash_points())


def _is_cell(layout: Layout, name: str) -> bool:
    try:
        return CellPath.parse(name) in layout.cells
    except CellferryError:
        return False


def _is_link(first: str, second: str) -> bool:
    (one, role), (other, other_role) = _parts(first), _parts(second)
    if one == other:
        return role != other_role
    return role == other_role == "link" and one.is_neighbour(other)


def _parts(process: str) -> tuple[CellPath, str]:
    cell, _, role = process.partition("/")
    return CellPath.parse(cell), role


def one_of(kind: str, name: str, known: Iterable[str]) -> str:
    """Check that a name is known; else say which ones are that are like it."""
    names = tuple(dict.fromkeys(known))
    if name in names:
        return name
    close = get_close_matches(name, names, n=5, cutoff=0.5) or names[:8]
    raise InvalidValue(name=kind, value=name, rule=f"there is none of that name; there is {', '.join(close)}")


def cloud(
    *, cells: int | Iterable[str], hosts: int | Mapping[str, str], memory_mb: Mapping[str, int], file: Path | None
) -> Layout:
    """Make a layout: from a TOML file, from numbers, or from the paths of cells and the cell of each host."""
    if file is not None:
        layout = Layout.load(file)
    elif isinstance(hosts, int):
        if not isinstance(cells, int):
            raise InvalidValue(name="hosts", value=hosts, rule="where cells are named, say in which cell each host is")
        layout = Layout.tree(cells=cells, hosts=hosts)
    else:
        named = () if isinstance(cells, int) else tuple(cells)
        layout = _named(named, {name: CellPath.parse(cell) for name, cell in hosts.items()})
    records = {
        name: attrs.evolve(layout.host_record(one_of("host", name, layout.hosts)), memory_mb=size)
        for name, size in memory_mb.items()
    }
    return attrs.evolve(layout, records={**layout.records, **records})


def _named(cells: tuple[str, ...], hosts: dict[str, CellPath]) -> Layout:
    found: dict[CellPath, None] = {}
    for path in (*map(CellPath.parse, cells), *hosts.values()):
        above: CellPath | None = path
        line = []
        while above is not None:
            line.append(above)
            above = above.parent
        found |= dict.fromkeys(reversed(line))
    roots = [path for path in found if path.parent is None]
    if len(roots) != 1:
        raise InvalidValue(name="cells", value=", ".join(map(str, roots)), rule="there is one root")
    return Layout(cells=tuple(found), hosts=hosts)
