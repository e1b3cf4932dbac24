"""Histories of effects: what actors may carry out, and what not."""

from typing import Any, Final

from protocol.journal import Kind
from sim.history import Begun, Carried, Closed, Looked
from tests.sim.histories import CELL, CONDUCTOR, DONE, WELL, C, Hand, S, Stories, note

STORIES = Stories()
TAKE = f"{C}:0:take:execute"
TAKE_BACK = f"{C}:0:take:undo"
ORDER: Final[dict[str, Any]] = {"key": "client-1:1", "server": S, "epoch": 0, "method": "move_server"}


def intend(hand: Hand, *, is_undone: bool = False) -> None:
    """Begin a conversation that intends to take its server, and perhaps to take that back."""
    hand.begin()
    hand.entry(Kind.INTENT, "take")
    if is_undone:
        hand.entry(Kind.INTENT, "take", is_undo=True)


@STORIES.keeps("intent_first")
def sends_what_it_intends_and_plain_calls(hand: Hand) -> None:
    intend(hand)
    hand.send(note(key=TAKE), note(id="e2", key="client-7:12"), note(id="e3"))
    hand.carry(TAKE)


@STORIES.breaks("intent_first")
def sends_before_the_intent_is_durable(hand: Hand) -> None:
    hand.begin()
    hand.send(note(key=TAKE))


@STORIES.breaks("intent_first")
def asks_again_under_a_fresh_key(hand: Hand) -> None:
    intend(hand)
    hand.carry(TAKE)
    hand.write(
        Looked(process=CELL, key=f"{C}:1:take:execute", server=S, epoch=1, method="take_server", verdict="fresh")
    )


@STORIES.breaks("intent_first")
def answers_do_not_count_but_other_commands_of_the_frame_do(hand: Hand) -> None:
    intend(hand)
    hand.send(note(kind="answer", key=TAKE_BACK, answers="e9"), note(id="e2", key=f"{C}:0:begin_move:execute"))


@STORIES.keeps("epochs_fence")
def applies_rising_epochs(hand: Hand) -> None:
    hand.begin(epoch=1)
    hand.step("take", epoch=1)
    hand.step("begin_move", epoch=5)
    hand.begin("c2", server="s2", epoch=2)
    hand.step("take", conversation="c2", server="s2", epoch=2)  # Another server has epochs of its own.
    hand.entry(Kind.INTENT, "hold_source", epoch=5)
    hand.carry(f"{C}:0:hold_source:execute", epoch=4, is_error=True)  # What is refused has no effect.
    hand.entry(Kind.INTENT, "mark_cross_cell", attempt=1, epoch=5)
    hand.entry(Kind.INTENT, "mark_cross_cell", attempt=1, epoch=5, is_undo=True)
    hand.carry(f"{C}:1:mark_cross_cell:undo", epoch=9)  # Only a tombstone, which fences nobody.
    hand.entry(Kind.INTENT, "prepare_source", epoch=5)
    hand.carry(f"{C}:0:prepare_source:execute", epoch=5)


@STORIES.keeps("epochs_fence")
def applies_what_is_behind_a_second_closing(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.END, payload=WELL)
    hand.write(Closed(process=CELL, conversation=C, server=S, epoch=3, lowest_open=4))
    hand.begin("c2", epoch=4)
    hand.write(Closed(process=CELL, conversation=C, server=S, epoch=6, lowest_open=4))  # It has forgotten that it is.
    hand.step("begin_move", conversation="c2", epoch=4)


@STORIES.breaks("epochs_fence")
def applies_an_older_epoch(hand: Hand) -> None:
    hand.begin()
    hand.step("take", epoch=3)
    hand.entry(Kind.INTENT, "begin_move", epoch=3)
    hand.carry(f"{C}:0:begin_move:execute", epoch=2)


@STORIES.breaks("epochs_fence")
def accepts_an_older_epoch(hand: Hand) -> None:
    hand.begin()
    hand.step("take", epoch=3)
    hand.entry(Kind.INTENT, "begin_move", epoch=3)
    hand.write(Begun(process=CELL, key=f"{C}:0:begin_move:execute", server=S, epoch=2, method="any"))


@STORIES.breaks("epochs_fence")
def applies_what_is_behind_a_closing(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.INTENT, "begin_move")
    hand.entry(Kind.END, payload=WELL)
    hand.write(Closed(process=CELL, conversation=C, server=S, epoch=2, lowest_open=0))
    hand.carry(f"{C}:0:begin_move:execute", epoch=1)


@STORIES.breaks("epochs_fence")
def applies_what_is_behind_the_lowest_open_epoch(hand: Hand) -> None:
    hand.begin("c2", server="s2")
    hand.entry(Kind.INTENT, "take", conversation="c2", server="s2")
    hand.begin(epoch=2)
    hand.entry(Kind.END, epoch=2, payload=WELL)
    hand.entry(Kind.END, conversation="c2", server="s2", payload=WELL)
    hand.entry(Kind.RELEASED, conversation="c2", server="s2")
    hand.write(Closed(process=CELL, conversation=C, server=S, epoch=3, lowest_open=4))
    hand.carry("c2:0:take:execute", server="s2")


