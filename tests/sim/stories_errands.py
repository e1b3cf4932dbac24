"""Histories of what servers have done beside moves: held and let go, handed over, imaged, rebuilt; done and in vain."""

from __future__ import annotations

from typing import Final

from protocol.bodies import encode_body
from protocol.messages.fencing import StandIn
from protocol.messages.hosts import GuestReport
from protocol.messages.live import GuestStart, SavedGuest
from protocol.messages.orders import ImageServer
from protocol.messages.servers import Origin
from protocol.moves.parties import Brief
from protocol.states import Goal, PowerState
from sim.faults import Fault, FaultKind
from sim.history import Called, Carried, Fired
from tests.sim.histories import BADLY, ROOT, C, Hand, S, Stories
from tests.sim.stories_guests import H1, ledger, runs, stops

STORIES = Stories()
ORIGIN: Final = Origin(request_id="r", user="u", project="p")
DIES: Final = Fault(kind=FaultKind.GUEST_DIES, name="f1", at_s=0.0)


def powers(
    hand: Hand, goal: Goal, power: PowerState, *, conversation: str, counter: int = 5, boots: int = 1
) -> None:  # fmt: skip
    """Have a host be told what a guest is to do, and say what it is then."""
    hand.begin(conversation, goal=goal)
    payload = encode_body(GuestReport(power_state=power, permit=1, counter=counter, boots=boots))
    hand.step("power", conversation=conversation, goal=goal, payload=payload, at=H1)
    hand.close(conversation=conversation, goal=goal)


# --- held, and let go ----------------------------------------------------------------------------------------


@STORIES.keeps("goes_on")
def is_paused_and_goes_on(hand: Hand) -> None:
    powers(hand, Goal.PAUSE, PowerState.PAUSED, conversation="c1")
    powers(hand, Goal.UNPAUSE, PowerState.RUNNING, conversation="c2", counter=7)


@STORIES.keeps("goes_on")
def is_suspended_and_softly_deleted_and_goes_on(hand: Hand) -> None:
    powers(hand, Goal.SUSPEND, PowerState.SUSPENDED, conversation="c1")
    powers(hand, Goal.SOFT_DELETE, PowerState.SUSPENDED, conversation="c2")
    powers(hand, Goal.RESTORE, PowerState.RUNNING, conversation="c3")


@STORIES.keeps("goes_on")
def is_paused_and_softly_deleted_and_boots(hand: Hand) -> None:
    powers(hand, Goal.PAUSE, PowerState.PAUSED, conversation="c1")
    powers(hand, Goal.SOFT_DELETE, PowerState.SHUTDOWN, conversation="c2")
    powers(hand, Goal.RESTORE, PowerState.RUNNING, conversation="c3", boots=2)


@STORIES.keeps("goes_on")
def dies_while_it_is_paused(hand: Hand) -> None:
    powers(hand, Goal.PAUSE, PowerState.PAUSED, conversation="c1")
    hand.write(Fired(fault=DIES, mattered=True, text="it died"))
    powers(hand, Goal.UNPAUSE, PowerState.RUNNING, conversation="c2", boots=2)


@STORIES.breaks("goes_on")
def is_suspended_and_boots(hand: Hand) -> None:
    powers(hand, Goal.SUSPEND, PowerState.SUSPENDED, conversation="c1")
    powers(hand, Goal.RESUME, PowerState.RUNNING, conversation="c2", boots=2)


@STORIES.breaks("goes_on")
def is_paused_and_has_lost_something(hand: Hand) -> None:
    powers(hand, Goal.PAUSE, PowerState.PAUSED, conversation="c1")
    powers(hand, Goal.UNPAUSE, PowerState.RUNNING, conversation="c2", counter=4)


@STORIES.breaks("goes_on")
def is_switched_off_to_be_suspended(hand: Hand) -> None:
    powers(hand, Goal.SUSPEND, PowerState.SHUTDOWN, conversation="c1")


