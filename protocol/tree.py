"""The state of the tree as one cell knows it: what it has itself, what its children told, and what it tells its parent.

Pure: rows and the time come in.  Who may be chosen for a server is the affair of `protocol.scheduling`.
"""

from collections.abc import Iterable
from typing import Final

import attrs

from protocol.cell_path import CellPath
from protocol.draft import Changes
from protocol.errors import UnknownCell
from protocol.records import Allocation, Host, Service
from protocol.records.base import Flavor
from protocol.records.tree import Amounts, Capabilities, Capacities, CellFreeze, CellProfile, Neighbour, Size

US_PER_S: Final = 1_000_000
MB_PER_GB: Final = 1024
WHOLE_PERCENT: Final = 100


# --- what the settings say ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Edge:
    """A child as the settings name it."""

    cell: CellPath
    weight_offset: float = 0.0
    weight_scale: float = 1.0


@attrs.frozen(kw_only=True)
class Rules:
    """What a cell is told of its place in the tree as it starts."""

    profile: CellProfile
    children: tuple[Edge, ...] = ()
    announce_s: float = 0.0  # So often it tells its parent what it has; 0: only when something has changed.


def sizes_of(flavors: Iterable[Flavor]) -> tuple[Size, ...]:
    """List the sizes that free room is counted in, each once."""
    sizes = (
        Size(memory_mb=flavor.memory_mb, disk_mb=(flavor.disk_gb + flavor.ephemeral_gb) * MB_PER_GB)
        for flavor in flavors
    )
    return tuple(dict.fromkeys(sizes))


def configure(rules: Rules, known: Iterable[Neighbour], *, now_us: int) -> Changes:
    """Take over what the settings say; what operators have changed in the running deployment stands."""
    here = CellPath.parse(rules.profile.cell)
    rows = {row.cell: row for row in known}
    named: dict[str, Neighbour] = {}
    if here.parent is not None:
        parent = str(here.parent)
        # Even one that has let this cell go: it may have taken it back meanwhile, and else does not listen.
        named[parent] = Neighbour(cell=parent, is_parent=True, is_of_file=True)
    for place, edge in enumerate(rules.children):
        named[str(edge.cell)] = _as_named(rows.get(str(edge.cell)), edge, place)
    kept = {cell: row for cell, row in rows.items() if not row.is_of_file and cell not in named}
    return Changes(
        # Whoever has just started has heard nobody while it was away: that is no silence of theirs.
        puts=(
            attrs.evolve(rules.profile, started_us=now_us),
            *(attrs.evolve(row, since_us=now_us) for row in (*named.values(), *kept.values())),
        ),
        drops=tuple(row for cell, row in rows.items() if cell not in named and cell not in kept),
    )


def _as_named(row: Neighbour | None, edge: Edge, place: int) -> Neighbour:
    row = attrs.evolve(row or Neighbour(cell=str(edge.cell)), is_of_file=True, place=place)
    if row.is_reweighed:
        return row
    return attrs.evolve(row, weight_offset=edge.weight_offset, weight_scale=edge.weight_scale)


# --- neighbours --------------------------------------------------------------------------------------------


def children_of(rows: Iterable[Neighbour]) -> tuple[Neighbour, ...]:
    """List the children, in the order in which the settings name them; those that were added later come last."""
    children = [row for row in rows if not row.is_parent and not row.is_removed]
    return tuple(sorted(children, key=lambda row: (row.place, row.cell)))


def parent_of(here: CellPath, rows: Iterable[Neighbour]) -> CellPath | None:
    """Give the parent, unless there is none, or it has let this cell go."""
    is_let_go = any(row.is_parent and row.is_removed for row in rows)
    return None if is_let_go else here.parent


def silence_us(row: Neighbour, *, now_us: int) -> int:
    """Tell for how long nothing was heard of a neighbour, by this cell's own clock."""
    return max(0, now_us - max(row.last_seen_us or 0, row.since_us))


def is_mute(row: Neighbour, *, mute_child_s: int, now_us: int) -> bool:
    """Tell whether a neighbour was silent for too long.  The whole difference counts, however many days it is."""
    return mute_child_s > 0 and silence_us(row, now_us=now_us) > mute_child_s * US_PER_S


def down_hosts(profile: CellProfile | None, services: Iterable[Service], *, now_us: int) -> frozenset[str]:
    """Name the hosts whose services told that they are alive, and then no more for too long."""
    if profile is None or not profile.down_host_s:
        return frozenset()
    since_us = now_us - profile.down_host_s * US_PER_S
    # One that was heard once has only announced itself: it may be told to report nothing more.
    return frozenset(
        row.host for row in services if row.report_count > 1 and max(row.last_seen_us, profile.started_us) < since_us
    )


# --- what a cell has itself --------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class HostFree:
    """One host's memory and disk: all of it, and what is free."""

    memory_mb: int
    memory_mb_free: int
    disk_mb: int
    disk_mb_free: int


