"""The oracles that judge orders, records and the end of a run, each over what keeps its promise and what breaks it."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from protocol.errors import CallTimeout, HypervisorFailed, PermitRefused
from protocol.ids import derived_id
from protocol.journal import Kind
from protocol.records import (
    ActionEvent,
    Fault,
    HostFence,
    Migration,
    MirroredFault,
    Notification,
    Record,
    Server,
    ServerAction,
)
from protocol.states import Goal, MigrationStatus, VmState
from protocol.truth import ConversationTruth, Truth
from sim.checkers.orders import BOUND_S
from sim.history import Answered, Phase
from tests.protocol.invariants import worlds
from tests.sim.histories import BADLY, NOWHERE, WELL, C, Hand, S

LATE: Final = CallTimeout(address="api/cell", method="take_server", waited_s=30.0)
HELD: Final = PermitRefused(server=S, number=1, reason="it is held by h1")
BROKEN_HOST: Final = HypervisorFailed(host="h1", server=S, action="destroy", reason="no")


@pytest.fixture
def hand() -> Hand:
    return Hand()


def conversation(**fields: Any) -> ConversationTruth:
    usual = ConversationTruth(conversation=C, server=S, goal=Goal.RESIZE, epoch=1, is_ended=True, is_closed=True)
    return attrs.evolve(usual, **fields)


def knowing(*conversations: ConversationTruth) -> Truth:
    return attrs.evolve(NOWHERE, conversations=conversations)


def with_row(truth: Truth, cell: str, *rows: Record) -> Truth:
    """Put rows into a cell, in the place of those with the same key."""
    keys = {(type(row), row.key) for row in rows}
    cells = tuple(
        attrs.evolve(each, rows=(*(row for row in each.rows if (type(row), row.key) not in keys), *rows))
        if str(each.path) == cell
        else each
        for each in truth.cells
    )
    return attrs.evolve(truth, cells=cells)


# --- orders ------------------------------------------------------------------------------------------------


def order(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    hand.write(Answered(number=1, conversation=C), Answered(number=2, error="conflict"))


def test_an_order_that_is_durable_when_it_is_acknowledged_is_no_breach(hand: Hand) -> None:
    """Acknowledged, carried out and known to the journals: nothing is wrong, nor with an order that is refused."""
    order(hand)
    assert hand.judged(knowing(conversation())) == []


def test_an_order_that_no_journal_has_is_acknowledged_too_early(hand: Hand) -> None:
    """The user was told something that a crash could still undo."""
    hand.write(Answered(number=1, conversation=C))
    assert hand.judged(knowing(conversation())) == ["acknowledged_kept"]


def test_an_order_whose_server_is_not_taken_is_acknowledged_too_early(hand: Hand) -> None:
    """Another conversation may still have the server."""
    hand.begin()
    hand.write(Answered(number=1, conversation=C))
    assert hand.judged(knowing(conversation())) == ["acknowledged_kept"]


def test_an_acknowledged_order_that_the_journals_have_forgotten_is_a_breach(hand: Hand) -> None:
    """A lost store is no excuse."""
    order(hand)
    assert hand.judged(NOWHERE) == ["acknowledged_kept"]


# --- the end -----------------------------------------------------------------------------------------------


def heal(hand: Hand, *, then_s: float) -> None:
    hand.write(Phase(name="healed"))
    hand.now_s += then_s


def test_a_conversation_that_is_over_in_time_is_no_breach(hand: Hand) -> None:
    """The bound counts from the healing, or from the begin of what begins later."""
    hand.begin()
    heal(hand, then_s=BOUND_S - 1)
    hand.close(payload=BADLY)
    hand.now_s += BOUND_S
    hand.begin("c2", server="s2")
    hand.now_s += BOUND_S - 1
    hand.close(conversation="c2", server="s2", payload=BADLY)
    assert hand.judged(knowing(conversation()), healed_for_s=3 * BOUND_S) == []


def test_a_conversation_that_is_over_too_late_is_a_breach(hand: Hand) -> None:
    """Nothing was in its way any more."""
    hand.begin()
    heal(hand, then_s=BOUND_S + 1)
    hand.close(payload=BADLY)
    assert hand.judged(NOWHERE) == ["ends_in_time"]


def test_a_conversation_that_goes_on_for_ever_is_a_breach(hand: Hand) -> None:
    """It neither ends nor says what it waits for, which the invariant of progress sees, too."""
    hand.begin()
    heal(hand, then_s=BOUND_S + 1)
    endless = conversation(is_ended=False, is_closed=False)
    assert hand.judged(knowing(endless), healed_for_s=BOUND_S + 1) == ["progress", "ends_in_time"]


def parked(hand: Hand, reason: str) -> Truth:
    hand.begin()
    hand.step("take")
    hand.entry(Kind.INTENT, "begin_move")
    heal(hand, then_s=BOUND_S + 1)
    return knowing(conversation(is_ended=False, is_closed=False, waits_for=reason))


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        (f"begin_move at api!eu/cell: {BROKEN_HOST}", []),
        (f"begin_move at api!eu/cell: {LATE}", ["parked_truly"]),
        (f"begin_move at api!eu/cell: {HELD}", ["parked_truly"]),
        (f"take at api/cell: {BROKEN_HOST}", ["parked_truly"]),
        ("a mistake of cellferry: KeyError('x')", ["parked_truly"]),
    ],
)
def test_a_reason_to_wait_is_true_when_it_is_about_this_step_and_would_not_pass(
    hand: Hand, reason: str, found: list[str]
) -> None:
    """When all is healed nobody waits for an answer that came late, our own refusal or mistake, nor at another step."""
    truth = parked(hand, reason)
    assert hand.judged(truth, healed_for_s=BOUND_S) == found


def test_a_conversation_may_wait_for_what_passes_while_it_has_not_passed(hand: Hand) -> None:
    """Right after the healing the reason is of a moment ago."""
    truth = parked(hand, f"begin_move at api!eu/cell: {LATE}")
    assert hand.judged(truth, healed_for_s=10.0) == []


def test_an_ended_conversation_waits_for_its_closing(hand: Hand) -> None:
    """After its end, the place that it may name is its close, and then its release."""
    hand.begin()
    hand.entry(Kind.END, payload=WELL)
    heal(hand, then_s=BOUND_S + 1)
    waiting = conversation(is_closed=False, waits_for=f"close at api/cell: {BROKEN_HOST}")
    assert hand.judged(knowing(waiting), healed_for_s=BOUND_S) == []


def fenced(**fields: Any) -> Truth:
    return with_row(NOWHERE, "api", HostFence(host="h1", cell="api!eu", user="u", since_us=1, **fields))


def test_a_fence_that_stands_is_no_breach_nor_one_that_is_to_be_lifted_and_has_just_been_asked_for(hand: Hand) -> None:
    """An operator need not lift it; and a host that is let back has to do first what it owes."""
    assert hand.judged(fenced(), healed_for_s=BOUND_S) == []
    assert hand.judged(fenced(lift_epoch=7), healed_for_s=BOUND_S - 1) == []


def test_a_fence_that_is_to_be_lifted_and_stays_is_a_breach(hand: Hand) -> None:
    """The host is up and nothing is in its way, and still it serves nobody."""
    assert hand.judged(fenced(lift_epoch=7), healed_for_s=BOUND_S) == ["fences_lifted"]


# --- records -----------------------------------------------------------------------------------------------


def move(status: MigrationStatus, uuid: str = worlds.MOVE) -> Migration:
    return attrs.evolve(worlds.migration(status), uuid=uuid)


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        ((MigrationStatus.PRE_MIGRATING, MigrationStatus.FINISHED), []),
        ((MigrationStatus.PRE_MIGRATING, MigrationStatus.CONFIRMED), []),  # Nobody looked in between.
        ((MigrationStatus.ERROR, MigrationStatus.FINISHED), ["status_graph"]),
        ((MigrationStatus.CONFIRMED, MigrationStatus.REVERTED), ["status_graph"]),
    ],
)
def test_a_status_goes_where_the_table_leads(
    hand: Hand, statuses: tuple[MigrationStatus, ...], found: list[str]
) -> None:
    """However many states were missed between two looks, the later one can be reached from the earlier."""
    for status in statuses:
        hand.watch.see(with_row(NOWHERE, "api", move(status)))
    assert [breach.invariant for breach in hand.watch.breaches] == found


def test_a_server_does_not_come_back_from_being_deleted(hand: Hand) -> None:
    """The table of vm_states is asked in the same way."""
    [server] = worlds.active().all(Server)
    for state in (VmState.DELETED, VmState.ACTIVE):
        hand.watch.see(with_row(NOWHERE, "api", attrs.evolve(server, vm_state=state)))
    assert [breach.invariant for breach in hand.watch.breaches] == ["status_graph"]


def test_a_server_has_one_open_move(hand: Hand) -> None:
    """Both cells' records of one move are one; a second move is one too many, unless it is over."""
    both = with_row(worlds.verify_resize(), "api!eu", move(MigrationStatus.CONFIRMED, "earlier"))
    hand.watch.see(both)
    assert hand.watch.breaches == []
    hand.watch.see(with_row(both, "api!eu", move(MigrationStatus.PRE_MIGRATING, "another")))
    assert [breach.invariant for breach in hand.watch.breaches] == ["one_open_move"]


