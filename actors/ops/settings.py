"""The cloud as its TOML file describes it: read, checked as a whole, and refused with the path of what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from actors.ops import checks
from actors.ops.checks import SettingsError
from actors.ops.declared import Setting, about, settings_of
from actors.ops.healing import BY_DEFAULT, MirrorSettings
from actors.ops.links import DeploymentSettings, LinkSettings, link_faults
from actors.ops.reading import read_table
from actors.ops.reclaiming import KEPT, ServersSettings
from actors.ops.sections import (
    DRIVERS,
    MOVES,
    REPORTS,
    SCHEDULER,
    TREE,
    CellSettings,
    HostSettings,
    ImageSettings,
    MovesSettings,
    ReportsSettings,
    SchedulerSettings,
    TreeSettings,
    VolumeSettings,
)
from actors.ops.sources import Sources, parse_toml, read_sources
from actors.ops.upgrading import NOT_PINNED, UpgradeSettings
from actors.ops.watching import NO_HTTP, USUAL_LOG, HttpSettings, LogSettings
from protocol.cell_path import CellPath
from protocol.moves.chores import Waits
from protocol.moves.crossing import Crossing
from protocol.records import Flavor
from protocol.saga import NO_RETRIES, Retries

Check: TypeAlias = "Callable[..., Iterator[SettingsError]]"

CELLS_MAX: Final = 1_000
HOSTS_MAX: Final = 10_000
OTHERS_MAX: Final = 1_000
#: How many entries the lists of a file may have.
LIMITS: Final[Mapping[str, int]] = {
    "cells": CELLS_MAX, "hosts": HOSTS_MAX, "flavors": OTHERS_MAX, "images": OTHERS_MAX, "volumes": OTHERS_MAX,
}  # fmt: skip
#: Cells with hosts that it takes before anything can be ferried.
HOST_CELLS_MIN: Final = 2
CONDUCTORS_MAX: Final = 16


@attrs.frozen(kw_only=True)
class Cloud:
    """Everything that a deployment is made of.  Valid from birth: what does not fit together raises `SettingsError`."""

    cells: tuple[CellSettings, ...]
    hosts: tuple[HostSettings, ...]
    flavors: tuple[Flavor, ...]
    images: tuple[ImageSettings, ...] = ()
    volumes: tuple[VolumeSettings, ...] = ()
    conductors: int = attrs.field(
        default=1, validator=checks.amount(CONDUCTORS_MAX),
        metadata=about("So many replicas of the conductor run at once."),
    )  # fmt: skip
    driver: str = attrs.field(
        default=DRIVERS[0], validator=checks.OneOf(DRIVERS, "drivers"),
        metadata=about("What runs guests: real processes with real disks, or a model of them in memory."),
    )  # fmt: skip
    links: tuple[LinkSettings, ...] = ()
    moves: MovesSettings = MOVES
    servers: ServersSettings = KEPT
    tree: TreeSettings = TREE
    scheduler: SchedulerSettings = SCHEDULER
    reports: ReportsSettings = REPORTS
    mirror: MirrorSettings = BY_DEFAULT
    log: LogSettings = USUAL_LOG
    http: HttpSettings = NO_HTTP
    upgrade: UpgradeSettings = NOT_PINNED
    deployment: DeploymentSettings | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what does not fit together."""
        for fault in faults({field.name: getattr(self, field.name) for field in attrs.fields(Cloud)}):
            raise fault

    @property
    def waits(self) -> Waits:
        """What is done by itself, and after how long."""
        return Waits(confirm_after_s=self.moves.confirm_after_s, reclaim_after_s=self.servers.reclaim_after_s)

    @property
    def crossing(self) -> Crossing:
        """What is decided about where servers go."""
        scheduler = self.scheduler
        # Without a pause there is nothing to wait for: as in Nova, it is a second at least.
        retries = Retries(times=scheduler.retries, pause_s=float(max(1, scheduler.retry_delay_s)))
        return attrs.evolve(
            self.moves.crossing, is_scheduled=scheduler.enabled, retries=retries if scheduler.enabled else NO_RETRIES
        )

    @property
    def root(self) -> CellPath:
        """The cell that users talk to."""
        return self.cells[0].path.root

    def cell(self, path: CellPath) -> CellSettings:
        """Give the settings of a cell."""
        return next(cell for cell in self.cells if cell.path == path)

    def host(self, name: str) -> HostSettings:
        """Give the settings of a host."""
        return next(host for host in self.hosts if host.name == name)

    def children(self, path: CellPath) -> tuple[CellPath, ...]:
        """Name the children of a cell, in the order of the file."""
        return tuple(cell.path for cell in self.cells if cell.path.parent == path)

    def neighbours(self, path: CellPath) -> tuple[CellPath, ...]:
        """Name the cells over one edge of a cell: its parent first."""
        children = self.children(path)
        return children if path.parent is None else (path.parent, *children)

    def link(self, source: CellPath, target: CellPath) -> str | None:
        """Give the URL by which one cell's link reaches a neighbour's broker, where one is given."""
        return next((link.broker for link in self.links if (link.source, link.target) == (source, target)), None)

    def hosts_of(self, path: CellPath) -> tuple[HostSettings, ...]:
        """Give the hosts of a cell, in the order of the file."""
        return tuple(host for host in self.hosts if host.cell == path)


# --- what fits together ------------------------------------------------------------------------------------


def faults(values: Mapping[str, Any]) -> Iterator[SettingsError]:
    """List what does not fit together in these fields of a cloud; those that are no good by themselves are left out."""
    for needed, check in CHECKS:
        if all(name in values for name in needed):
            yield from check(*(values[name] for name in needed))


