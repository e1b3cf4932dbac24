"""The cloud as its TOML file describes it: read, checked as a whole, and refused with the path of what is wrong."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote, ForbiddenExtraKeysError, IterableValidationNote

from actors.ops import checks, links
from actors.ops.checks import SettingsError
from actors.ops.healing import BY_DEFAULT, MirrorSettings
from actors.ops.links import DeploymentSettings, LinkSettings, check_links
from actors.ops.reclaiming import KEPT, ServersSettings
from actors.ops.watching import NO_HTTP, USUAL_LOG, HttpSettings, LogSettings
from protocol.cell_path import CellPath
from protocol.errors import InvalidName
from protocol.messages.orders import BANDWIDTH_KBPS_MAX
from protocol.moves.chores import Waits
from protocol.moves.crossing import Crossers, Crossing
from protocol.records import Flavor
from protocol.saga import ATTEMPTS_MAX, NO_RETRIES, Retries
from protocol.scheduling import FILTERS

T = TypeVar("T")

CELLS_MAX: Final = 1_000
HOSTS_MAX: Final = 10_000
OTHERS_MAX: Final = 1_000
#: Cells with hosts that it takes before anything can be ferried.
HOST_CELLS_MIN: Final = 2
CONDUCTORS_MAX: Final = 16
REPLICAS_MAX: Final = 16
IMAGE_BYTES_MAX: Final = 2**40
FILE_BYTES_MAX: Final = 16 * 1024 * 1024
UNKNOWN: Final = "unknown key"
BROKERS: Final = links.BROKERS
STORES: Final = links.STORES
#: What runs guests: real processes with real disks, or a model of them in memory.
DRIVERS: Final = ("process", "memory")
CROSSERS: Final = tuple(each.value for each in Crossers)


def _driver(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    if text not in DRIVERS:
        raise SettingsError(where=field.name, what=f"{text!r} is none; {checks.advice(text, DRIVERS, of='drivers')}")


@attrs.frozen(kw_only=True)
class CellSettings:
    """A cell; its broker and store where they are not those of the whole cloud."""

    path: CellPath
    availability_zone: str = ""
    #: What its hosts can do, by name: the values that it has.
    capabilities: dict[str, tuple[str, ...]] = attrs.field(factory=dict, validator=checks.capabilities, hash=False)
    #: What the choice of a cell adds for it, and by what it multiplies the room that it has.
    weight_offset: float = attrs.field(default=0.0, validator=checks.number)
    weight_scale: float = attrs.field(default=1.0, validator=checks.number)
    broker: str | None = attrs.field(default=None, validator=checks.url(BROKERS), repr=False)
    store: str | None = attrs.field(default=None, validator=checks.url(STORES), repr=False)
    #: How many of its actor and link share the work.
    replicas: int = attrs.field(default=1, validator=checks.amount(REPLICAS_MAX))


@attrs.frozen(kw_only=True)
class HostSettings:
    """A compute host and what it has to give."""

    name: str = attrs.field(validator=checks.name)
    cell: CellPath
    vcpus: int = attrs.field(validator=checks.amount(checks.AMOUNT_MAX))
    memory_mb: int = attrs.field(validator=checks.amount(checks.AMOUNT_MAX))
    disk_gb: int = attrs.field(validator=checks.amount(checks.AMOUNT_MAX))
    bandwidth_kbps: int = attrs.field(default=0, validator=checks.amount(BANDWIDTH_KBPS_MAX, least=0))


@attrs.frozen(kw_only=True)
class ImageSettings:
    """An image; its bytes are made up."""

    name: str = attrs.field(validator=checks.name)
    size_bytes: int = attrs.field(validator=checks.amount(IMAGE_BYTES_MAX))


@attrs.frozen(kw_only=True)
class VolumeSettings:
    """A volume, blank at first."""

    name: str = attrs.field(validator=checks.name)
    size_gb: int = attrs.field(validator=checks.amount(checks.AMOUNT_MAX))


def _crossers(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    if text not in CROSSERS:
        raise SettingsError(where=field.name, what=f"{text!r} is none; {checks.advice(text, CROSSERS, of='values')}")


@attrs.frozen(kw_only=True)
class MovesSettings:
    """What holds for moves."""

    #: So long after it is done a move is confirmed that nobody has confirmed or reverted; 0: never.
    confirm_after_s: int = attrs.field(default=0, validator=checks.seconds)
    #: Whose moves may leave their cell.
    cross_cell: str = attrs.field(default=Crossers.ADMINS.value, validator=_crossers)
    #: Positive: hosts of the server's own cell come first; negative: those of other cells; 0: neither.
    own_cell_weight: int = attrs.field(default=1, validator=checks.weight)

    @property
    def crossing(self) -> Crossing:
        """What is decided about moves between cells."""
        return Crossing(who=Crossers(self.cross_cell), own_cell_weight=self.own_cell_weight)


@attrs.frozen(kw_only=True)
class TreeSettings:
    """What cells tell each other of themselves."""

    #: So often each cell tells its parent what it has; 0: only when that asks, or a cell below has told something.
    announce_s: int = attrs.field(default=60, validator=checks.seconds)
    #: A child unheard for so long is mute; 0: none ever is.
    mute_child_s: int = attrs.field(default=300, validator=checks.seconds)
    #: So much of each host is kept back when it is told how many servers fit.
    reserve_percent: int = attrs.field(default=10, validator=checks.amount(100, least=0))
    #: So often a cell's link asks which neighbours there are; 0: only those of the file.
    look_s: int = attrs.field(default=2, validator=checks.seconds)


@attrs.frozen(kw_only=True)
class ReportsSettings:
    """How often, in seconds, hosts and cells report by themselves; 0: never."""

    #: A host tells its cell that it is alive; what went over its ports; a cell notes which servers it had meanwhile.
    service_s: int = attrs.field(default=10, validator=checks.seconds)
    usage_s: int = attrs.field(default=600, validator=checks.seconds)
    audit_s: int = attrs.field(default=3600, validator=checks.seconds)


@attrs.frozen(kw_only=True)
class SchedulerSettings:
    """How the cell of a server is chosen: each cell filters and weighs itself and its children."""

    #: Off: the host with most memory left is chosen, wherever it is.
    enabled: bool = True
    #: Which filters are asked, in that order.
    filters: tuple[str, ...] = tuple(FILTERS)
    #: By how much the verdict of a weigher counts, where it is not the usual: 0: not at all.
    multipliers: dict[str, float] = attrs.field(factory=dict, validator=checks.multipliers, hash=False)
    #: How often a new server that no cell takes is tried again, and after how many seconds.
    retries: int = attrs.field(default=7, validator=checks.amount(ATTEMPTS_MAX - 1, least=0))
    retry_delay_s: int = attrs.field(default=2, validator=checks.seconds)


@attrs.frozen(kw_only=True)
class Cloud:
    """Everything that a deployment is made of.  Valid from birth: what does not fit together raises `SettingsError`."""

    cells: tuple[CellSettings, ...]
    hosts: tuple[HostSettings, ...]
    flavors: tuple[Flavor, ...]
    images: tuple[ImageSettings, ...] = ()
    volumes: tuple[VolumeSettings, ...] = ()
    conductors: int = attrs.field(default=1, validator=checks.amount(CONDUCTORS_MAX))
    driver: str = attrs.field(default=DRIVERS[0], validator=_driver)
    links: tuple[LinkSettings, ...] = ()
    moves: MovesSettings = MovesSettings()
    servers: ServersSettings = KEPT
    tree: TreeSettings = TreeSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    reports: ReportsSettings = ReportsSettings()
    mirror: MirrorSettings = BY_DEFAULT
    log: LogSettings = USUAL_LOG
    http: HttpSettings = NO_HTTP
    deployment: DeploymentSettings | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what does not fit together."""
        _check_sizes(self)
        _check_tree(self.cells)
        for kind in ("hosts", "flavors", "images", "volumes"):
            _check_unique(kind, "name", [item.name for item in getattr(self, kind)])
        _check_hosts(self)
        _check_unique("links", "target", [f"{link.source} to {link.target}" for link in self.links])
        check_links(self.links, [cell.path for cell in self.cells])
        for index, flavor in enumerate(self.flavors):
            for resource in ("vcpus", "memory_mb", "disk_gb"):
                checks.check_amount(f"flavors[{index}].{resource}", getattr(flavor, resource))
            for resource in ("ephemeral_gb", "swap_mb"):
                if getattr(flavor, resource):
                    checks.check_amount(f"flavors[{index}].{resource}", getattr(flavor, resource))

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