TOLD: Final = (("build", "instance.create.start"), ("finish_build", "instance.create.end"))


def told_of(step: str, event: str, *, seq: int = 0, publisher: str = "h1") -> Notification:
    """Make the notification of a step of the conversation."""
    id_ = derived_id(f"{C}:0:{step}:execute", "notification", event)
    return Notification(id=id_, server=S, event=event, publisher=publisher, created_at_us=1, seq=seq)


CREATED: Final = tuple(told_of(*each) for each in TOLD)


def told(truth: Truth, *rows: Notification) -> Truth:
    return with_row(truth, "api!eu", *rows)


def created(hand: Hand) -> tuple[Truth, ServerAction]:
    """Create a server; give the truth then, without its notifications, and its action."""
    hand.begin(goal=Goal.CREATE)
    for step, _ in TOLD:
        hand.step(step, goal=Goal.CREATE)
    hand.close(goal=Goal.CREATE)
    truth = worlds.active()
    [action] = truth.all(ServerAction)
    return truth, attrs.evolve(action, id=derived_id(C, "action"))


def kept(truth: Truth, action: ServerAction) -> Truth:
    """Enter an action with its event, so that the invariants of records are content."""
    [event] = truth.all(ActionEvent)
    return with_row(truth, "api!eu", action, attrs.evolve(event, id="e", action=action.id))


