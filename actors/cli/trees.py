"""A tree of cells in lines and rows: what the file says of it, what the running cells say, and who says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actors.cli.times import US_A_S, shown_span, shown_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.cli.formats import Row
    from actors.ops.settings import Cloud
    from protocol.cell_path import CellPath
    from protocol.messages.capacity import HostUse
    from protocol.messages.tree import CellState, ChildState, LinkState
    from protocol.records import Capabilities, CellFreeze

MB_PER_GB = 1024


@attrs.frozen(kw_only=True)
class Seen:
    """The tree as it was found: how the cells that answered stand, and why others did not."""

    cloud: Cloud
    states: dict[CellPath, CellState] = attrs.field(factory=dict)
    silent: dict[CellPath, str] = attrs.field(factory=dict)
    hosts: dict[str, HostUse] = attrs.field(factory=dict)

    def children(self, path: CellPath) -> tuple[CellPath, ...]:
        """Name the children of a cell: those that it has, and those that only the file names."""
        state = self.states.get(path)
        live = tuple(child.cell for child in state.children) if state else ()
        return tuple(dict.fromkeys((*live, *self.cloud.children(path))))

    def as_child(self, path: CellPath) -> ChildState | None:
        """Give what a cell's parent knows of it, if that answered."""
        above = self.states.get(path.parent) if path.parent else None
        return next((child for child in above.children if child.cell == path), None) if above else None

    def link(self, path: CellPath, to: CellPath | None) -> LinkState | None:
        """Give how a cell's link to a neighbour stands, if the cell has said so."""
        state = self.states.get(path)
        links = (state.links or ()) if state else ()
        return next((link for link in links if link.cell == to), None)

    def link_trouble(self, path: CellPath) -> str | None:
        """Tell why nothing gets to a cell from its parent, or from it to there."""
        parent = path.parent
        down, up = (self.link(parent, path) if parent else None), self.link(path, parent)
        if down is not None and down.down_s is not None:
            return f"link {link_words(down)}"
        return f"link to {parent} {link_words(up)}" if up is not None and up.down_s is not None else None

    def trouble(self, path: CellPath) -> str | None:
        """Tell what is wrong with a cell, as far as it can be told."""
        if (link := self.link_trouble(path)) is not None:
            return link
        if path in self.silent:
            return f"no answer: {self.silent[path]}"
        if path in self.states:
            return None
        if path.parent in self.states and self.as_child(path) is None:
            return "not part of the running tree"
        return "hidden: a cell above it does not answer"

    def hosts_of(self, path: CellPath) -> tuple[str, ...]:
        """Name a cell's hosts: those of the file, then those that only the cell knows."""
        of_file = [host.name for host in self.cloud.hosts if host.cell == path]
        known = [use.host for use in self.hosts.values() if use.cell == str(path)]
        return tuple(dict.fromkeys((*of_file, *known)))


def link_words(link: LinkState) -> str:
    """Tell how a link stands: up, or down since when and why."""
    return "up" if link.down_s is None else f"down for {shown_span(int(link.down_s * US_A_S))}: {link.reason}"


# --- for people --------------------------------------------------------------------------------------------


def drawn(seen: Seen) -> Iterator[str]:
    """Draw the tree from the root down, a line a cell and a host."""
    root = seen.cloud.root
    yield f"{root}{_notes(seen, root)}"
    yield from _below(seen, root, indent="")


def _below(seen: Seen, path: CellPath, *, indent: str) -> Iterator[str]:
    hosts, children = seen.hosts_of(path), seen.children(path)
    for place, name in enumerate(hosts):
        is_last = not children and place == len(hosts) - 1
        yield f"{indent}{'└── ' if is_last else '├── '}{_host(seen.hosts.get(name), name)}"
    for place, child in enumerate(children):
        is_last = place == len(children) - 1
        yield f"{indent}{'└── ' if is_last else '├── '}{child.name}{_notes(seen, child)}"
        yield from _below(seen, child, indent=indent + ("    " if is_last else "│   "))


