"""Which cells and hosts a simulated cloud has."""

from functools import cached_property
from pathlib import Path
from typing import Final

import attrs

from actors.ops.inventory import host_record
from actors.ops.settings import load_cloud
from protocol.cell_path import CellPath
from protocol.errors import InvalidValue
from protocol.healing import Healing
from protocol.moves.chores import NEVER, Waits
from protocol.moves.crossing import FREELY, Crossing
from protocol.records import CellProfile, Host, Size
from protocol.tree import Edge, Rules

TREE: Final = ("api", "api!eu", "api!eu!eu-1", "api!eu!eu-2", "api!us")
HOSTS: Final = {"api!eu!eu-1": ("h1", "h2"), "api!eu!eu-2": ("h3",), "api!us": ("h4",)}
#: A generated tree: so many children a cell at most, and so large at most.
CHILDREN_MAX: Final = 3
#: What separates a process's name from the number of its replica.
REPLICA: Final = "~"
CELLS_MIN: Final = 2
CELLS_MAX: Final = 200
HOSTS_MAX: Final = 1000


def replica_name(name: str, number: int) -> str:
    """Name a replica of an actor: the first one as the actor itself."""
    return f"{name}{REPLICA}{number}" if number else name


def host_of(name: str, cell: CellPath) -> Host:
    """Make a host of the usual size."""
    return Host(
        name=name, vcpus=16, memory_mb=16_384, disk_gb=200, availability_zone=f"az-{cell.name}",
        bandwidth_kbps=1_000_000,
    )  # fmt: skip


def _cells() -> tuple[CellPath, ...]:
    return tuple(CellPath.parse(text) for text in TREE)


def _hosts() -> dict[str, CellPath]:
    return {name: CellPath.parse(cell) for cell, names in HOSTS.items() for name in names}


@attrs.frozen(kw_only=True)
class Layout:
    """Which cells, hosts and conductors a world has, and what the hosts have to give where it is not the usual."""

    cells: tuple[CellPath, ...] = attrs.field(factory=_cells)
    hosts: dict[str, CellPath] = attrs.field(factory=_hosts)
    records: dict[str, Host] = attrs.field(factory=dict)
    conductors: int = 1  # Replicas that run at once.
    cell_replicas: int = 1  # Of the actor and the link of each cell.
    healing: Healing | None = None  # How the mirror is mended in the background; None: not at all.
    waits: Waits = NEVER  # So long nobody settles a move, or restores what was softly deleted, and it is done.
    report_s: float = 0  # So often hosts tell their cells that they are alive; 0: never.
    usage_s: float = 0  # So often they tell what went over ports.
    audit_s: int = 0  # So long are the periods that cells audit.
    crossing: Crossing = FREELY  # Moves cross, and prefer to, unless told otherwise.
    #: What its cells tell each other of themselves: nothing, for most worlds have better things to do.
    rules: dict[CellPath, Rules] = attrs.field(factory=dict)
    look_s: float = 0.0  # So often a cell's link asks for its neighbours; 0: never.

    @classmethod
    def tree(cls, *, cells: int, hosts: int, conductors: int = 1) -> "Layout":
        """Make a tree of so many cells, three levels deep where it can be, with hosts in all cells but the root."""
        if not CELLS_MIN <= cells <= CELLS_MAX:
            raise InvalidValue(name="cells", value=cells, rule=f"it must be from {CELLS_MIN} to {CELLS_MAX}")
        if not 1 <= hosts <= HOSTS_MAX:
            raise InvalidValue(name="hosts", value=hosts, rule=f"it must be from 1 to {HOSTS_MAX}")
        paths = [CellPath.parse("api")]
        for number in range(1, cells):
            parent = paths[(number - 1) // CHILDREN_MAX]
            paths.append(CellPath.parse(f"{parent}!c{number}"))
        places = paths[1:]
        return cls(
            cells=tuple(paths), hosts={f"h{number + 1}": places[number % len(places)] for number in range(hosts)},
            conductors=conductors,
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> "Layout":
        """Read a cloud's TOML file; raise `SettingsError` for what is wrong in it."""
        cloud = load_cloud(path)
        return cls(
            cells=tuple(cell.path for cell in cloud.cells),
            hosts={host.name: host.cell for host in cloud.hosts},
            conductors=cloud.conductors,
            cell_replicas=max(cell.replicas for cell in cloud.cells),
            waits=cloud.waits,
            crossing=cloud.moves.crossing,
            records={host.name: host_record(cloud, host.name) for host in cloud.hosts},
        )  # fmt: skip

    def advertising(self, *, announce_s: float = 0.0, mute_child_s: int = 0, look_s: float = 0.0) -> "Layout":
        """Make the same, whose cells tell each other of themselves: each that it has hosts, and of servers of 1 GB."""
        rules = {
            cell: Rules(
                profile=CellProfile(
                    cell=str(cell), capabilities={"zone": (cell.name,)} if cell in self.hosts.values() else {},
                    sizes=(Size(memory_mb=1024, disk_mb=10_240),), mute_child_s=mute_child_s,
                ),
                children=tuple(Edge(cell=child) for child in self.children(cell)),
                announce_s=announce_s,
            )
            for cell in self.cells
        }  # fmt: skip
        return attrs.evolve(self, rules=rules, look_s=look_s)

    @property
    def root(self) -> CellPath:
        """The cell that has no parent."""
        return next(cell for cell in self.cells if cell.parent is None)

    @property
    def conductor_names(self) -> tuple[str, ...]:
        """Name the conductor's replicas: the first as its mailbox, each other with its number."""
        return tuple(replica_name("conductor", number) for number in range(self.conductors))

    def replicas(self, role: str) -> tuple[str, ...]:
        """Name the replicas of each cell's `cell` or `link`, first all the first ones."""
        names = (replica_name(role, number) for number in range(self.cell_replicas))
        return tuple(f"{cell}/{name}" for name in names for cell in self.cells)

    def children(self, cell: CellPath) -> tuple[CellPath, ...]:
        """The cells directly below one."""
        return self._below.get(cell, ())

    @cached_property
    def _below(self) -> dict[CellPath, tuple[CellPath, ...]]:
        found: dict[CellPath, list[CellPath]] = {}
        for cell in self.cells:
            if cell.parent is not None:
                found.setdefault(cell.parent, []).append(cell)
        return {parent: tuple(children) for parent, children in found.items()}

    def host_record(self, name: str) -> Host:
        """What a host has to give."""
        return self.records.get(name) or host_of(name, self.hosts[name])
