"""Histories of the wire: frames, routes, broadcasts and their answers."""

from protocol.journal import Kind
from sim.faults import Fault, FaultKind
from sim.history import Begun, Crashed, Fired, Lost, Noted
from tests.sim.histories import CELL, CONDUCTOR, C, Hand, S, Stories, note

STORIES = Stories()
TAKE = f"{C}:0:take:execute"
LINK, EU_LINK, EU_CELL = "api/link", "api!eu/link", "api!eu/cell"
REPLIES = "api/replies:conductor:0"
FROM_EU = "api/from:api!eu"


@STORIES.keeps("hops")
def goes_over_the_root(hand: Hand) -> None:
    hand.send(note(route=("api!eu", "api", "api!us"), hops_max=3))


@STORIES.breaks("hops")
def goes_too_far(hand: Hand) -> None:
    hand.send(note(route=("api!eu", "api", "api!us"), hops_max=2))


@STORIES.breaks("hops")
def goes_in_a_circle(hand: Hand) -> None:
    hand.send(note(route=("api", "api!eu", "api")))


@STORIES.keeps("frames_conserved")
def settles_loses_and_hands_out_again(hand: Hand) -> None:
    first, second = hand.send(note()), hand.send(note(id="e2"))
    hand.hand(first, note())
    hand.hand(first, note(), copy=2)
    hand.settle(first)
    hand.write(Lost(process=CONDUCTOR, queue=CELL, frame=second, why="lose"))
    hand.now_s = 100.0


@STORIES.breaks("frames_conserved")
def hands_out_what_was_never_sent(hand: Hand) -> None:
    hand.hand(7, note())


@STORIES.breaks("frames_conserved")
def settles_twice(hand: Hand) -> None:
    frame = hand.send(note())
    hand.settle(frame)
    hand.settle(frame)


@STORIES.breaks("frames_conserved")
def forgets_a_frame(hand: Hand) -> None:
    hand.send(note())
    hand.now_s = 100.0


def carry_to_link(hand: Hand) -> int:
    """Have an envelope come to a link on its way to another cell."""
    frame = hand.send(note(route=("api!eu",)), queue=FROM_EU, process=EU_LINK)
    hand.hand(frame, note(route=("api!eu",)), queue=FROM_EU, process=LINK)
    return frame


@STORIES.keeps("sender_vouched")
def passes_on_what_a_neighbour_answers_for(hand: Hand) -> None:
    known = note(route=("api!eu!eu-1", "api!eu"))
    frame = hand.send(known, queue=FROM_EU, process=EU_LINK)
    hand.hand(frame, known, queue=FROM_EU, process=LINK)
    hand.send(known, process=LINK)


@STORIES.keeps("sender_vouched")
def passes_a_lie_on_to_nobody(hand: Hand) -> None:
    lie = note(route=("api!us",))
    hand.hand(hand.send(lie, queue=FROM_EU, process=EU_LINK), lie, queue=FROM_EU, process=LINK)
    hand.send(note(id="e2"), process=LINK)


@STORIES.breaks("sender_vouched")
def believes_what_a_message_says(hand: Hand) -> None:
    lie = note(route=("api!us",))
    hand.hand(hand.send(lie, queue=FROM_EU, process=EU_LINK), lie, queue=FROM_EU, process=LINK)
    hand.send(lie, process=LINK)


@STORIES.breaks("sender_vouched")
def writes_in_the_place_of_a_link(hand: Hand) -> None:
    hand.send(note(route=("api!eu",)), queue=FROM_EU, process=EU_CELL)


@STORIES.keeps("passed_on")
def passes_on_and_then_acknowledges(hand: Hand) -> None:
    frame = carry_to_link(hand)
    onward = hand.send(note(), process=LINK)
    hand.settle(frame, queue=FROM_EU, process=LINK)
    hand.settle(onward)


@STORIES.keeps("passed_on")
def answers_that_it_cannot_be_passed_on(hand: Hand) -> None:
    frame = carry_to_link(hand)
    refusal = hand.send(note(id="r1", kind="answer", answers=note().id, is_error=True), process=LINK)
    hand.settle(frame, queue=FROM_EU, process=LINK)
    hand.settle(refusal)


@STORIES.keeps("passed_on")
def says_that_it_drops_an_answer(hand: Hand) -> None:
    frame = carry_to_link(hand)
    hand.write(Noted(process=LINK, event="message_refused", detail=f"at=api error=away method={note().method}"))
    hand.settle(frame, queue=FROM_EU, process=LINK)


@STORIES.breaks("passed_on")
def acknowledges_what_went_nowhere(hand: Hand) -> None:
    hand.settle(carry_to_link(hand), queue=FROM_EU, process=LINK)


@STORIES.breaks("passed_on")
def has_another_pass_it_on(hand: Hand) -> None:
    frame = carry_to_link(hand)
    other = hand.send(note(), process=EU_LINK)
    hand.settle(frame, queue=FROM_EU, process=LINK)
    hand.settle(other)


def intend(hand: Hand) -> int:
    """Have the conductor send its first command, and the cell get it."""
    hand.begin()
    hand.entry(Kind.INTENT, "take")
    frame = hand.send(note(key=TAKE))
    hand.hand(frame, note(key=TAKE))
    return frame


