"""Which cells and hosts a simulated cloud has."""

from pathlib import Path
from typing import Final

import attrs

from actors.ops.inventory import host_record
from actors.ops.settings import load_cloud
from protocol.cell_path import CellPath
from protocol.errors import InvalidValue
from protocol.moves.crossing import FREELY, Crossing
from protocol.records import Host

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
    confirm_after_s: int = 0  # So long after it is done a move is confirmed that nobody has settled; 0: never.
    crossing: Crossing = FREELY  # Moves cross, and prefer to, unless told otherwise.

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
            confirm_after_s=cloud.moves.confirm_after_s,
            crossing=cloud.moves.crossing,
            records={host.name: host_record(cloud, host.name) for host in cloud.hosts},
        )  # fmt: skip

    @property
    def root(self) -> CellPath:
        """The cell that has no parent."""
        return next(cell for cell in self.cells if cell.parent is None)

    @property
    def conductor_names(self) -> tuple[str, ...]:
        """Name the conductor's replicas: the first as its mailbox, each other with its number."""
        return tuple(replica_name("conductor", number) for number in range(self.conductors))

    def children(self, cell: CellPath) -> tuple[CellPath, ...]:
        """The cells directly below one."""
        return tuple(other for other in self.cells if other.parent == cell)

    def host_record(self, name: str) -> Host:
        """What a host has to give."""
        return self.records.get(name) or host_of(name, self.hosts[name])
