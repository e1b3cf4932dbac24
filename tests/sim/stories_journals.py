"""Histories of journals: what the design allows, and what it does not."""

from protocol.bodies import encode_body
from protocol.journal import Kind
from protocol.states import Goal
from sim.history import Crashed, Noted, Started, TakenOver
from sim.slowed import Slowed
from tests.sim.histories import BADLY, CAUSE, CONDUCTOR, C, Hand, Stories

STORIES = Stories()


@STORIES.keeps("one_writer")
def takes_the_next_epoch_after_a_crash(hand: Hand) -> None:
    hand.write(Started(process=CONDUCTOR, run=1))
    hand.begin()
    hand.write(
        Crashed(process=CONDUCTOR), Started(process=CONDUCTOR, run=2),
        TakenOver(process=CONDUCTOR, conversation=C, epoch=2),
    )  # fmt: skip
    hand.step("take", epoch=2)


@STORIES.breaks("one_writer")
def goes_on_after_a_crash_under_the_old_epoch(hand: Hand) -> None:
    hand.write(Started(process=CONDUCTOR, run=1))
    hand.begin()
    hand.write(Crashed(process=CONDUCTOR), Started(process=CONDUCTOR, run=2))
    hand.step("take")


@STORIES.breaks("one_writer")
def writes_beside_the_owner(hand: Hand) -> None:
    hand.begin()
    hand.write(TakenOver(process="api/conductor~1", conversation=C, epoch=2))
    hand.entry(Kind.INTENT, "take", epoch=2)


