"""What each setting is, read off the classes that declare it: its help, type, unit, default, and what it may be."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import attrs

from protocol.cell_path import CellPath
from protocol.records import Flavor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ABOUT: Final = "about"
#: Of a setting that takes the name of a file with the value instead: `wire_file` for `wire`.
FILE: Final = "_file"
#: What the end of a name says of the value's unit.
UNITS: Final[Mapping[str, str]] = {
    "_per_s_max": "a second",
    "_s": "seconds",
    "_mb": "MB",
    "_gb": "GB",
    "_kbps": "kilobits a second",
    "_bytes": "bytes",
    "_percent": "percent",
}
WORDS: Final[Mapping[object, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    CellPath: "cell path",
    tuple[str, ...]: "list of texts",
    dict[str, str]: "table of texts",
    dict[str, float]: "table of numbers",
    dict[str, tuple[str, ...]]: "table of lists",
}


class Shape(StrEnum):
    """What stands at a path of the file."""

    VALUE = "value"
    TABLE = "table"
    LIST = "tables"  # One above each entry.


@attrs.frozen(kw_only=True)
class About:
    """What the declaration of a setting says beside its type and default."""

    help: str
    #: Whether a running process takes a change of it up, when it is told to read its settings again.
    is_live: bool = False
    #: Whether nobody may see it.
    is_secret: bool = False
    #: What stands for it in a sample, where it has no default.
    example: str = ""


def about(text: str, *, is_live: bool = False, is_secret: bool = False, example: str = "") -> dict[str, About]:
    """Make the metadata of a setting's field."""
    return {_ABOUT: About(help=text, is_live=is_live, is_secret=is_secret, example=example)}


NOTHING: Final = About(help="")
#: What the fields of classes that are not declared as settings are about.
ELSEWHERE: Final[Mapping[type, Mapping[str, About]]] = {
    Flavor: {
        "name": About(help="What it is called.", example='"m1.tiny"'),
        "vcpus": About(help="Virtual processors of its servers.", example="1"),
        "memory_mb": About(help="Memory of its servers.", example="512"),
        "disk_gb": About(help="Size of their root disks.", example="1"),
        "ephemeral_gb": About(help="Size of their scratch disks; 0: none."),
        "swap_mb": About(help="Size of their swap disks; 0: none."),
        "extra_specs": About(help="What hosts and cells are asked for beyond that."),
    }
}


@attrs.frozen(kw_only=True)
class Setting:
    """One setting, or a table of them."""

    #: Its names from the top of the file down, those of entries left out: `cells`, `broker`.
    names: tuple[str, ...]
    shape: Shape
    #: The type of the value; of a table the class of its fields.
    kind: Any
    default: object
    about: About
    allowed: str

    @property
    def path(self) -> str:
        """Write it as people do: `deployment.wire`."""
        return ".".join(self.names)

    @property
    def is_required(self) -> bool:
        """Tell whether it must be given."""
        return self.default is attrs.NOTHING

    @property
    def unit(self) -> str:
        """Say what a number of it counts, as its name ends; empty where that says nothing."""
        return next((unit for end, unit in UNITS.items() if self.names[-1].endswith(end)), "")

    @property
    def variable(self) -> str:
        """Name the environment variable that sets it, where no entry of a list is meant."""
        return PREFIX + SEPARATOR.join(self.names).upper()

    @property
    def is_map(self) -> bool:
        """Tell whether the value is a table whose keys are the operator's own."""
        return get_origin(self.kind) is dict

    def read(self, text: str) -> Any:
        """Make the value of a variable's or an option's text: of a text itself, of all else as TOML writes it.

        Raises `ValueError` where that is no value.
        """
        if self.kind in {str, CellPath}:
            return text
        table = tomllib.loads(f"value = {text}")
        if table.keys() != {"value"}:
            raise ValueError("more than one value")
        return table["value"]


#: What begins the name of every environment variable of ours, and what stands between its parts.
PREFIX: Final = "CELLFERRY_"
SEPARATOR: Final = "__"


def settings_of(cls: type, names: tuple[str, ...] = ()) -> Iterator[Setting]:
    """List the settings that a class declares, each table before what is in it, in the order of their declaration."""
    hints = get_type_hints(cls)
    for field in attrs.fields(cls):
        shape, kind = _shape(hints[field.name])
        found = about_of(cls, field)
        found = found if found.help else About(help=_first_line(kind))
        here = (*names, field.name)
        yield Setting(
            names=here, shape=shape, kind=kind, default=default_of(field), about=found,
            allowed=getattr(field.validator, "allowed", ""),
        )  # fmt: skip
        if shape is not Shape.VALUE:
            yield from settings_of(kind, here)


def default_of(field: attrs.Attribute[Any]) -> Any:
    """Give what a field is when nothing is said of it; `attrs.NOTHING` where something must be."""
    made = field.default
    return made.factory() if isinstance(made, attrs.Factory) else made  # type: ignore[arg-type, union-attr]  # attrs declares its class as a function


def about_of(cls: type, field: attrs.Attribute[Any]) -> About:
    """Give what the declaration of a field says of it; nothing, where it says nothing."""
    found: About = field.metadata.get(_ABOUT) or ELSEWHERE.get(cls, {}).get(field.name) or NOTHING
    return found


def word_for(kind: Any) -> str:
    """Name the type of a value."""
    return WORDS.get(kind, str(kind))


def _shape(hint: Any) -> tuple[Shape, Any]:
    options = [each for each in get_args(hint) if each is not type(None)]
    if type(None) in get_args(hint):
        (hint,) = options
    if get_origin(hint) is tuple and attrs.has(get_args(hint)[0]):
        return Shape.LIST, get_args(hint)[0]
    return (Shape.TABLE, hint) if attrs.has(hint) and hint is not CellPath else (Shape.VALUE, hint)


def _first_line(cls: Any) -> str:
    text: str = cls.__doc__ or "" if isinstance(cls, type) else ""
    return text.partition("\n")[0]