def free_of(hosts: Iterable[Host], allocations: Iterable[Allocation], *, down: frozenset[str]) -> tuple[HostFree, ...]:
    """Tell what is free on each host that takes servers: it is enabled, and none of those that are down."""
    used: dict[str, tuple[int, int]] = {}
    for row in allocations:
        memory_mb, disk_gb = used.get(row.host, (0, 0))
        used[row.host] = memory_mb + row.memory_mb, disk_gb + row.disk_gb
    free = []
    for host in hosts:
        if host.is_enabled and host.name not in down:
            memory_mb, disk_gb = used.get(host.name, (0, 0))
            free.append(
                HostFree(
                    memory_mb=host.memory_mb, memory_mb_free=host.memory_mb - memory_mb,
                    disk_mb=host.disk_gb * MB_PER_GB, disk_mb_free=(host.disk_gb - disk_gb) * MB_PER_GB,
                )
            )  # fmt: skip
    return tuple(free)


def own_capacities(hosts: Iterable[HostFree], sizes: Iterable[Size], *, reserve_percent: float) -> Capacities:
    """Add up what hosts have left; the reserve lowers how many servers that is, and not the totals."""
    hosts, sizes = tuple(hosts), tuple(sizes)
    memory = tuple((host.memory_mb, host.memory_mb_free) for host in hosts)
    disk = tuple((host.disk_mb, host.disk_mb_free) for host in hosts)
    return Capacities(
        ram_free=_amounts(memory, (size.memory_mb for size in sizes), reserve_percent),
        disk_free=_amounts(disk, (size.disk_mb for size in sizes), reserve_percent),
    )


def _amounts(pairs: tuple[tuple[int, int], ...], sizes: Iterable[int], reserve_percent: float) -> Amounts:
    return Amounts(
        # A host that has given more than it has takes nothing from what others have.
        total_mb=sum(max(0, free) for _, free in pairs),
        units_by_mb={
            str(size): sum(_units(free, total, size, reserve_percent) for total, free in pairs)
            for size in dict.fromkeys(sizes)
        },
    )


def _units(free: int, total: int, size: int, reserve_percent: float) -> int:
    if size <= 0:
        return 0
    return int(max(0.0, free - total * reserve_percent / WHOLE_PERCENT) // size)


# --- together ----------------------------------------------------------------------------------------------


def joined(each: Iterable[Capabilities]) -> Capabilities:
    """Join capabilities: each name has the values that it has in any."""
    together: dict[str, set[str]] = {}
    for capabilities in each:
        for name, values in capabilities.items():
            together.setdefault(name, set()).update(values)
    return {name: tuple(sorted(values)) for name, values in sorted(together.items())}


def added(each: Iterable[Capacities]) -> Capacities:
    """Add capacities up, size by size."""
    all_of_them = tuple(each)
    return Capacities(
        ram_free=_added(capacities.ram_free for capacities in all_of_them),
        disk_free=_added(capacities.disk_free for capacities in all_of_them),
    )


def _added(each: Iterable[Amounts]) -> Amounts:
    total_mb = 0
    units: dict[str, int] = {}
    for amounts in each:
        total_mb += amounts.total_mb
        for size, count in amounts.units_by_mb.items():
            units[size] = units.get(size, 0) + count
    return Amounts(total_mb=total_mb, units_by_mb=units)


@attrs.frozen(kw_only=True)
class View:
    """What one cell knows at one time."""

    here: CellPath
    parent: CellPath | None
    own_capabilities: Capabilities
    own_capacities: Capacities
    children: tuple[Neighbour, ...]
    mute: frozenset[str]
    freeze: CellFreeze | None = None
    now_us: int

    def heard(self) -> tuple[Neighbour, ...]:
        """List the children that are not mute."""
        return tuple(row for row in self.children if row.cell not in self.mute)

    def capabilities(self) -> Capabilities:
        """Join what this cell can do with what its children told, those left out that are mute."""
        return joined((self.own_capabilities, *(row.capabilities for row in self.heard())))

    def capacities(self) -> Capacities:
        """Add up what this cell has with what its children told.

        Otherwise than Nova, mute children are left out here, too: nobody can be sent where nobody answers, and room
        that is not there for its parent is none for those above it either.
        """
        return added((self.own_capacities, *(row.capacities for row in self.heard())))

    def capabilities_of(self, cell: CellPath | None = None) -> Capabilities:
        """Give what a child has told; of this cell (or none): of all of it together.  No other cell is known here."""
        return self.capabilities() if cell in {None, self.here} else self._child(cell).capabilities

    def capacities_of(self, cell: CellPath | None = None) -> Capacities:
        """Give what a child has told; of this cell (or none): of all of it together.  No other cell is known here."""
        return self.capacities() if cell in {None, self.here} else self._child(cell).capacities

    def _child(self, cell: CellPath | None) -> Neighbour:
        for row in self.children:
            if row.cell == str(cell):
                return row
        raise UnknownCell(cell=str(cell), at=str(self.here))


def view(
    here: CellPath, profile: CellProfile | None, neighbours: Iterable[Neighbour], hosts: tuple[HostFree, ...], *,
    freeze: CellFreeze | None = None, now_us: int,
) -> View:  # fmt: skip
    """Put together what a cell knows."""
    profile, rows = profile or CellProfile(cell=str(here)), tuple(neighbours)
    children = children_of(rows)
    return View(
        here=here,
        parent=parent_of(here, rows),
        own_capabilities=profile.capabilities,
        own_capacities=own_capacities(hosts, profile.sizes, reserve_percent=profile.reserve_percent),
        children=children,
        mute=frozenset(row.cell for row in children if is_mute(row, mute_child_s=profile.mute_child_s, now_us=now_us)),
        freeze=freeze,
        now_us=now_us,
    )