def _sizes(most: int, kind: str) -> Check:
    def check(entries: Sequence[object]) -> Iterator[SettingsError]:
        if len(entries) > most:
            yield SettingsError(where=kind, what=f"at most {most} of them, and there are {len(entries)}")

    return check


def _tree(cells: Sequence[CellSettings]) -> Iterator[SettingsError]:
    paths = [cell.path for cell in cells]
    yield from _twice("cells", "path", [str(path) for path in paths])
    roots = [path for path in paths if path.parent is None]
    if not roots:
        yield SettingsError(where="cells", what="there is no root; add a cell whose path is a single name, like api")
        return
    for index, path in enumerate(paths):
        where = f"cells[{index}].path"
        if path.parent is None and path != roots[0]:
            yield SettingsError(where=where, what=f"{path} is a second root beside {roots[0]}; a cloud has one")
        if path.parent is not None and path.parent not in paths:
            yield SettingsError(where=where, what=f"{path} has no parent; add the cell {path.parent}")


def _names(kind: str) -> Check:
    def check(entries: Sequence[Any]) -> Iterator[SettingsError]:
        yield from _twice(kind, "name", [entry.name for entry in entries])

    return check


def _twice(kind: str, field: str, names: list[str]) -> Iterator[SettingsError]:
    for name, count in Counter(names).items():
        if count > 1:
            first, second = [index for index, other in enumerate(names) if other == name][:2]
            what = f"{name} is there already, as {kind}[{first}]; rename or remove one"
            yield SettingsError(where=f"{kind}[{second}].{field}", what=what)


def _hosts(cells: Sequence[CellSettings], hosts: Sequence[HostSettings]) -> Iterator[SettingsError]:
    paths = [cell.path for cell in cells]
    for index, host in enumerate(hosts):
        if host.cell not in paths:
            what = f"there is no cell {host.cell}; {checks.advice(str(host.cell), map(str, paths), of='cells')}"
            yield SettingsError(where=f"hosts[{index}].cell", what=what)
    with_hosts = {host.cell for host in hosts}
    if len(with_hosts) < HOST_CELLS_MIN:
        what = f"hosts are in {len(with_hosts)} cell(s), and ferrying needs {HOST_CELLS_MIN}; add one in another cell"
        yield SettingsError(where="hosts", what=what)


def _links(cells: Sequence[CellSettings], joined: Sequence[LinkSettings]) -> Iterator[SettingsError]:
    yield from _twice("links", "target", [f"{link.source} to {link.target}" for link in joined])
    yield from link_faults(joined, [cell.path for cell in cells])


def _flavors(flavors: Sequence[Flavor]) -> Iterator[SettingsError]:
    for index, flavor in enumerate(flavors):
        for resource in ("vcpus", "memory_mb", "disk_gb", "ephemeral_gb", "swap_mb"):
            least = 0 if resource in {"ephemeral_gb", "swap_mb"} else 1
            amount = getattr(flavor, resource)
            if amount or least:
                try:
                    checks.check_amount(f"flavors[{index}].{resource}", amount)
                except SettingsError as fault:
                    yield fault


#: What is looked at, given which fields, in which order.
CHECKS: Final[tuple[tuple[tuple[str, ...], Check], ...]] = (
    *(((kind,), _sizes(most, kind)) for kind, most in LIMITS.items()),
    (("cells",), _tree),
    *(((kind,), _names(kind)) for kind in ("hosts", "flavors", "images", "volumes")),
    (("cells", "hosts"), _hosts),
    (("cells", "links"), _links),
    (("flavors",), _flavors),
)


# --- reading -----------------------------------------------------------------------------------------------


@cache
def declared() -> tuple[Setting, ...]:
    """List every setting and every table that a file may have."""
    return tuple(settings_of(Cloud))


@attrs.frozen(kw_only=True)
class Reading:
    """What came of reading a file: a cloud, or what is wrong; and where each value is from."""

    cloud: Cloud | None
    problems: tuple[SettingsError, ...]
    sources: Sources


def examine(
    path: Path, *, variables: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> Reading:  # fmt: skip
    """Read a file, with these environment variables over it (the file alone, when None) and these options over them.

    Raises `SettingsError` only where a file cannot be read at all, or is no TOML.
    """
    sources = read_sources(path, declared(), variables=variables or {}, options=options)
    made = read_table(sources.table, Cloud, faults)
    problems = [*sources.problems]
    if not isinstance(made, Cloud):
        problems.extend(sources.placed(problem) for problem in made)
    return Reading(
        cloud=made if isinstance(made, Cloud) and not problems else None, problems=tuple(problems), sources=sources
    )


def load_cloud(
    path: Path, *, variables: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> Cloud:  # fmt: skip
    """Read a cloud's TOML file like `examine`; raise `SettingsError` that names the file and the path of the first."""
    reading = examine(path, variables=variables, options=options)
    if reading.cloud is None:
        raise _first(reading.problems)
    return reading.cloud


def parse_cloud(content: bytes) -> Cloud:
    """Make a cloud of TOML text alone; raise `SettingsError`."""
    made = read_table(parse_toml(content), Cloud, faults)
    if isinstance(made, Cloud):
        return made
    raise _first(made)


def _first(problems: Sequence[SettingsError]) -> SettingsError:
    first, *others = problems
    more = f" (and {len(others)} more; see all: cellferry config check)" if others else ""
    return SettingsError(where=first.where, what=f"{first.what}{more}")
