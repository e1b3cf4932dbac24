"""The oracle over what root disks are made from, which judges the truth at rest."""

from __future__ import annotations

import attrs
import pytest

from protocol.bodies import encode_body
from protocol.messages.orders import RebuildServer
from protocol.messages.servers import Origin
from protocol.moves.parties import Brief
from protocol.records import Server
from protocol.states import Goal
from protocol.truth import Truth
from tests.protocol.invariants import worlds
from tests.sim.histories import BADLY, ROOT, WELL, Hand, S

ORIGIN = Origin(request_id="r", user="u", project="p")


def rebuilds(hand: Hand, image: str, *, conversation: str, payload: bytes = WELL) -> None:
    order = RebuildServer(server=S, image=image, origin=ORIGIN)
    hand.begin(conversation, goal=Goal.REBUILD, payload=encode_body(Brief(root=ROOT, order=order)))
    hand.close(conversation=conversation, goal=Goal.REBUILD, payload=payload)


def made_from(disk: str, *, record: str) -> Truth:
    """Have the server's root disk be made from one image, and its record name one."""
    truth = worlds.active()
    guests = tuple(attrs.evolve(guest, image=disk) for guest in truth.guests)
    cells = tuple(
        attrs.evolve(
            cell, rows=tuple(attrs.evolve(row, image=record) if isinstance(row, Server) else row for row in cell.rows)
        )
        for cell in truth.cells
    )
    return attrs.evolve(truth, guests=guests, cells=cells)


@pytest.mark.parametrize(
    ("disk", "record", "is_kept"),
    [("new", "new", True), ("img", "new", False), ("new", "img", False), ("later", "later", False)],
)
def test_a_server_has_the_disk_that_its_user_had_made_last(disk: str, record: str, is_kept: bool) -> None:
    """Both the disk and the record tell of it; a rebuild that came to nothing has changed neither."""
    hand = Hand()
    rebuilds(hand, "new", conversation="c1")
    rebuilds(hand, "later", conversation="c2", payload=BADLY)
    assert ("disk_of_image" in hand.judged(made_from(disk, record=record))) is not is_kept


def test_a_disk_that_has_travelled_is_made_from_what_it_travelled_as() -> None:
    """The record names the image of its user all the same."""
    hand = Hand()
    rebuilds(hand, "new", conversation="c1")
    hand.begin("c2", goal=Goal.MIGRATE)
    hand.close(conversation="c2", goal=Goal.MIGRATE)
    assert "disk_of_image" not in hand.judged(made_from("snapshot", record="new"))
