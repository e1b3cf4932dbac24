"""Histories of reboots: done, undone, and left off by what is no fault of theirs."""

from __future__ import annotations

from protocol.journal import Kind
from protocol.messages.fencing import StandIn
from protocol.states import Goal
from sim.faults import Fault, FaultKind
from sim.history import Carried, Fired
from tests.sim.histories import BADLY, C, Hand, S, Stories
from tests.sim.stories_guests import H1, ledger, runs, stops

STORIES = Stories()


def rebooting(hand: Hand) -> None:
    """Have a guest run, and a reboot of it begin."""
    hand.begin("c0")
    ledger(hand, "issue_permit", 1, H1, conversation="c0")
    hand.close(conversation="c0")
    runs(hand, "h1", 1)
    hand.begin(goal=Goal.REBOOT)
    hand.entry(Kind.INTENT, "switch_off", goal=Goal.REBOOT)
    stops(hand, "h1")
    answered(hand, "switch_off")


def answered(hand: Hand, step: str, *, is_undo: bool = False) -> None:
    """Have the host carry a step out that is intended, and the conversation hear of it."""
    hand.carry(f"{C}:0:{step}:{'undo' if is_undo else 'execute'}", at=H1)
    hand.entry(Kind.DONE, step, goal=Goal.REBOOT, is_undo=is_undo)


def undoes(hand: Hand, *, is_on: bool) -> None:
    """Undo the switching off."""
    hand.entry(Kind.INTENT, "switch_off", goal=Goal.REBOOT, is_undo=True)
    if is_on:
        runs(hand, "h1", 1)
    answered(hand, "switch_off", is_undo=True)
    hand.close(goal=Goal.REBOOT, payload=BADLY)


@STORIES.keeps("reboots_boot")
def reboots(hand: Hand) -> None:
    rebooting(hand)
    hand.entry(Kind.INTENT, "power", goal=Goal.REBOOT)
    runs(hand, "h1", 1)
    stops(hand, "h1")  # Its own doing, and not the reboot's.
    answered(hand, "power")
    hand.close(goal=Goal.REBOOT)


@STORIES.keeps("reboots_boot")
def is_refused_and_runs_as_before(hand: Hand) -> None:
    rebooting(hand)
    undoes(hand, is_on=True)


@STORIES.keeps("reboots_boot")
def is_refused_before_it_has_touched_a_guest_that_another_order_stops(hand: Hand) -> None:
    hand.begin("c0")
    ledger(hand, "issue_permit", 1, H1, conversation="c0")
    runs(hand, "h1", 1)
    hand.begin(goal=Goal.REBOOT)
    stops(hand, "h1")
    hand.close(goal=Goal.REBOOT, payload=BADLY)


@STORIES.keeps("reboots_boot")
def loses_its_machine(hand: Hand) -> None:
    rebooting(hand)
    fault = Fault(kind=FaultKind.MACHINE_DOWN, name="f1", at_s=0.0, for_s=60.0)
    hand.write(Fired(fault=fault, mattered=True, text="the machine is off"))
    undoes(hand, is_on=False)


@STORIES.keeps("reboots_boot")
def is_undone_without_a_host_that_is_fenced(hand: Hand) -> None:
    rebooting(hand)
    hand.write(
        Carried(
            process="api/cell", key=f"{C}:0:switch_off:undo", server=S, epoch=1, method=StandIn.METHOD.name,
            reply="r", is_error=False,
        )
    )  # fmt: skip
    undoes(hand, is_on=False)


@STORIES.breaks("reboots_boot")
def leaves_it_off(hand: Hand) -> None:
    rebooting(hand)
    undoes(hand, is_on=False)


@STORIES.breaks("reboots_boot")
def never_starts_it(hand: Hand) -> None:
    rebooting(hand)
    hand.entry(Kind.INTENT, "power", goal=Goal.REBOOT)
    answered(hand, "power")
    hand.close(goal=Goal.REBOOT)
