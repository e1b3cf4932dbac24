"""What a deployment that stays runs over, and how its cells reach each other's brokers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

import attrs

from actors.ops import checks
from actors.ops.checks import SettingsError
from protocol.cell_path import CellPath

BROKERS: Final = ("amqp", "amqps")
STORES: Final = ("postgresql", "postgres")
#: What begins the names of a deployment's queues and schemas.
PREFIX: Final = "cellferry"
PREFIX_RULE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def broker(_settings: object, field: attrs.Attribute[str], url: str) -> None:
    """Refuse what is no URL of a broker."""
    checks.check_url(field.name, url, BROKERS)


@attrs.frozen(kw_only=True)
class LinkSettings:
    """How a cell's link reaches the broker of a neighbour, where that is not as the neighbour itself does."""

    source: CellPath
    target: CellPath
    broker: str = attrs.field(validator=broker, repr=False)


def _prefix(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    if PREFIX_RULE.fullmatch(text) is None:
        raise SettingsError(where=field.name, what=f"{text!r} begins no name; it must match {PREFIX_RULE.pattern}")


@attrs.frozen(kw_only=True)
class DeploymentSettings:
    """What a deployment that stays runs over: its broker, its database, its files, and what its queues are called.

    Without a store each actor keeps an SQLite file in the directory, which is taken from where the file of settings is.
    """

    wire: str = attrs.field(validator=broker, repr=False)
    store: str | None = attrs.field(default=None, validator=checks.url(STORES), repr=False)
    directory: str
    prefix: str = attrs.field(default=PREFIX, validator=_prefix)
    #: A directory with a file of passwords for each cell: every actor and link is a user of its own to its broker.
    secrets: str | None = None
    #: So many messages a second a cell takes from a neighbour; 0: any number.
    neighbour_per_s_max: int = attrs.field(default=5_000, validator=checks.amount(checks.AMOUNT_MAX, least=0))


def check_links(links: Sequence[LinkSettings], cells: Collection[CellPath]) -> None:
    """Raise `SettingsError` unless each joins two neighbours."""
    for index, link in enumerate(links):
        for field, path in (("source", link.source), ("target", link.target)):
            if path not in cells:
                what = f"there is no cell {path}; {checks.advice(str(path), map(str, cells), of='cells')}"
                raise SettingsError(where=f"links[{index}].{field}", what=what)
        if not link.source.is_neighbour(link.target):
            what = f"{link.target} is no neighbour of {link.source}; links join a cell and its parent"
            raise SettingsError(where=f"links[{index}].target", what=what)