def _check_sizes(cloud: Cloud) -> None:
    limits = {
        "cells": CELLS_MAX,
        "hosts": HOSTS_MAX,
        "flavors": OTHERS_MAX,
        "images": OTHERS_MAX,
        "volumes": OTHERS_MAX,
    }
    for kind, most in limits.items():
        if len(getattr(cloud, kind)) > most:
            raise SettingsError(where=kind, what=f"at most {most} of them, and there are {len(getattr(cloud, kind))}")


def _check_tree(cells: tuple[CellSettings, ...]) -> None:
    paths = [cell.path for cell in cells]
    _check_unique("cells", "path", [str(path) for path in paths])
    roots = [path for path in paths if path.parent is None]
    if not roots:
        raise SettingsError(where="cells", what="there is no root; add a cell whose path is a single name, like api")
    for index, path in enumerate(paths):
        where = f"cells[{index}].path"
        if path.parent is None and path != roots[0]:
            raise SettingsError(where=where, what=f"{path} is a second root beside {roots[0]}; a cloud has one")
        if path.parent is not None and path.parent not in paths:
            raise SettingsError(where=where, what=f"{path} has no parent; add the cell {path.parent}")


def _check_unique(kind: str, field: str, names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            first, second = [index for index, other in enumerate(names) if other == name][:2]
            what = f"{name} is there already, as {kind}[{first}]; rename or remove one"
            raise SettingsError(where=f"{kind}[{second}].{field}", what=what)


def _check_hosts(cloud: Cloud) -> None:
    paths = [cell.path for cell in cloud.cells]
    for index, host in enumerate(cloud.hosts):
        if host.cell not in paths:
            what = f"there is no cell {host.cell}; {checks.advice(str(host.cell), map(str, paths), of='cells')}"
            raise SettingsError(where=f"hosts[{index}].cell", what=what)
    with_hosts = {host.cell for host in cloud.hosts}
    if len(with_hosts) < HOST_CELLS_MIN:
        what = f"hosts are in {len(with_hosts)} cell(s), and ferrying needs {HOST_CELLS_MIN}; add one in another cell"
        raise SettingsError(where="hosts", what=what)


# --- reading -----------------------------------------------------------------------------------------------


def load_cloud(path: Path) -> Cloud:
    """Read a cloud's TOML file; raise `SettingsError` that names the file and the path of what is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        what = f"it cannot be read ({error.strerror}); name a file of yours, or leave the option out"
        raise SettingsError(where=str(path), what=what) from error
    if len(content) > FILE_BYTES_MAX:
        raise SettingsError(where=str(path), what=f"it is larger than {FILE_BYTES_MAX} bytes; is it the right file?")
    try:
        return parse_cloud(content)
    except SettingsError as error:
        raise SettingsError(where=f"{path}: {error.where}", what=error.what) from error


def parse_cloud(content: bytes) -> Cloud:
    """Make a cloud of TOML text; raise `SettingsError`."""
    try:
        table = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(
            where=f"byte {error.start}", what="this is not UTF-8 text; is it the right file?"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(where="not TOML", what=f"{error}; mend it there") from error
    try:
        return _CONVERTER.structure(table, Cloud)
    except cattrs.BaseValidationError as error:
        # An unknown key first: often it is the very one that is missing, misspelt.
        first, *others = sorted(_problems(error, ""), key=lambda problem: UNKNOWN not in problem.what)
        more = f" (and {len(others)} more)" if others else ""
        raise SettingsError(where=first.where, what=f"{first.what}{more}") from error


def _exactly(kind: type[T], called: str) -> Callable[[object, object], T]:
    def structure(value: object, _: object) -> T:
        if type(value) is not kind:
            raise TypeError(f"{called} is expected, and {value!r} is none")
        return value

    return structure


def _number(value: object, _: object) -> float:
    if type(value) not in {int, float}:
        raise TypeError(f"a number is expected, and {value!r} is none")
    return float(value)  # type: ignore[arg-type]  # the line above is a narrowing that mypy does not follow


def _cell_path(value: object, _: object) -> CellPath:
    return CellPath.parse(_exactly(str, "a text")(value, str))


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _exactly(int, "a whole number"))
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(str, _exactly(str, "a text"))
    converter.register_structure_hook(CellPath, _cell_path)
    return converter


_CONVERTER: Final = _make_converter()


def _problems(error: BaseException, path: str) -> Iterator[SettingsError]:
    """List what is wrong, in the order of the classes' fields, each with its path."""
    if not isinstance(error, cattrs.BaseValidationError):
        yield _problem(error, path)
        return
    for each in error.exceptions:
        inner = path
        for note in getattr(each, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                inner = _below(path, note.name)
            elif isinstance(note, IterableValidationNote):
                inner = f"{path}[{note.index}]"
        yield from _problems(each, inner)


def _problem(error: BaseException, path: str) -> SettingsError:
    where, what = path, str(error)
    match error:
        case SettingsError():
            where, what = _below(path, error.where), error.what
        case ForbiddenExtraKeysError():
            where = _below(path, unknown := min(error.extra_fields))
            what = f"{UNKNOWN}; {checks.advice(unknown, [field.name for field in attrs.fields(error.cl)], of='keys')}"
        case KeyError():
            what = "it is missing; add it"
        case InvalidName():
            what = f"{error.text!r} is no {error.kind}; it must match {error.rule}"
        case AttributeError():
            what = f"a table is expected; write [[{path.partition('[')[0]}]] above each one"
        case TypeError() if "not iterable" in what:
            what = f"a list of tables is expected; write [[{path}]] above each one"
        case _:
            pass
    return SettingsError(where=where, what=what)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
