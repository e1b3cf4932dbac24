"""Whose moves may leave their cell, and in which order hosts are tried."""

from __future__ import annotations

from typing import Final

import pytest

from protocol.cell_path import CellPath
from protocol.messages.capacity import HostRoom
from protocol.messages.orders import DeleteServer
from protocol.messages.servers import Origin
from protocol.moves.crossing import Crossers, Crossing
from protocol.moves.parties import Brief, brief_of, rank

ROOT: Final = CellPath.parse("api")
OWN, NEAR, FAR = "api!own", "api!a", "api!b"


@pytest.mark.parametrize(
    ("who", "user", "admin"),
    [(Crossers.EVERYONE, True, True), (Crossers.ADMINS, False, True), (Crossers.NOBODY, False, False)],
)
def test_who_may_cross_is_decided_with_the_order_and_written_down(who: Crossers, user: bool, admin: bool) -> None:
    """By who asks, and by nothing else of the order."""
    for is_admin, may_cross in ((False, user), (True, admin)):
        origin = Origin(request_id="r", user="u", project="p", is_admin=is_admin)
        order = DeleteServer(server="s1", origin=origin)
        found = brief_of(ROOT, order, is_queued=True, crossing=Crossing(who=who, own_cell_weight=7))
        assert found == Brief(
            root=ROOT, order=order, is_queued=True, may_cross=may_cross, own_cell_weight=7, may_stay=True
        )


def room(host: str, cell: str, memory_mb: int, vcpus: int = 8) -> HostRoom:
    return HostRoom(host=host, cell=cell, memory_mb=memory_mb, vcpus=vcpus, disk_gb=9, availability_zone="")


#: Out of order, with two that only their names tell apart.
ROOMS: Final = (
    room("h7", NEAR, 5), room("h6", OWN, 6), room("h5", FAR, 7), room("h4", FAR, 7), room("h3", FAR, 7, vcpus=9),
    room("h2", OWN, 8), room("h1", NEAR, 9),
)  # fmt: skip


@pytest.mark.parametrize(
    ("first_cell", "own_cell", "weight", "hosts"),
    [
        (None, OWN, 0, "1234567"),
        (None, OWN, 1, "2613457"),
        (None, OWN, 10**6, "2613457"),
        (None, OWN, -1, "1345726"),
        (FAR, OWN, 0, "3451267"),
        (FAR, OWN, 1, "3452617"),
        (OWN, OWN, -1, "2613457"),
        (None, None, 1, "1234567"),
        (NEAR, None, -1, "1723456"),
    ],
)
def test_hosts_come_in_order(first_cell: str | None, own_cell: str | None, weight: int, hosts: str) -> None:
    """The cell of the first attempt, then the own cell by its weight, then the emptiest, then by name."""
    found = sorted(
        ROOMS,
        key=lambda each: rank(each, first_cell=first_cell, own_cell=own_cell, own_cell_weight=weight, places={}),
    )
    assert "".join(each.host[1:] for each in found) == hosts


def test_the_turn_of_its_cell_goes_before_what_a_host_has_left() -> None:
    """Where cells were asked; and behind the weight of the own cell."""
    places = {FAR: 0, NEAR: 1, OWN: 2}
    found = sorted(ROOMS, key=lambda each: rank(each, first_cell=None, own_cell=None, own_cell_weight=1, places=places))
    assert [each.cell for each in found] == sorted((each.cell for each in ROOMS), key=places.__getitem__)