def hands_over(hand: Hand, *, boots: int, counter: int = 5) -> None:
    """Have a guest be saved at one host, and go on at another one."""
    goal = Goal.LIVE_MIGRATE
    hand.begin(goal=goal)
    saved = SavedGuest(counter=5, starts=(GuestStart(host="h1", permit=1, number=1),))
    hand.step("save_guest", goal=goal, payload=encode_body(saved))
    report = GuestReport(power_state=PowerState.RUNNING, permit=2, counter=counter, boots=boots)
    hand.step("receive_guest", goal=goal, payload=encode_body(report))
    hand.close(goal=goal)


@STORIES.keeps("goes_on")
@STORIES.keeps("disk_travels")
def goes_on_elsewhere(hand: Hand) -> None:
    hands_over(hand, boots=1)


@STORIES.breaks("goes_on")
def boots_elsewhere(hand: Hand) -> None:
    hands_over(hand, boots=2)


# --- in vain -------------------------------------------------------------------------------------------------


def gives_up(hand: Hand) -> None:
    hand.step("take", goal=Goal.REBUILD, is_undo=True)
    hand.close(goal=Goal.REBUILD, payload=BADLY)


def begins(hand: Hand, goal: Goal = Goal.REBUILD) -> None:
    """Have a guest run, and an order take its server and stop the guest."""
    hand.begin("c0")
    ledger(hand, "issue_permit", 1, H1, conversation="c0")
    hand.close(conversation="c0")
    runs(hand, "h1", 1)
    hand.begin(goal=goal)
    hand.step("take", goal=goal)
    stops(hand, "h1")


@STORIES.keeps("left_running")
def is_undone_and_runs(hand: Hand) -> None:
    begins(hand)
    runs(hand, "h1", 1)
    gives_up(hand)


@STORIES.keeps("left_running")
def is_done_and_leaves_it_off(hand: Hand) -> None:
    begins(hand, Goal.STOP)
    hand.close(goal=Goal.STOP)


@STORIES.keeps("left_running")
def is_undone_and_its_guest_has_died(hand: Hand) -> None:
    begins(hand)
    hand.write(Fired(fault=DIES, mattered=True, text="it died"))
    gives_up(hand)


@STORIES.keeps("left_running")
def is_undone_where_its_host_is_fenced(hand: Hand) -> None:
    begins(hand)
    key, method = f"{C}:0:switch_off:undo", StandIn.METHOD.name
    hand.write(Carried(process="api/cell", key=key, server=S, epoch=1, method=method, reply="r", is_error=False))
    gives_up(hand)


@STORIES.breaks("left_running")
def is_undone_and_leaves_it_off(hand: Hand) -> None:
    begins(hand)
    gives_up(hand)


# --- disks and images ----------------------------------------------------------------------------------------


def exchanges(hand: Hand) -> None:
    hand.write(Called(process=H1, where="h1", call="replace_disk", about=S))


@STORIES.keeps("exchanged_off")
def exchanges_a_disk_while_its_guest_is_off(hand: Hand) -> None:
    begins(hand)
    exchanges(hand)
    runs(hand, "h1", 1)


@STORIES.breaks("exchanged_off")
def exchanges_a_disk_while_its_guest_runs(hand: Hand) -> None:
    begins(hand)
    runs(hand, "h1", 1)
    exchanges(hand)


def backs_up(hand: Hand, *, rotation: int) -> None:
    """Have a backup be made, of which so many are kept, itself included."""
    order = ImageServer(
        server=S, goal=Goal.BACKUP, image="i1", name="i1", origin=ORIGIN, backup_type="daily", rotation=rotation
    )
    hand.begin(goal=Goal.BACKUP, payload=encode_body(Brief(root=ROOT, order=order)))
    for step in ("publish_snapshot", "rotate_backups"):
        hand.step(step, goal=Goal.BACKUP)
    hand.close(goal=Goal.BACKUP)


@STORIES.keeps("images_kept")
def rotates_all_backups_away(hand: Hand) -> None:
    backs_up(hand, rotation=0)


@STORIES.breaks("images_kept")
def has_lost_the_backup_that_it_is_to_keep(hand: Hand) -> None:
    backs_up(hand, rotation=1)