@STORIES.keeps("ack_after_commit")
def acknowledges_what_is_durable(hand: Hand) -> None:
    frame = intend(hand)
    hand.carry(TAKE)
    hand.settle(frame)


@STORIES.keeps("ack_after_commit")
def acknowledges_what_is_accepted_and_carries_it_out_later(hand: Hand) -> None:
    frame = intend(hand)
    hand.write(Begun(process=CELL, key=TAKE, server=S, epoch=1, method="take_server"))
    hand.settle(frame)
    hand.carry(TAKE)


@STORIES.keeps("ack_after_commit")
def carries_out_the_second_copy_when_the_first_led_to_nothing(hand: Hand) -> None:
    frame = intend(hand)
    again = hand.send(note(key=TAKE))
    hand.settle(frame)
    hand.hand(again, note(key=TAKE))
    hand.hand(again, note(key=TAKE), copy=2)
    hand.carry(TAKE)
    hand.settle(again)


@STORIES.keeps("ack_after_commit")
def carries_out_what_another_replica_was_handed_first(hand: Hand) -> None:
    frame = intend(hand)
    hand.hand(frame, note(key=TAKE), copy=2, process=f"{CELL}~1")
    hand.carry(TAKE, at=f"{CELL}~1")
    hand.settle(frame, process=f"{CELL}~1")


@STORIES.breaks("ack_after_commit")
def acknowledges_before_it_is_durable(hand: Hand) -> None:
    frame = intend(hand)
    hand.settle(frame)
    hand.carry(TAKE)


@STORIES.breaks("ack_after_commit")
def acknowledges_a_frame_that_came_again_before_it_is_durable(hand: Hand) -> None:
    frame = intend(hand)
    hand.hand(frame, note(key=TAKE), copy=2)
    hand.settle(frame)
    hand.carry(TAKE)


@STORIES.keeps("no_retries")
def sends_a_command_on_and_asks_again_after_a_fault(hand: Hand) -> None:
    intend(hand)
    frame = hand.send(note(key=TAKE), process=LINK, queue=EU_CELL)  # The same envelope, one hop further.
    hand.settle(frame)
    fault = Fault(kind=FaultKind.LOSE, name="f1")
    hand.write(Fired(fault=fault, mattered=True, text="lost"))
    for name in ("e2", "e3"):
        hand.send(note(id=name, key=TAKE))


@STORIES.breaks("no_retries")
def asks_again_though_nothing_went_wrong(hand: Hand) -> None:
    intend(hand)
    hand.send(note(id="e2", key=TAKE))


FIND = note(id="g1", kind="gather", method="find_room", target="down")


def spread(hand: Hand) -> None:
    """Have a broadcast of the conductor come to the link of the cell below, twice."""
    hand.send(FIND, queue=LINK)
    for _ in range(2):
        frame = hand.send(FIND, process=LINK, queue="api!eu/from:api")
        hand.hand(frame, FIND, process=EU_LINK, queue="api!eu/from:api")
        hand.settle(frame, process=EU_LINK, queue="api!eu/from:api")


def ask_own(hand: Hand, name: str) -> None:
    """Have a link ask its own cell what a broadcast asks."""
    own = note(id=name, method="find_room", source=EU_LINK, target=EU_CELL, route=("api!eu",))
    hand.settle(hand.send(own, process=EU_LINK, queue=EU_CELL), queue=EU_CELL)


def answer(hand: Hand, name: str, *, to: str = REPLIES, by: str = CONDUCTOR) -> None:
    """Have the link answer the broadcast."""
    reply = note(id=name, kind="answer", method="find_room", source=EU_LINK, route=("api!eu",), answers="g1")
    own = hand.send(reply, process=EU_LINK, queue=EU_LINK)
    hand.hand(own, reply, process=EU_LINK, queue=EU_LINK)
    frame = hand.send(reply, process=EU_LINK, queue=to)
    hand.settle(own, process=EU_LINK, queue=EU_LINK)
    hand.hand(frame, reply, queue=to, process=by)
    hand.settle(frame, queue=to, process=by)


@STORIES.keeps("broadcast_once")
@STORIES.keeps("one_answer_a_cell")
@STORIES.keeps("answers_reach_asker")
def carries_a_doubled_broadcast_out_once(hand: Hand) -> None:
    spread(hand)
    ask_own(hand, "l1")
    answer(hand, "a1", to="api/replies:link:0", by=LINK)
    answer(hand, "a1")


@STORIES.keeps("broadcast_once")
@STORIES.keeps("one_answer_a_cell")
def carries_it_out_again_after_a_crash(hand: Hand) -> None:
    spread(hand)
    ask_own(hand, "l1")
    answer(hand, "a1")
    hand.write(Crashed(process=EU_LINK))
    ask_own(hand, "l2")
    answer(hand, "a2")


@STORIES.breaks("broadcast_once")
def carries_a_doubled_broadcast_out_twice(hand: Hand) -> None:
    spread(hand)
    ask_own(hand, "l1")
    ask_own(hand, "l2")


@STORIES.breaks("one_answer_a_cell")
def answers_a_doubled_broadcast_twice(hand: Hand) -> None:
    spread(hand)
    answer(hand, "a1")
    answer(hand, "a2")


@STORIES.breaks("answers_reach_asker")
def answers_who_has_not_asked(hand: Hand) -> None:
    spread(hand)
    answer(hand, "a1", to="api/replies:volume:0", by="api/volume")
