"""The cloud as its TOML file describes it: read, checked as a whole, and refused with the path of what is wrong."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote, ForbiddenExtraKeysError, IterableValidationNote

from protocol.cell_path import CellPath
from protocol.errors import CellferryError, InvalidName, define
from protocol.messages.orders import BANDWIDTH_KBPS_MAX
from protocol.moves.crossing import Crossers, Crossing
from protocol.records import Flavor

T = TypeVar("T")

CELLS_MAX: Final = 1_000
HOSTS_MAX: Final = 10_000
OTHERS_MAX: Final = 1_000
#: Cells with hosts that it takes before anything can be ferried.
HOST_CELLS_MIN: Final = 2
CONDUCTORS_MAX: Final = 16
AMOUNT_MAX: Final = 2**31 - 1
IMAGE_BYTES_MAX: Final = 2**40
FILE_BYTES_MAX: Final = 16 * 1024 * 1024
UNKNOWN: Final = "unknown key"
BROKERS: Final = ("amqp", "amqps")
STORES: Final = ("postgresql", "postgres")
#: What runs guests: real processes with real disks, or a model of them in memory.
DRIVERS: Final = ("process", "memory")
CROSSERS: Final = tuple(each.value for each in Crossers)
#: What begins the names of a deployment's queues and schemas.
PREFIX: Final = "cellferry"
PREFIX_RULE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
#: What names a host, an image or a volume: it becomes part of mailboxes, files and queues.
NAME_RULE: Final = "it must be a lower-case letter or digit, then up to 62 of a-z, 0-9, '.', '_' and '-'"


@define
class SettingsError(CellferryError):
    """The settings cannot be used; `where` is the path of the value that is wrong."""

    code = "invalid_settings"
    template = "{where}: {what}"
    where: str
    what: str


def _name(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    try:
        CellPath((text,))  # A host's, an image's and a volume's name obey the rule for one name of a path.
    except InvalidName:
        raise SettingsError(where=field.name, what=f"{text!r} is no name; {NAME_RULE}") from None


def _amount(most: int, *, least: int = 1) -> Callable[[object, attrs.Attribute[int], int], None]:
    def check(_settings: object, field: attrs.Attribute[int], value: int) -> None:
        _check_amount(field.name, value, least=least, most=most)

    return check


def _check_amount(where: str, value: int, *, least: int = 1, most: int = AMOUNT_MAX) -> None:
    if not least <= value <= most:
        raise SettingsError(where=where, what=f"it must be from {least} to {most}, and is {value}")


def check_url(where: str, url: str, schemes: tuple[str, ...]) -> None:
    """Raise `SettingsError` unless `url` names a server by one of these schemes."""
    try:
        parts = urlsplit(url)
        is_fit = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fit = False
    if not is_fit:  # The text may hold a password, so it is not shown.
        raise SettingsError(where=where, what=f"it must be a URL like {schemes[0]}://USER:PASSWORD@HOST:PORT/NAME")


def _url(schemes: tuple[str, ...]) -> Callable[[object, attrs.Attribute[str | None], str | None], None]:
    def check(_settings: object, field: attrs.Attribute[str | None], url: str | None) -> None:
        if url is not None:
            check_url(field.name, url, schemes)

    return check


def _broker(_settings: object, field: attrs.Attribute[str], url: str) -> None:
    check_url(field.name, url, BROKERS)


def _driver(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    if text not in DRIVERS:
        raise SettingsError(where=field.name, what=f"{text!r} is none; {_advice(text, DRIVERS, of='drivers')}")


@attrs.frozen(kw_only=True)
class CellSettings:
    """A cell; its broker and store where they are not those of the whole cloud."""

    path: CellPath
    availability_zone: str = ""
    broker: str | None = attrs.field(default=None, validator=_url(BROKERS), repr=False)
    store: str | None = attrs.field(default=None, validator=_url(STORES), repr=False)


@attrs.frozen(kw_only=True)
class HostSettings:
    """A compute host and what it has to give."""

    name: str = attrs.field(validator=_name)
    cell: CellPath
    vcpus: int = attrs.field(validator=_amount(AMOUNT_MAX))
    memory_mb: int = attrs.field(validator=_amount(AMOUNT_MAX))
    disk_gb: int = attrs.field(validator=_amount(AMOUNT_MAX))
    bandwidth_kbps: int = attrs.field(default=0, validator=_amount(BANDWIDTH_KBPS_MAX, least=0))


@attrs.frozen(kw_only=True)
class ImageSettings:
    """An image; its bytes are made up."""

    name: str = attrs.field(validator=_name)
    size_bytes: int = attrs.field(validator=_amount(IMAGE_BYTES_MAX))


@attrs.frozen(kw_only=True)
class VolumeSettings:
    """A volume, blank at first."""

    name: str = attrs.field(validator=_name)
    size_gb: int = attrs.field(validator=_amount(AMOUNT_MAX))


def _prefix(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    if PREFIX_RULE.fullmatch(text) is None:
        raise SettingsError(where=field.name, what=f"{text!r} begins no name; it must match {PREFIX_RULE.pattern}")


@attrs.frozen(kw_only=True)
class DeploymentSettings:
    """What a deployment that stays runs over: its broker, its database, its files, and what its queues are called.

    Without a store each actor keeps an SQLite file in the directory, which is taken from where the file of settings is.
    """

    wire: str = attrs.field(validator=_broker, repr=False)
    store: str | None = attrs.field(default=None, validator=_url(STORES), repr=False)
    directory: str
    prefix: str = attrs.field(default=PREFIX, validator=_prefix)


def _seconds(_settings: object, field: attrs.Attribute[int], value: int) -> None:
    if value:
        _check_amount(field.name, value)


def _crossers(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    if text not in CROSSERS:
        raise SettingsError(where=field.name, what=f"{text!r} is none; {_advice(text, CROSSERS, of='values')}")


def _weight(_settings: object, field: attrs.Attribute[int], value: int) -> None:
    if abs(value) > AMOUNT_MAX:
        raise SettingsError(where=field.name, what=f"it must be from -{AMOUNT_MAX} to {AMOUNT_MAX}, and is {value}")


@attrs.frozen(kw_only=True)
class MovesSettings:
    """What holds for moves."""

    #: So long after it is done a move is confirmed that nobody has confirmed or reverted; 0: never.
    confirm_after_s: int = attrs.field(default=0, validator=_seconds)
    #: Whose moves may leave their cell.
    cross_cell: str = attrs.field(default=Crossers.ADMINS.value, validator=_crossers)
    #: Positive: hosts of the server's own cell come first; negative: those of other cells; 0: neither.
    own_cell_weight: int = attrs.field(default=1, validator=_weight)

    @property
    def crossing(self) -> Crossing:
        """What is decided about moves between cells."""
        return Crossing(who=Crossers(self.cross_cell), own_cell_weight=self.own_cell_weight)


@attrs.frozen(kw_only=True)
class Cloud:
    """Everything that a deployment is made of.  Valid from birth: what does not fit together raises `SettingsError`."""

    cells: tuple[CellSettings, ...]
    hosts: tuple[HostSettings, ...]
    flavors: tuple[Flavor, ...]
    images: tuple[ImageSettings, ...] = ()
    volumes: tuple[VolumeSettings, ...] = ()
    conductors: int = attrs.field(default=1, validator=_amount(CONDUCTORS_MAX))
    driver: str = attrs.field(default=DRIVERS[0], validator=_driver)
    moves: MovesSettings = MovesSettings()
    deployment: DeploymentSettings | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what does not fit together."""
        _check_sizes(self)
        _check_tree(self.cells)
        for kind in ("hosts", "flavors", "images", "volumes"):
            _check_unique(kind, "name", [item.name for item in getattr(self, kind)])
        _check_hosts(self)
        for index, flavor in enumerate(self.flavors):
            for resource in ("vcpus", "memory_mb", "disk_gb"):
                _check_amount(f"flavors[{index}].{resource}", getattr(flavor, resource))
            for resource in ("ephemeral_gb", "swap_mb"):
                if getattr(flavor, resource):
                    _check_amount(f"flavors[{index}].{resource}", getattr(flavor, resource))

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
            what = f"there is no cell {host.cell}; {_advice(str(host.cell), map(str, paths), of='cells')}"
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


def _cell_path(value: object, _: object) -> CellPath:
    return CellPath.parse(_exactly(str, "a text")(value, str))


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _exactly(int, "a whole number"))
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
            what = f"{UNKNOWN}; {_advice(unknown, [field.name for field in attrs.fields(error.cl)], of='keys')}"
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


def _advice(wrong: str, right: Iterable[str], *, of: str) -> str:
    known = list(right)
    if near := difflib.get_close_matches(wrong, known, n=1):
        return f"did you mean {near[0]}?"
    return f"known {of} are {', '.join(known[:12])}"