def _notes(seen: Seen, path: CellPath) -> str:
    state, child = seen.states.get(path), seen.as_child(path)
    notes = []
    if child is not None:
        heard = "never heard" if child.silent_s is None else f"heard {child.silent_s:.0f} s ago"
        notes.append(f"MUTE, {heard}" if child.is_mute else heard)
    if state is not None:
        notes.extend([frozen(state.freeze)] if state.freeze else [])
        free = state.capacities
        notes.append(f"{free.ram_free.total_mb} MB and {free.disk_free.total_mb // MB_PER_GB} GB free")
        notes.extend([_words(state.own_capabilities)] if state.own_capabilities else [])
    if (trouble := seen.trouble(path)) is not None:
        notes.append(trouble)
    return f": {', '.join(notes)}" if notes else ""


def frozen(freeze: CellFreeze) -> str:
    """Mark a cell that is frozen."""
    return f"FROZEN ({freeze.reason})" if freeze.reason else "FROZEN"


def _words(capabilities: Capabilities) -> str:
    return " ".join(f"{name}={';'.join(values)}" for name, values in capabilities.items())


def _host(use: HostUse | None, name: str) -> str:
    if use is None:
        return f"host {name}: not announced"
    return f"host {name}: {use.servers} server(s), {use.memory_mb_used} of {use.memory_mb} MB"


# --- for programs ------------------------------------------------------------------------------------------


def rows_of(seen: Seen) -> list[Row]:
    """Make a row for each cell, parents before children."""
    rows: list[Row] = []
    waiting = [seen.cloud.root]
    while waiting:
        path = waiting.pop(0)
        rows.append(_row(seen, path))
        waiting[:0] = seen.children(path)
    return rows


def _row(seen: Seen, path: CellPath) -> Row:
    state, child = seen.states.get(path), seen.as_child(path)
    link = seen.link(path.parent, path) if path.parent else None
    return {
        "cell": str(path),
        "parent": str(path.parent) if path.parent else None,
        "heard": None if child is None or child.silent_s is None else round(child.silent_s, 1),
        "mute": child.is_mute if child else None,
        "frozen": state.freeze is not None if state else None,
        "frozen_for": state.freeze.reason or None if state and state.freeze else None,
        "memory_mb_free": state.capacities.ram_free.total_mb if state else None,
        "disk_mb_free": state.capacities.disk_free.total_mb if state else None,
        "hosts": len(seen.hosts_of(path)),
        "capabilities": _words(state.own_capabilities) if state else None,
        "weight_offset": child.weight_offset if child else None,
        "weight_scale": child.weight_scale if child else None,
        "link_down_s": _rounded(link.down_s) if link else None,
        "trouble": seen.trouble(path),
    }


def _freeze(freeze: CellFreeze | None) -> Row:
    return {
        "frozen": freeze is not None,
        "frozen_for": freeze.reason or None if freeze else None,
        "frozen_by": freeze.user or None if freeze else None,
        "frozen_since": shown_time(freeze.since_us) if freeze else None,
    }


def fields_of(state: CellState, *, is_short: bool = True) -> Row:
    """Show a cell's own answer: numbers, how many servers of each memory size fit, and how its links stand."""
    row: dict[str, Any] = {
        "cell": str(state.cell),
        "parent": str(state.parent) if state.parent else None,
        **_freeze(state.freeze),
        "own_capabilities": _words(state.own_capabilities),
        "capabilities": _words(state.capabilities),
    }
    for called, capacities in (("own_", state.own_capacities), ("", state.capacities)):
        row[f"{called}memory_mb_free"] = capacities.ram_free.total_mb
        row[f"{called}disk_mb_free"] = capacities.disk_free.total_mb
        row[f"{called}fits"] = " ".join(f"{size}MB:{count}" for size, count in capacities.ram_free.units_by_mb.items())
    row["children"] = " ".join(f"{child.cell.name}{' (mute)' if child.is_mute else ''}" for child in state.children)
    row["links"] = _links(state, is_short=is_short)
    return row


def _links(state: CellState, *, is_short: bool) -> Any:
    """Tell of each link, to programs by its values; nothing when the cell does not know."""
    if state.links is None:
        return "not known: the cell's link does not answer" if is_short else None
    if is_short:
        return "; ".join(f"{link.cell} {link_words(link)}" for link in state.links)
    return [
        {"cell": str(link.cell), "is_up": link.down_s is None, "down_s": _rounded(link.down_s), "reason": link.reason}
        for link in state.links
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
