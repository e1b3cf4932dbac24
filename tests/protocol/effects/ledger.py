"""Rows in a dict, and commands carried out on them as a store would: what tests of effects stand on."""

from typing import Any, Final, TypeVar

from protocol.draft import Need
from protocol.effects import table
from protocol.effects.registry import Moment, apply, gather
from protocol.records import Record
from protocol.requests import Request

R = TypeVar("R")
assert table.CELL, "importing the table fills it"
MOMENT: Final = Moment(now_us=1, cell="api", key="c1:0:do:execute")


class Ledger:
    """The rows."""

    def __init__(self, *rows: Record) -> None:
        self.rows = {(type(row), row.key): row for row in rows}

    def do(self, command: Request[R], moment: Moment = MOMENT) -> R:
        """Load what is needed, decide, save."""
        needs, loaded = gather(command, self._load)
        changes, reply = apply(loaded, command, moment, needs=needs)
        for row in changes.drops:
            del self.rows[type(row), row.key]
        self.rows.update({(type(row), row.key): row for row in changes.puts})
        return reply

    def _load(self, needs: tuple[Need, ...]) -> tuple[Record, ...]:
        return tuple(
            row
            for (kind, _), row in self.rows.items()
            if any(
                kind is need.record and all(getattr(row, name) == value for name, value in need.where) for need in needs
            )
        )

    def all(self, record: type[Any]) -> list[Any]:
        """List the rows of a class."""
        return [row for (kind, _), row in self.rows.items() if kind is record]
