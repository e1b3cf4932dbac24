"""Histories for the oracles over volumes: kept, and broken in one point each."""

from __future__ import annotations

from typing import Final

import attrs

from protocol.bodies import encode_body
from protocol.cell_path import CellPath
from protocol.journal import Kind
from protocol.messages.orders import ChangeVolume
from protocol.messages.servers import Origin
from protocol.moves.parties import Brief
from protocol.states import Goal
from protocol.truth import VolumeTruth
from tests.sim.histories import NOWHERE, Hand, S, Stories

STORIES = Stories()
ORIGIN: Final = Origin(request_id="r", user="u", project="p")


def swapping(hand: Hand, volume: str = "v1", replacement: str = "v2", *, conversation: str = "c1") -> None:
    """Begin a swap."""
    order = ChangeVolume(
        server=S, goal=Goal.SWAP, volume=volume, device="", origin=ORIGIN, replacement=replacement
    )  # fmt: skip
    brief = Brief(root=CellPath.parse("api"), order=order)
    hand.begin(conversation, goal=Goal.SWAP, payload=encode_body(brief))


def sees(hand: Hand, **origins: str) -> None:
    """Look at what is on the volumes."""
    volumes = tuple(
        VolumeTruth(volume=volume, writer=None, counter=0, origin=origin) for volume, origin in origins.items()
    )
    hand.watch.see(attrs.evolve(NOWHERE, volumes=volumes))


@STORIES.keeps("let_go_first")
def gives_away_what_the_guest_has_let_go(hand: Hand) -> None:
    swapping(hand)
    for step in ("copy_volume", "disconnect_volume", "delete_attachment"):
        hand.step(step, goal=Goal.SWAP)


@STORIES.breaks("let_go_first")
def gives_away_what_the_guest_has(hand: Hand) -> None:
    swapping(hand)
    hand.step("copy_volume", goal=Goal.SWAP)
    hand.entry(Kind.INTENT, "delete_attachment", goal=Goal.SWAP)


@STORIES.keeps("copies_whole")
def holds_its_own_or_the_copy_while_it_is_copied(hand: Hand) -> None:
    sees(hand, v1="v1", v2="v2", v3="")
    swapping(hand)
    hand.entry(Kind.INTENT, "copy_volume", goal=Goal.SWAP)
    sees(hand, v1="v1", v2="v2")
    sees(hand, v1="v1", v2="v1")


@STORIES.keeps("copies_whole")
def passes_on_what_it_was_given(hand: Hand) -> None:
    swapping(hand)
    hand.step("copy_volume", goal=Goal.SWAP)
    swapping(hand, "v2", "v3", conversation="c2")
    hand.step("copy_volume", goal=Goal.SWAP, conversation="c2")
    sees(hand, v1="v1", v2="v1", v3="v1")


@STORIES.breaks("copies_whole")
def holds_nothing_of_the_old_one(hand: Hand) -> None:
    swapping(hand)
    hand.step("copy_volume", goal=Goal.SWAP)
    sees(hand, v1="v1", v2="v2")


@STORIES.breaks("copies_whole")
def is_overwritten_by_nobody(hand: Hand) -> None:
    sees(hand, v1="v2", v2="v2")
