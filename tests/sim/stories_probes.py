"""For each probe that is no fault: a history that reaches it."""

from collections.abc import Callable
from typing import Any, Final

from protocol.bodies import encode_body
from protocol.errors import NoValidHost, report
from protocol.gather import CellAnswer
from protocol.journal import Kind
from protocol.messages.hosts import GuestReport
from protocol.messages.orders import PowerServer, SettleMove
from protocol.messages.servers import Origin
from protocol.requests import Gathered
from protocol.states import Goal, PowerState
from sim.history import (
    Answered,
    Begun,
    Closed,
    Crashed,
    Happening,
    Looked,
    Noted,
    Ordered,
    Settled,
    TakenOver,
    Undone,
)
from tests.sim.histories import BADLY, CELL, CONDUCTOR, ROOT, WELL, C, Hand, S, Story, note

TAKE: Final = f"{C}:0:take:execute"
TAKE_BACK: Final = f"{C}:0:take:undo"
ORIGIN: Final = Origin(request_id="r", user="u", project="p")
NO_HOST: Final = encode_body(report(NoValidHost(server=S, reason="none"), cell="api"))
SILENT: Final = encode_body(Gathered(answers=(CellAnswer(cell=ROOT, body=b"", is_error=True),)))
EUROPE: Final = ("api!eu", "api", "api!us")


def power(state: PowerState) -> bytes:
    return encode_body(GuestReport(power_state=state, permit=None))


def looked(verdict: str, key: str = TAKE) -> Looked:
    return Looked(process=CELL, key=key, server=S, epoch=1, method="take_server", verdict=verdict)


def of(*happenings: Happening) -> Story:
    """Write just these."""
    return lambda hand: hand.write(*happenings)


def both(*parts: Story) -> Story:
    """Write one after the other."""

    def story(hand: Hand) -> None:
        for part in parts:
            part(hand)

    return story


def begin(hand: Hand) -> None:
    hand.begin()


def ends(goal: Goal, payload: bytes) -> Story:
    return lambda hand: hand.entry(Kind.END, goal=goal, payload=payload)


def taken(then: Callable[[Hand], object], **fields: Any) -> Story:
    """Take a server first."""

    def story(hand: Hand) -> None:
        hand.begin(**fields)
        hand.step("take", **fields)
        then(hand)

    return story


def entry(kind: Kind, step: str = "", **fields: Any) -> Story:
    return taken(lambda hand: hand.entry(kind, step, **fields))


def ended(goal: Goal, payload: bytes) -> Story:
    return taken(ends(goal, payload), goal=goal)


def crash(process: str) -> Story:
    return taken(lambda hand: hand.write(Crashed(process=process)))


def answered(order: SettleMove | PowerServer, error: str) -> Callable[[Hand], None]:
    return lambda hand: hand.write(Ordered(number=1, order=order), Answered(number=1, error=error))


def refused(goal: Goal, error: str, *, beside: Goal) -> Story:
    """Refuse an order while a conversation with that other goal has the server."""
    order = (
        SettleMove(server=S, goal=goal, origin=ORIGIN)
        if goal in {Goal.CONFIRM, Goal.REVERT}
        else PowerServer(server=S, goal=goal, origin=ORIGIN)
    )
    return taken(answered(order, error), goal=beside)


def undo_refused(hand: Hand) -> None:
    hand.entry(Kind.INTENT, "begin_move")
    hand.entry(Kind.REFUSED, "begin_move")
    hand.entry(Kind.INTENT, "begin_move", is_undo=True)


def undo_unanswered(hand: Hand) -> None:
    hand.entry(Kind.INTENT, "begin_move")
    hand.carry(f"{C}:0:begin_move:execute")
    hand.entry(Kind.INTENT, "begin_move", is_undo=True)


def settled_comes_again(hand: Hand) -> None:
    hand.step("spawn_target")
    hand.write(looked("known", f"{C}:0:commit:execute"))


def two_moves(hand: Hand) -> None:
    hand.begin()
    hand.begin("c2", server="s2")


def second_attempt(hand: Hand) -> None:
    for attempt in (1, 2):
        hand.entry(Kind.INTENT, "choose_target", attempt=attempt)


def takeover(hand: Hand) -> None:
    hand.begin()
    hand.write(TakenOver(process=CONDUCTOR, conversation=C, epoch=2))


def takeover_in_the_close(hand: Hand) -> None:
    hand.begin()
    hand.entry(Kind.END, payload=WELL)
    hand.write(*(TakenOver(process=CONDUCTOR, conversation=C, epoch=epoch) for epoch in (2, 3)))


def crash_before_first_step(hand: Hand) -> None:
    hand.begin()
    hand.write(Crashed(process=CONDUCTOR))


def crash_after_intent(hand: Hand) -> None:
    hand.begin()
    hand.entry(Kind.INTENT, "take")
    hand.write(Crashed(process=CONDUCTOR))


def noted(event: str) -> Story:
    return of(Noted(process=CELL, event=event, detail=""))


