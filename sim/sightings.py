"""How the probes that are no faults are told from a history's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from protocol.errors import ErrorReport
from protocol.journal import Kind
from protocol.messages.changes import ChangeServer
from protocol.messages.hosts import GuestReport
from protocol.messages.orders import SettleMove
from protocol.requests import Gathered
from protocol.saga import read
from protocol.states import Goal, PowerState
from sim.checkers.chronicle import Chronicle, StepKey, Tale, actor_of, is_step, key_of, step_key
from sim.history import (
    Answered,
    Begun,
    Carried,
    Closed,
    Crashed,
    Handed,
    Happening,
    Journaled,
    Looked,
    Noted,
    Ordered,
    Sent,
    Settled,
    TakenOver,
    Undone,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.cases.workload import Wish

MOVES: Final = frozenset({Goal.RESIZE, Goal.MIGRATE})
SPAWN: Final = "spawn_target"
ENDS: Final = {
    (Goal.CREATE, False): "create_failed",
    (Goal.RESIZE, False): "move_failed",
    (Goal.MIGRATE, False): "move_failed",
    (Goal.RESIZE, True): "moved",
    (Goal.MIGRATE, True): "moved",
    (Goal.CONFIRM, True): "confirmed",
    (Goal.REVERT, True): "reverted",
    (Goal.SWAP, True): "swapped",
}
VERDICTS: Final = {"known": "answered_from_inbox", "accepted": "asked_while_accepted", "superseded": "late_execute"}
STALE: Final = "stale_epoch"
REVERT_STEPS: Final = {"reserve_returned": "revert_attached", "delete_detached": "revert_detached"}
#: Only moves inside of a cell have these.
INSIDE_STEPS: Final = {
    "finish_inside": "moved_inside", "leave_source": "confirmed_inside", "leave_target": "reverted_inside",
}  # fmt: skip
EVENTS: Final = {
    "answer_unwanted": "late_answer",
    "broadcast_doubled": "broadcast_doubled",
    "message_refused": "message_refused",
    "conversation_lost": "ownership_lost",
    "conversation_waits": "store_away",
    "outbox_waits": "outbox_waits",
}
ROLES: Final = frozenset({"conductor", "cell", "link", "host", "image", "volume", "network"})
CONDUCTOR: Final = "conductor"
#: Cells on a route that has passed two edges.
TWO_EDGES: Final = 3


class Sightings:
    """Reads each line, with the little that it remembers of those before, and names the probes that it reaches."""

    def __init__(self, reach: Callable[[str], None]) -> None:
        self._reach = reach
        self._chronicle = Chronicle()
        self._carried: set[str] = set()
        self._applied: set[str] = set()
        self._accepted: dict[str, str] = {}  # Commands that were accepted and not answered, and by whom.
        self._closing: set[str] = set()
        self._orders: dict[int, Wish] = {}
        self._ears: dict[type[Happening], Callable[[Any], None]] = {
            Journaled: self._journaled, TakenOver: self._taken_over, Looked: self._look, Begun: self._begun,
            Carried: self._carry, Closed: self._closed, Crashed: self._crashed, Ordered: self._ordered,
            Answered: self._answered, Sent: self._sent, Handed: self._handed, Settled: self._settled,
            Noted: self._noted, Undone: self._undone,
        }  # fmt: skip
        self._write = self._chronicle.ears()[Journaled]

    @property
    def kinds(self) -> tuple[type[Happening], ...]:
        """Name what it takes in at all."""
        return tuple(self._ears)

    def hear(self, what: Happening) -> None:
        """Take in what happened next."""
        ear = self._ears.get(type(what))
        if ear is not None:
            ear(what)

    # --- journals ----------------------------------------------------------------------------------------------

    def _journaled(self, what: Journaled) -> None:
        self._write(what)
        tale, entry = self._chronicle.tales[what.conversation], what.entry
        match entry.kind:
            case Kind.BEGIN if tale.goal in MOVES:
                self._began(tale)
            case Kind.INTENT if entry.is_undo:
                self._undoes(tale)
            case Kind.INTENT:
                self._goes_on(tale)
            case Kind.DONE if not entry.is_undo:
                self._done(tale)
            case Kind.REFUSED:
                self._refused(tale)
            case Kind.END:
                self._ended(tale)
            case _:
                pass

    def _began(self, tale: Tale) -> None:
        if any(other.goal in MOVES and other.server != tale.server for other in self._chronicle.all_open()):
            self._reach("two_moves")

    def _undoes(self, tale: Tale) -> None:
        entry = tale.last
        self._reach("undo")
        same = [each for each in tale.entries if (each.step, each.attempt) == (entry.step, entry.attempt)]
        is_done = any(each.kind is Kind.DONE and not each.is_undo for each in same)
        execute = step_key(key_of(tale.conversation, entry))
        if not is_done and execute is not None and execute.execute in self._carried:
            self._reach("undo_unanswered")
        if any(each.kind is Kind.REFUSED for each in same):
            self._reach("undo_refused")
        if entry.step == SPAWN:
            self._reach("undo_of_spawn")

    def _goes_on(self, tale: Tale) -> None:
        entry = tale.last
        if entry.attempt > 1 and entry.attempt > max(each.attempt for each in tale.entries[:-1]):
            self._reach("second_attempt")
        if entry.step in REVERT_STEPS:
            self._reach(REVERT_STEPS[entry.step])

    def _done(self, tale: Tale) -> None:
        entry = tale.last
        if entry.step == "choose_target":
            if any(answer.is_error for answer in read(entry.payload, Gathered).answers):
                self._reach("gather_missing_cell")
        elif entry.step == "stop_guest":
            if read(entry.payload, GuestReport).power_state is PowerState.SHUTDOWN:
                self._reach("stopped_moved")
            if not tale.has(Kind.INTENT, "create_snapshot"):
                self._reach("volume_backed_moved")
        elif entry.step in INSIDE_STEPS:
            self._reach(INSIDE_STEPS[entry.step])

    def _refused(self, tale: Tale) -> None:
        entry = tale.last
        if entry.step == "choose_target" and read(entry.payload, ErrorReport).code == "no_valid_host":
            self._reach("no_valid_host")

    def _ended(self, tale: Tale) -> None:
        probe = ENDS.get((tale.goal, bool(tale.is_success)))
        if probe is not None:
            self._reach(probe)
        elif tale.goal is Goal.REVERT and tale.has(Kind.DONE, "begin_revert"):
            self._reach("revert_given_up")

    def _taken_over(self, what: TakenOver) -> None:
        tale = self._chronicle.tales[what.conversation]
        if tale.last.kind not in {Kind.END, Kind.CLOSED}:
            self._reach("takeover")
            return
        # An owner that closes takes the next epoch, too: that is the first of these.
        if what.conversation in self._closing:
            self._reach("takeover_in_the_close")
        self._closing.add(what.conversation)

    # --- commands ----------------------------------------------------------------------------------------------

    def _look(self, what: Looked) -> None:
        key = step_key(what.key)
        if key is None:
            return
        probe = VERDICTS.get(what.verdict)
        if probe is not None:
            self._reach(probe)
        if what.verdict == STALE:
            self._reach(STALE)
        if what.verdict in {"known", "accepted"}:
            self._again(key)

    def _again(self, key: StepKey) -> None:
        self._reach("comes_again")
        tale = self._chronicle.tales.get(key.conversation)
        if key.is_undo:
            self._reach("undo_comes_again")
        elif tale is not None and tale.is_settled:
            self._reach("settled_comes_again")

    def _begun(self, what: Begun) -> None:
        self._accepted[what.key] = actor_of(what.process)
        self._applied.add(what.key)

    def _carry(self, what: Carried) -> None:
        self._accepted.pop(what.key, None)
        key = step_key(what.key)
        if key is None or what.is_error:
            return
        self._carried.add(what.key)
        if key.is_undo and key.execute not in self._applied:
            self._reach("undo_of_nothing")
        self._applied.add(what.key)

    def _closed(self, what: Closed) -> None:
        if what.epoch == 0:
            self._reach("swept_later")

    def _crashed(self, what: Crashed) -> None:
        tales = self._chronicle.all_open()
        actor = actor_of(what.process)
        role = actor.rpartition("/")[2].partition(":")[0]
        if tales and role in ROLES:
            self._reach(f"crash_of_{role}")
        if actor in self._accepted.values():
            self._reach("crash_while_ensuring")
        if role == CONDUCTOR:
            if any(tale.last.kind is Kind.BEGIN for tale in tales):
                self._reach("crash_before_first_step")
            if any(tale.last.kind is Kind.INTENT and is_step(tale.goal, tale.last) for tale in tales):
                self._reach("crash_after_intent")

    # --- users -------------------------------------------------------------------------------------------------

    def _ordered(self, what: Ordered) -> None:
        self._orders[what.number] = what.order

    def _answered(self, what: Answered) -> None:
        order = self._orders.pop(what.number)
        if not what.error or isinstance(order, ChangeServer):
            return
        goals = [tale.goal for tale in self._chronicle.open_of(order.server) if tale.has(Kind.DONE, "take")]
        if isinstance(order, SettleMove):
            if what.error == "invalid_state":
                self._reach("settled_too_early")
            elif what.error == "conflict" and any(goal in {Goal.CONFIRM, Goal.REVERT} for goal in goals):
                self._reach("double_order" if order.goal in goals else "confirm_and_revert")
            elif what.error == "conflict" and any(goal in MOVES for goal in goals):
                self._reach("settled_too_early")
        elif what.error == "conflict" and order.goal in goals:
            self._reach("double_order")

    # --- the wire, and what actors tell ------------------------------------------------------------------------

    def _sent(self, what: Sent) -> None:
        if len(what.notes) > 1:
            self._reach("frame_of_several")
        if any(len(note.route) >= TWO_EDGES for note in what.notes):
            self._reach("two_edges")

    def _handed(self, what: Handed) -> None:
        if what.copy > 1:
            self._reach("frame_again")

    def _settled(self, what: Settled) -> None:
        if what.reason:
            self._reach("dead_letter")

    def _noted(self, what: Noted) -> None:
        probe = EVENTS.get(what.event)
        if probe is not None:
            self._reach(probe)

    def _undone(self, what: Undone) -> None:
        if what.transactions:
            self._reach("commits_undone")