@STORIES.keeps("epochs_rise")
def closes_under_the_next_epoch(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.write(TakenOver(process=CONDUCTOR, conversation=C, epoch=2))
    hand.step("begin_move", epoch=2)


@STORIES.breaks("epochs_rise")
def writes_below_the_newest_owner(hand: Hand) -> None:
    hand.begin()
    hand.write(TakenOver(process="api/conductor~1", conversation=C, epoch=2))
    hand.entry(Kind.INTENT, "take")


@STORIES.breaks("epochs_rise")
def is_taken_over_under_an_old_epoch(hand: Hand) -> None:
    hand.begin(epoch=3)
    hand.write(TakenOver(process=CONDUCTOR, conversation=C, epoch=2))


@STORIES.breaks("epochs_rise")
def loses_an_entry(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.INTENT, "begin_move", seq=2)


@STORIES.keeps("undo_order")
@STORIES.keeps("undo_whole")
@STORIES.keeps("one_direction")
def undoes_an_attempt_tries_the_next_and_then_undoes_all(hand: Hand) -> None:
    hand.begin()
    for step in ("take", "begin_move"):
        hand.step(step)
    hand.entry(Kind.INTENT, "choose_target", attempt=1)  # It only reads: nothing to undo.
    hand.step("allocate_target", attempt=1)
    hand.step("allocate_target", attempt=1, is_undo=True)
    hand.step("allocate_target", attempt=2)
    hand.entry(Kind.INTENT, "note_target")  # Intended, and never answered.
    hand.step("note_target", is_undo=True)
    hand.step("allocate_target", attempt=2, is_undo=True)
    for step in ("begin_move", "take"):
        hand.step(step, is_undo=True)
    hand.close(payload=BADLY)


@STORIES.breaks("undo_order")
def undoes_in_forward_order(hand: Hand) -> None:
    hand.begin()
    for step in ("take", "begin_move"):
        hand.step(step)
    for step in ("take", "begin_move"):
        hand.step(step, is_undo=True)


@STORIES.breaks("undo_order")
def undoes_what_was_never_intended(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.step("begin_move", is_undo=True)


@STORIES.breaks("undo_whole")
def undoes_only_what_is_done(hand: Hand) -> None:
    hand.begin()
    hand.entry(Kind.INTENT, "take")
    hand.close(payload=BADLY)


@STORIES.breaks("undo_whole")
def tries_again_over_the_rest_of_an_attempt(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.step("allocate_target", attempt=1)
    hand.step("allocate_target", attempt=2)


@STORIES.breaks("one_direction")
def goes_on_after_an_undo(hand: Hand) -> None:
    hand.begin()
    for step in ("take", "begin_move"):
        hand.step(step)
    hand.step("begin_move", is_undo=True)
    hand.entry(Kind.INTENT, "hold_source")


@STORIES.breaks("one_direction")
def undoes_after_the_settling_step(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.step("spawn_target")
    hand.entry(Kind.INTENT, "spawn_target", is_undo=True)


@STORIES.keeps("one_taker")
def takes_when_the_last_one_has_closed(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.step("take", is_undo=True)
    hand.entry(Kind.END, payload=BADLY)
    hand.entry(Kind.CLOSED)
    hand.begin("c2", epoch=2)
    hand.step("take", conversation="c2", epoch=2)


def owes(hand: Hand) -> None:
    hand.begin(goal=Goal.CONFIRM)
    hand.step("take", goal=Goal.CONFIRM)
    hand.step("owe", goal=Goal.CONFIRM)


@STORIES.keeps("one_taker")
def starts_what_still_owes(hand: Hand) -> None:
    owes(hand)
    hand.begin("c2", epoch=2, goal=Goal.START)
    hand.step("take", conversation="c2", epoch=2, goal=Goal.START)


@STORIES.keeps("one_taker")
def starts_what_was_let_go_though_the_answer_is_not_written_yet(hand: Hand) -> None:
    hand.begin(goal=Goal.CONFIRM)
    hand.step("take", goal=Goal.CONFIRM)
    hand.entry(Kind.INTENT, "owe", goal=Goal.CONFIRM)
    hand.carry(f"{C}:0:owe:execute")
    hand.begin("c2", epoch=2, goal=Goal.START)
    hand.step("take", conversation="c2", epoch=2, goal=Goal.START)


@STORIES.breaks("one_taker")
def starts_what_is_only_about_to_be_let_go(hand: Hand) -> None:
    hand.begin(goal=Goal.CONFIRM)
    hand.step("take", goal=Goal.CONFIRM)
    hand.entry(Kind.INTENT, "owe", goal=Goal.CONFIRM)
    hand.begin("c2", epoch=2, goal=Goal.START)
    hand.step("take", conversation="c2", epoch=2, goal=Goal.START)


@STORIES.breaks("one_taker")
def moves_what_still_owes(hand: Hand) -> None:
    owes(hand)
    hand.begin("c2", epoch=2)
    hand.step("take", conversation="c2", epoch=2)


@STORIES.breaks("one_taker")
def takes_what_another_has(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.begin("c2", epoch=2)
    hand.step("take", conversation="c2", epoch=2)


@STORIES.keeps("deletes_hold")
def begins_to_delete_what_another_has(hand: Hand) -> None:
    hand.begin()
    hand.begin("c2", epoch=2, goal=Goal.DELETE)


@STORIES.breaks("deletes_hold")
def begins_beside_a_delete(hand: Hand) -> None:
    hand.begin(goal=Goal.DELETE)
    hand.begin("c2", epoch=2)


@STORIES.keeps("healthy_succeeds")
def is_refused_what_the_server_does_not_allow(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.INTENT, "begin_move")
    hand.entry(Kind.REFUSED, "begin_move", payload=encode_body(CAUSE))


@STORIES.keeps("healthy_succeeds")
def is_refused_in_the_midst_after_a_crash(hand: Hand) -> None:
    hand.write(Crashed(process="api!eu/cell"))
    refused_in_the_midst(hand)


@STORIES.keeps("healthy_succeeds")
def is_refused_in_the_midst_while_a_partner_is_slow(hand: Hand) -> None:
    hand.write(Slowed(process="api!eu/host:h1", where="volume", call="exists"))
    refused_in_the_midst(hand)


@STORIES.breaks("healthy_succeeds")
def refused_in_the_midst(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.INTENT, "hold_source")
    hand.entry(Kind.REFUSED, "hold_source", payload=encode_body(CAUSE))


@STORIES.keeps("no_mistakes")
def notes_what_may_happen(hand: Hand) -> None:
    hand.write(Noted(process="api!eu/cell", event="answer_unwanted", detail="method=take"))


@STORIES.breaks("no_mistakes")
def notes_that_a_handler_failed(hand: Hand) -> None:
    hand.write(Noted(process="api!eu/cell", event="handler_failed", detail="error=TypeError()"))


def repair(hand: Hand, *steps: str, conversation: str = C) -> None:
    hand.begin(conversation, goal=Goal.REPAIR)
    for step in ("take", "look_in_cells", *steps):
        hand.entry(Kind.INTENT, step, conversation=conversation, goal=Goal.REPAIR)


@STORIES.keeps("nothing_left_over")
def looks_and_finds_news_that_is_late(hand: Hand) -> None:
    repair(hand, "look_at_root", "clear_root")


@STORIES.breaks("nothing_left_over")
def finds_something_to_remove(hand: Hand) -> None:
    repair(hand, "look_at_root", "clear_cell")


@STORIES.keeps("nothing_left_over")
def finds_what_a_move_still_cleans_up_after_a_server_that_is_deleted(hand: Hand) -> None:
    hand.begin("c2", epoch=2, goal=Goal.CONFIRM)
    hand.begin("c3", epoch=3, goal=Goal.DELETE)
    hand.close(conversation="c3", epoch=3, goal=Goal.DELETE)
    repair(hand, "look_at_root", "clear_cell")


@STORIES.breaks("nothing_left_over")
def finds_what_a_move_still_cleans_up_after_a_server_that_is_there(hand: Hand) -> None:
    hand.begin("c2", epoch=2, goal=Goal.CONFIRM)
    repair(hand, "look_at_root", "clear_cell")
