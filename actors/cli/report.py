"""What the demo ends with: the truth, as one document of plain data whose order depends on no generated id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from protocol.bodies import to_plain
from protocol.invariants import verdict
from protocol.records import (
    Allocation,
    Attachment,
    BlockDevice,
    Image,
    Mapping,
    Migration,
    PortBinding,
    Record,
    Server,
    ServerAction,
)
from protocol.states import PowerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.cli.ferrying import Ferried
    from protocol.truth import GuestTruth, Truth

R = TypeVar("R", bound=Record)
Plain: TypeAlias = dict[str, Any]


class _Order:
    """Puts rows into an order that is the same in every run: by the server's place in the demo, then by plain words."""

    def __init__(self, ferried: tuple[Ferried, ...]) -> None:
        self._places = {server.uuid: place for place, server in enumerate(ferried)}

    def place(self, server: str | None) -> int:
        """Tell a server's place in the demo; what is of no server comes first."""
        return -1 if server is None else self._places.get(server, len(self._places))

    def sorted(self, rows: tuple[R, ...], *, by: Callable[[R], tuple[Any, ...]]) -> list[Plain]:
        """Give the rows as plain data, in order."""
        return [to_plain(row) for row in sorted(rows, key=by)]


def document(truth: Truth, ferried: tuple[Ferried, ...], *, wire: str, store: str) -> Plain:
    """Tell everything about the run's end."""
    order = _Order(ferried)
    held = verdict(truth, is_at_rest=True)
    return {
        "ok": all(held.values()),
        "wire": wire,
        "store": store,
        "servers": [_server(truth, server) for server in ferried],
        "cells": [_cell(truth, order, str(cell.path)) for cell in truth.cells],
        "mappings": order.sorted(truth.of_root(Mapping), by=lambda row: (order.place(row.server),)),
        "bindings": order.sorted(truth.all(PortBinding), by=lambda row: (order.place(row.server), row.host)),
        "attachments": order.sorted(
            truth.all(Attachment), by=lambda row: (order.place(row.server), row.volume, row.host or "")
        ),
        "allocations": _allocations(truth, order),
        "images": order.sorted(truth.all(Image), by=lambda row: (order.place(row.server), row.name)),
        "invariants": held,
        "not_judged": _not_judged(truth),
    }


def _not_judged(truth: Truth) -> list[str]:
    """Name the invariants that hold only because nothing of what they judge was recorded."""
    evidence = {"one_answer": truth.calls, "gather_exact": truth.gathers}
    return [name for name, recorded in evidence.items() if not recorded]


def _server(truth: Truth, server: Ferried) -> Plain:
    home = next((row.cell for row in truth.of_root(Mapping) if row.server == server.uuid), None)
    records = (row for cell in truth.cells if str(cell.path) == home for row in cell.all(Server))
    record = next((row for row in records if row.uuid == server.uuid), None)
    guest = _guest(truth, server.uuid, home, record.host if record else None)
    return {
        "uuid": server.uuid,
        "name": server.name,
        "flow": server.flow,
        "home_cell": home,
        "host": record.host if record else None,
        "vm_state": record.vm_state.value if record else None,
        "power_state": power_name(record.power_state) if record else None,
        "counter_before": server.counter_before,
        "counter_after": guest.counter if guest else None,
        "boots": guest.boots[-1].number if guest and guest.boots else 0,
    }


def _guest(truth: Truth, server: str, cell: str | None, host: str | None) -> GuestTruth | None:
    place = (server, cell, host)
    return next((guest for guest in truth.guests if (guest.server, str(guest.cell), guest.host) == place), None)


def power_name(power: PowerState | int) -> str:
    """Name a power state as people say it."""
    return PowerState(power).name.lower()


def _cell(truth: Truth, order: _Order, path: str) -> Plain:
    (cell,) = [cell for cell in truth.cells if str(cell.path) == path]
    return {
        "cell": path,
        "servers": order.sorted(cell.all(Server), by=lambda row: (order.place(row.uuid),)),
        "block_devices": order.sorted(cell.all(BlockDevice), by=lambda row: (order.place(row.server), row.device)),
        "migrations": order.sorted(cell.all(Migration), by=lambda row: (order.place(row.server), row.created_at_us)),
        "actions": order.sorted(cell.all(ServerAction), by=lambda row: (order.place(row.server), row.started_at_us)),
    }


def _allocations(truth: Truth, order: _Order) -> list[Plain]:
    return [
        {"cell": str(cell.path), **row}
        for cell in truth.cells
        for row in order.sorted(
            cell.all(Allocation), by=lambda row: (row.host, order.place(row.server), row.consumer != row.server)
        )
    ]
