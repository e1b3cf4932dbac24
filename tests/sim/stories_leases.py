"""Histories of leases: who is followed in time, who is not, and who should have been left alone."""

from sim.faults import Fault, FaultKind
from sim.history import Crashed, Fired, Noted, Paused, Resumed, Started, TakenOver
from tests.sim.histories import CONDUCTOR, C, Hand, Stories

STORIES = Stories()
OTHER = "api/conductor~1"


def watched(process: str) -> Noted:
    return Noted(process=process, event="leases_watched", detail="")


def both_watch(hand: Hand) -> None:
    """Two conductors run, and the first has a conversation."""
    for process in (CONDUCTOR, OTHER):
        hand.write(Started(process=process, run=1), watched(process))
    hand.begin()


def takes(hand: Hand, *, by: str = OTHER, at_s: float, epoch: int = 2) -> None:
    hand.now_s = at_s
    hand.write(TakenOver(process=by, conversation=C, epoch=epoch))


@STORIES.keeps("taken_over_in_time")
@STORIES.keeps("left_alone")
def follows_a_dead_owner_in_time(hand: Hand) -> None:
    both_watch(hand)
    hand.now_s = 20.0
    hand.write(Crashed(process=CONDUCTOR))
    takes(hand, at_s=25.9)


@STORIES.keeps("taken_over_in_time")
def was_no_watcher_itself_before(hand: Hand) -> None:
    both_watch(hand)
    hand.write(Paused(process=OTHER))
    hand.now_s = 1.0
    hand.write(Crashed(process=CONDUCTOR))
    hand.now_s = 60.0
    hand.write(Resumed(process=OTHER))
    takes(hand, at_s=65.9)


@STORIES.keeps("taken_over_in_time")
def could_not_as_long_as_its_store_failed(hand: Hand) -> None:
    both_watch(hand)
    hand.write(Crashed(process=CONDUCTOR))
    hand.now_s = 4.0
    hand.write(Noted(process=OTHER, event="leases_wait", detail=""))
    slow = Fault(kind=FaultKind.STORE_SLOW, name="f", where=OTHER, amount_s=5.0)
    hand.write(Fired(process=OTHER, fault=slow, mattered=True, text="slow"))
    takes(hand, at_s=14.9)


@STORIES.keeps("taken_over_in_time")
def comes_back_before_anybody_must_have_followed(hand: Hand) -> None:
    both_watch(hand)
    hand.write(Crashed(process=CONDUCTOR))
    hand.now_s = 5.9
    hand.write(Started(process=CONDUCTOR, run=2), TakenOver(process=CONDUCTOR, conversation=C, epoch=2))
    hand.write(watched(CONDUCTOR))
    hand.now_s = 60.0
    hand.step("take", epoch=2)
    hand.close(epoch=2)


@STORIES.breaks("taken_over_in_time")
def follows_a_dead_owner_too_late(hand: Hand) -> None:
    both_watch(hand)
    hand.now_s = 20.0
    hand.write(Crashed(process=CONDUCTOR))
    takes(hand, at_s=26.1)


@STORIES.breaks("taken_over_in_time")
def leaves_a_conversation_to_an_owner_that_stands_still(hand: Hand) -> None:
    both_watch(hand)
    hand.write(Paused(process=CONDUCTOR))
    hand.now_s = 30.0
    hand.write(Resumed(process=CONDUCTOR))


@STORIES.breaks("taken_over_in_time")
def never_follows_a_dead_owner(hand: Hand) -> None:
    both_watch(hand)
    hand.step("take")
    hand.write(Crashed(process=CONDUCTOR))
    hand.now_s = 30.0
    hand.write(Started(process=CONDUCTOR, run=2), TakenOver(process=CONDUCTOR, conversation=C, epoch=2))
    hand.close(epoch=2)


@STORIES.keeps("left_alone")
def follows_one_that_stops_in_order_at_once(hand: Hand) -> None:
    both_watch(hand)
    hand.now_s = 60.0
    hand.write(Noted(process=CONDUCTOR, event="leases_left", detail=""))
    takes(hand, at_s=60.5)


@STORIES.keeps("left_alone")
def takes_from_one_that_stood_still_until_just_now(hand: Hand) -> None:
    both_watch(hand)
    hand.now_s = 60.0
    hand.write(Paused(process=CONDUCTOR))
    hand.now_s = 65.0
    hand.write(Resumed(process=CONDUCTOR))
    takes(hand, at_s=65.1)


@STORIES.keeps("left_alone")
def renews_its_own(hand: Hand) -> None:
    both_watch(hand)
    takes(hand, by=CONDUCTOR, at_s=60.0)


@STORIES.breaks("left_alone")
def takes_from_one_that_is_well(hand: Hand) -> None:
    both_watch(hand)
    takes(hand, at_s=60.0)
