"""What a deployment that stays runs over, and how its cells reach each other's brokers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import attrs

from actors.ops import checks
from actors.ops.checks import SettingsError
from actors.ops.declared import about
from protocol.cell_path import CellPath

BROKERS: Final = ("amqp", "amqps")
STORES: Final = ("postgresql", "postgres")
#: What begins the names of a deployment's queues and schemas.
PREFIX: Final = "cellferry"
#: A broker as it is after its installation, on this very machine.
WIRE: Final = "amqp://guest:guest@localhost:5672/"
PREFIX_RULE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@attrs.frozen(kw_only=True)
class LinkSettings:
    """How a cell's link reaches the broker of a neighbour, where that is not as the neighbour itself does."""

    source: CellPath = attrs.field(metadata=about("The cell whose link it is.", example='"api"'))
    target: CellPath = attrs.field(metadata=about("Its neighbour.", example='"api!eu"'))
    broker: str = attrs.field(
        validator=checks.url(BROKERS), repr=False,
        metadata=about("By which URL it reaches it.", is_secret=True, example='"amqp://USER:PASSWORD@HOST:5672/"'),
    )  # fmt: skip


class _Prefix:
    allowed: Final = f"what matches {PREFIX_RULE.pattern}"

    def __call__(self, _settings: object, field: attrs.Attribute[str], text: str) -> None:
        if PREFIX_RULE.fullmatch(text) is None:
            raise SettingsError(where=field.name, what=f"{text!r} begins no name; it must match {PREFIX_RULE.pattern}")


@attrs.frozen(kw_only=True)
class DeploymentSettings:
    """What a deployment that stays runs over: its broker, its database, its files, and what its queues are called.

    Without a store each actor keeps an SQLite file in the directory, which is taken from where the file of settings is.
    """

    wire: str = attrs.field(
        validator=checks.url(BROKERS), repr=False,
        metadata=about("The broker of every cell that names none.", is_secret=True, example=f'"{WIRE}"'),
    )  # fmt: skip
    store: str | None = attrs.field(
        default=None, validator=checks.url(STORES), repr=False,
        metadata=about("The database of every cell that names none; none: a file for each actor.", is_secret=True),
    )  # fmt: skip
    directory: str = attrs.field(
        metadata=about("Where its files are, from the directory of this file on.", example='"data"')
    )
    prefix: str = attrs.field(
        default=PREFIX, validator=_Prefix(), metadata=about("What begins the names of its queues and schemas.")
    )
    secrets: str | None = attrs.field(
        default=None,
        metadata=about("A directory of passwords: every actor and link is a user of its own to its broker."),
    )  # fmt: skip
    neighbour_per_s_max: int = attrs.field(
        default=5_000, validator=checks.amount(checks.AMOUNT_MAX, least=0),
        metadata=about("So many messages a cell takes from a neighbour; 0: any number.", is_live=True),
    )  # fmt: skip


def link_faults(links: Sequence[LinkSettings], cells: Collection[CellPath]) -> Iterator[SettingsError]:
    """List the links that do not join two neighbours."""
    for index, link in enumerate(links):
        for field, path in (("source", link.source), ("target", link.target)):
            if path not in cells:
                what = f"there is no cell {path}; {checks.advice(str(path), map(str, cells), of='cells')}"
                yield SettingsError(where=f"links[{index}].{field}", what=what)
        if not link.source.is_neighbour(link.target):
            what = f"{link.target} is no neighbour of {link.source}; links join a cell and its parent"
            yield SettingsError(where=f"links[{index}].target", what=what)
