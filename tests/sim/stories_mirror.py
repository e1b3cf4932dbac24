"""Histories for the oracle over the root's mirror: kept, and broken in one point each."""

from __future__ import annotations

from typing import Any, Final

import attrs

from protocol.records import Mirror
from protocol.states import PowerState, VmState
from protocol.truth import CellTruth
from sim.checkers.mirrors import RESTORED
from sim.history import Noted
from tests.sim.histories import CELL, NOWHERE, ROOT, Hand, S, Stories

STORIES = Stories()
HEARD: Final = Mirror(
    server=S, cell="api!eu", generation=1, version=5, name="web", vm_state=VmState.ACTIVE, task_state=None,
    power_state=PowerState.RUNNING, host="h1", flavor="small",
)  # fmt: skip


def sees(hand: Hand, **fields: Any) -> None:
    """Look at what the root has heard of the record."""
    rows = (attrs.evolve(HEARD, **fields),)
    hand.watch.see(attrs.evolve(NOWHERE, cells=(CellTruth(path=ROOT, rows=rows),)))


@STORIES.keeps("mirror_forward")
def hears_of_what_is_newer(hand: Hand) -> None:
    sees(hand)
    sees(hand, version=6)
    sees(hand, generation=2, version=1)
    sees(hand, generation=2, version=2, is_gone=True)


@STORIES.keeps("mirror_forward")
def is_set_back_with_its_store(hand: Hand) -> None:
    sees(hand)
    hand.write(Noted(process=CELL, event=RESTORED, detail=""))
    sees(hand, version=4)


@STORIES.breaks("mirror_forward")
def believes_what_is_older(hand: Hand) -> None:
    sees(hand)
    sees(hand, version=4)


@STORIES.breaks("mirror_forward")
def brings_back_to_life(hand: Hand) -> None:
    sees(hand, is_gone=True)
    sees(hand)