@STORIES.keeps("carried_once")
@STORIES.keeps("reply_constant")
def answers_again_without_doing_it_again(hand: Hand) -> None:
    intend(hand)
    hand.carry(TAKE, is_begun=True)
    hand.write(Looked(process=CELL, key=TAKE, server=S, epoch=1, method="take_server", verdict="known"))
    hand.send(note(kind="answer", source=CELL, target=CONDUCTOR, key=TAKE, answers="e1"), process=CELL)
    # Two conductors that share a store bring the same order to its end; one of them writes it.
    hand.write(Begun(process=CONDUCTOR, **ORDER))
    for conductor in (CONDUCTOR, f"{CONDUCTOR}~1"):
        hand.write(Carried(process=conductor, **ORDER, reply="accepted", is_error=False))


@STORIES.keeps("reply_constant")
def gathers_a_refusal_among_what_all_cells_reply(hand: Hand) -> None:
    hand.carry("client-1:1", is_error=True)
    hand.send(
        note(kind="answer", source="api/link", target=CONDUCTOR, key="client-1:1", answers="e1"), process="api/link"
    )


@STORIES.breaks("carried_once")
def carries_a_command_out_twice(hand: Hand) -> None:
    intend(hand)
    hand.carry(TAKE)
    hand.carry(TAKE)


@STORIES.breaks("carried_once")
def accepts_a_command_twice(hand: Hand) -> None:
    intend(hand)
    hand.carry(TAKE, is_begun=True)
    hand.write(Begun(process=CELL, key=TAKE, server=S, epoch=1, method="take_server"))


@STORIES.breaks("carried_once")
def carries_a_plain_call_out_twice(hand: Hand) -> None:
    hand.carry("client-1:1")
    hand.carry("client-1:1")


@STORIES.breaks("reply_constant")
def says_that_a_refused_command_is_done(hand: Hand) -> None:
    intend(hand)
    hand.carry(TAKE, is_error=True)
    hand.send(note(kind="answer", source=CELL, target=CONDUCTOR, key=TAKE, answers="e1"), process=CELL)


@STORIES.breaks("reply_constant")
def replies_otherwise_to_a_shared_order(hand: Hand) -> None:
    hand.write(Begun(process=CONDUCTOR, **ORDER))
    for reply in ("accepted", "something else"):
        hand.write(Carried(process=CONDUCTOR, **ORDER, reply=reply, is_error=False))


@STORIES.keeps("undo_poisons")
def undoes_what_was_done_and_refuses_what_comes_late(hand: Hand) -> None:
    intend(hand, is_undone=True)
    hand.carry(TAKE)
    hand.carry(TAKE_BACK)
    hand.write(Looked(process=CELL, key=TAKE, server=S, epoch=1, method="take_server", verdict="superseded"))


@STORIES.breaks("undo_poisons")
def carries_out_what_comes_after_its_undo(hand: Hand) -> None:
    intend(hand, is_undone=True)
    hand.carry(TAKE_BACK)
    hand.carry(TAKE)


@STORIES.breaks("undo_poisons")
def accepts_what_is_being_undone(hand: Hand) -> None:
    intend(hand, is_undone=True)
    hand.write(Begun(process=CELL, key=TAKE_BACK, server=S, epoch=1, method="release"))
    hand.write(Begun(process=CELL, key=TAKE, server=S, epoch=1, method="take_server"))


@STORIES.keeps("outcomes_true")
def writes_what_was_carried_out_and_what_was_read(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.INTENT, "choose_target", attempt=1)
    hand.entry(Kind.REFUSED, "choose_target", attempt=1)


@STORIES.breaks("outcomes_true")
def takes_a_late_answer_for_that_of_the_next_step(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.INTENT, "begin_move")
    hand.entry(Kind.DONE, "begin_move", payload=DONE)


@STORIES.breaks("outcomes_true")
def takes_a_refusal_for_a_success(hand: Hand) -> None:
    intend(hand)
    hand.carry(TAKE, is_error=True)
    hand.entry(Kind.DONE, "take", payload=DONE)


@STORIES.keeps("closed_last")
def closes_what_has_ended_and_forgets_what_is_behind_all(hand: Hand) -> None:
    hand.begin(epoch=2)
    hand.entry(Kind.END, epoch=2, payload=WELL)
    hand.begin("c2", server="s2", epoch=3)
    hand.write(Closed(process=CELL, conversation=C, server=S, epoch=4, lowest_open=3))


@STORIES.breaks("closed_last")
def closes_what_has_not_ended(hand: Hand) -> None:
    hand.begin(epoch=2)
    hand.write(Closed(process=CELL, conversation=C, server=S, epoch=4, lowest_open=0))


@STORIES.breaks("closed_last")
def forgets_behind_an_open_conversation(hand: Hand) -> None:
    hand.begin("c2", server="s2", epoch=1)
    hand.begin(epoch=2)
    hand.entry(Kind.END, epoch=2, payload=WELL)
    hand.write(Closed(process=CELL, conversation=C, server=S, epoch=4, lowest_open=5))