#: A conversation takes the epoch under which it closes.
CLOSING: Final = of(TakenOver(process=CONDUCTOR, conversation=C, epoch=2))
ACTORS: Final = ("conductor", "cell", "link", "image", "volume", "network")
ACCEPTED: Final = Begun(process=CELL, key=TAKE, server=S, epoch=1, method="take_server")
STORIES: Final[dict[str, Story]] = {
    "undo": entry(Kind.INTENT, "take", is_undo=True),
    "undo_unanswered": taken(undo_unanswered),
    "undo_refused": taken(undo_refused),
    "undo_of_nothing": lambda hand: hand.carry(TAKE_BACK),
    "undo_of_spawn": entry(Kind.INTENT, "spawn_target", is_undo=True),
    "comes_again": of(looked("known")),
    "undo_comes_again": of(looked("accepted", TAKE_BACK)),
    "settled_comes_again": taken(settled_comes_again),
    "answered_from_inbox": of(looked("known")),
    "asked_while_accepted": of(looked("accepted")),
    "late_execute": of(looked("superseded")),
    "stale_epoch": of(looked("stale_epoch")),
    "second_attempt": taken(second_attempt),
    "gather_missing_cell": entry(Kind.DONE, "choose_target", attempt=1, payload=SILENT),
    "swept_later": of(Closed(process=CELL, conversation=C, server=S, epoch=0, lowest_open=1)),
    "two_moves": two_moves,
    "create_failed": ended(Goal.CREATE, BADLY),
    "move_failed": ended(Goal.MIGRATE, BADLY),
    "moved": ended(Goal.RESIZE, WELL),
    "moved_inside": entry(Kind.DONE, "finish_inside"),
    "confirmed_inside": entry(Kind.DONE, "leave_source", goal=Goal.CONFIRM),
    "reverted_inside": entry(Kind.DONE, "leave_target", goal=Goal.REVERT),
    "confirmed": ended(Goal.CONFIRM, WELL),
    "reverted": ended(Goal.REVERT, WELL),
    "swapped": ended(Goal.SWAP, WELL),
    "revert_given_up": taken(
        both(lambda hand: hand.step("begin_revert", goal=Goal.REVERT), ends(Goal.REVERT, BADLY)), goal=Goal.REVERT
    ),
    "stopped_moved": entry(Kind.DONE, "stop_guest", payload=power(PowerState.SHUTDOWN)),
    "volume_backed_moved": entry(Kind.DONE, "stop_guest", payload=power(PowerState.RUNNING)),
    "revert_attached": entry(Kind.INTENT, "reserve_returned", goal=Goal.REVERT),
    "revert_detached": entry(Kind.INTENT, "delete_detached", goal=Goal.REVERT),
    "settled_too_early": refused(Goal.CONFIRM, "conflict", beside=Goal.RESIZE),
    "confirm_and_revert": refused(Goal.CONFIRM, "conflict", beside=Goal.REVERT),
    "double_order": refused(Goal.STOP, "conflict", beside=Goal.STOP),
    "no_valid_host": entry(Kind.REFUSED, "choose_target", attempt=1, payload=NO_HOST),
    "takeover": takeover,
    "takeover_in_the_close": takeover_in_the_close,
    **{f"crash_of_{role}": crash(f"api/{role}") for role in ACTORS},
    "crash_of_host": crash("api!eu/host:h1"),
    "crash_before_first_step": crash_before_first_step,
    "crash_after_intent": crash_after_intent,
    "crash_while_ensuring": of(ACCEPTED, Crashed(process=CELL)),
    "two_edges": lambda hand: hand.send(note(route=EUROPE)),
    "frame_of_several": lambda hand: hand.send(note(), note(id="e2")),
    "frame_again": lambda hand: hand.hand(hand.send(note()), note(), copy=2),
    "dead_letter": of(Settled(process=CELL, queue=CELL, frame=1, reason="malformed")),
    "late_answer": noted("answer_unwanted"),
    "broadcast_doubled": noted("broadcast_doubled"),
    "message_refused": noted("message_refused"),
    "ownership_lost": noted("conversation_lost"),
    "store_away": noted("conversation_waits"),
    "outbox_waits": noted("outbox_waits"),
    "commits_undone": of(Undone(process=CELL, transactions=1)),
}  # fmt: skip

#: Histories that come near a probe, and do not reach it.
NEAR: Final[dict[str, Story]] = {
    "undo_of_nothing": both(lambda hand: hand.carry(TAKE), lambda hand: hand.carry(TAKE_BACK)),
    "undo_unanswered": entry(Kind.INTENT, "take", is_undo=True),
    "second_attempt": entry(Kind.INTENT, "choose_target", attempt=1),
    "swept_later": of(Closed(process=CELL, conversation=C, server=S, epoch=7, lowest_open=1)),
    "moved_inside": entry(Kind.INTENT, "finish_inside"),
    "two_moves": both(begin, lambda hand: hand.begin("c2", server="s2", goal=Goal.STOP)),
    "confirm_and_revert": refused(Goal.CONFIRM, "conflict", beside=Goal.CONFIRM),
    "double_order": refused(Goal.STOP, "conflict", beside=Goal.START),
    "volume_backed_moved": taken(
        both(
            lambda hand: hand.entry(Kind.INTENT, "create_snapshot"),
            lambda hand: hand.entry(Kind.DONE, "stop_guest", payload=power(PowerState.RUNNING)),
        )
    ),
    "takeover": both(begin, ends(Goal.RESIZE, WELL), CLOSING),
    "takeover_in_the_close": both(begin, ends(Goal.RESIZE, WELL), CLOSING),
    "crash_of_cell": of(Crashed(process=CELL)),
    "crash_while_ensuring": both(lambda hand: hand.carry(TAKE, is_begun=True), of(Crashed(process=CELL))),
    "crash_after_intent": crash(CONDUCTOR),
    "two_edges": lambda hand: hand.send(note(route=("api", "api!eu"))),
    "frame_again": lambda hand: hand.hand(hand.send(note()), note()),
    "dead_letter": of(Settled(process=CELL, queue=CELL, frame=1)),
    "revert_given_up": ended(Goal.REVERT, BADLY),
}  # fmt: skip