def test_a_history_that_has_what_was_done_and_told_is_no_breach(hand: Hand) -> None:
    """One create, one action, one start and one end."""
    truth, action = created(hand)
    assert hand.judged(told(kept(truth, action), *CREATED)) == []


def test_a_history_that_lacks_what_was_done_is_a_breach(hand: Hand) -> None:
    """The action must be where the server is."""
    truth, _ = created(hand)
    assert hand.judged(told(truth, *CREATED)) == ["history_kept"]


def test_a_history_that_calls_a_success_a_failure_is_a_breach(hand: Hand) -> None:
    """The action's message says that it failed, and the journal that it did not."""
    truth, action = created(hand)
    failed = kept(truth, attrs.evolve(action, message="no"))
    assert hand.judged(told(failed, *CREATED)) == ["history_kept"]


START, END = CREATED
TWICE: Final = attrs.evolve(END, id="another")
NEVER_DUE: Final = told_of("finish_confirm", "instance.resize_confirm.end")


@pytest.mark.parametrize("rows", [(), (END,), (START,), (START, END, TWICE), (START, END, NEVER_DUE)])
def test_what_is_not_told_once_each_is_a_breach(hand: Hand, rows: tuple[Notification, ...]) -> None:
    """Each step that was carried out is told once, and nothing else is."""
    truth, action = created(hand)
    assert hand.judged(told(kept(truth, action), *rows)) == ["told_once"]


def test_what_is_told_in_both_cells_is_a_breach(hand: Hand) -> None:
    """Listeners hear all cells: what a copy tells again they hear twice."""
    truth, action = created(hand)
    both = with_row(told(kept(truth, action), *CREATED), "api!us", END)
    assert hand.judged(both) == ["told_once"]


PREPARED: Final = ("instance.exists", "instance.resize_prep.start", "instance.resize_prep.end")


@pytest.mark.parametrize(
    ("seqs", "publishers", "broken"),
    [
        ((0, 1, 2), ("h1", "h2", "h2"), []),
        ((0, 2, 1), ("h2", "h2", "h2"), ["told_once"]),
        ((0, 1, 1), ("h2", "h2", "h2"), ["told_once"]),
        ((0, 1, 2), ("h2", "h1", "h2"), ["told_once"]),
        ((0, 1, 2), ("h2", "", ""), ["told_once"]),
    ],
)
def test_what_is_told_at_once_is_in_order_and_by_one_publisher(
    hand: Hand, seqs: tuple[int, ...], publishers: tuple[str, ...], broken: list[str]
) -> None:
    """The preparation of a target tells three things in one transaction."""
    truth, action = created(hand)
    hand.begin("move")
    for is_undo in (False, True):
        hand.step("claim_target", conversation="move", is_undo=is_undo)
    hand.close(conversation="move", payload=BADLY)
    rows = [
        attrs.evolve(
            told_of("claim_target", event, seq=seq, publisher=publisher),
            id=derived_id("move:0:claim_target:execute", "notification", event),
        )
        for event, seq, publisher in zip(PREPARED, seqs, publishers, strict=True)
    ]
    assert hand.judged(told(kept(truth, action), *CREATED, *rows)) == broken


@pytest.mark.parametrize(("is_there", "broken"), [(True, []), (False, ["faults_kept"])])
def test_a_fault_that_the_record_lacks_is_a_breach(hand: Hand, is_there: bool, broken: list[str]) -> None:
    """What began and was undone has failed: the server's record says why."""
    truth, action = created(hand)
    hand.begin("stop", goal=Goal.STOP)
    for is_undo in (False, True):
        hand.step("begin", conversation="stop", goal=Goal.STOP, is_undo=is_undo)
    hand.close(conversation="stop", goal=Goal.STOP, payload=BADLY)
    fault = Fault(id=derived_id("stop:0:begin:undo", "fault"), server=S, code="conflict", message="no", created_at_us=1)
    after = told(kept(truth, action), *CREATED)
    if is_there:
        heard = MirroredFault(
            id=fault.id, server=S, cell="api!eu", generation=1, version=1, code="conflict", message="no",
            created_at_us=1,
        )  # fmt: skip
        after = with_row(with_row(after, "api!eu", fault), "api", heard)
    assert hand.judged(after) == broken
