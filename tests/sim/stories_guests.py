"""Histories of guests, permits and disks."""

import attrs

from protocol.bodies import encode_body
from protocol.gather import CellAnswer
from protocol.ids import derived_id
from protocol.journal import Kind
from protocol.messages.capacity import HostRoom, Room
from protocol.messages.hosts import GuestReport
from protocol.messages.orders import CreateServer, SettleMove
from protocol.messages.root import Taken
from protocol.messages.servers import Origin, ServerBundle
from protocol.moves.parties import Brief
from protocol.records import Mapping, Migration, Permit, Server
from protocol.requests import Gathered
from protocol.states import Goal, MigrationStatus, PowerState
from sim.history import Called, Crashed, GuestOff, GuestOn
from tests.protocol.invariants import worlds
from tests.sim.histories import BADLY, CAUSE, ROOT, C, Hand, S, Stories

STORIES = Stories()
H1, H3 = worlds.EU_H1, worlds.US_H3
ORIGIN = Origin(request_id="r", user="u", project="p")


def runs(hand: Hand, host: str, permit: int) -> None:
    hand.write(GuestOn(process=f"api!eu/host:{host}", host=host, server=S, permit=permit))


def stops(hand: Hand, host: str) -> None:
    hand.write(GuestOff(process=f"api!eu/host:{host}", host=host, server=S))


def ledger(
    hand: Hand, step: str, number: int, holder: str | None, *, is_undo: bool = False, conversation: str = C
) -> None:
    """Have a conversation hear how the ledger has the permit now."""
    payload = encode_body(Permit(server=S, number=number, holder=holder))
    hand.step(step, payload=payload, is_undo=is_undo, conversation=conversation)


@STORIES.keeps("one_host")
@STORIES.keeps("permit_held")
@STORIES.keeps("permits_rise")
def runs_here_and_then_there(hand: Hand) -> None:
    hand.begin()
    ledger(hand, "issue_permit", 1, H1)
    runs(hand, "h1", 1)
    stops(hand, "h1")
    ledger(hand, "return_permit", 1, None)
    hand.begin("c2")
    permit = encode_body(Permit(server=S, number=2, holder=H3))
    hand.step("issue_permit", conversation="c2", payload=permit)
    runs(hand, "h3", 2)
    stops(hand, "h3")
    runs(hand, "h3", 2)  # Its user started it again.


@STORIES.keeps("permits_rise")
@STORIES.keeps("permit_held")
def takes_a_permit_back_and_restores_the_old_holder(hand: Hand) -> None:
    hand.begin()
    hand.step("take")
    ledger(hand, "return_permit", 1, None)
    ledger(hand, "issue_permit", 2, H3)
    ledger(hand, "issue_permit", 2, None, is_undo=True)
    ledger(hand, "return_permit", 3, H1, is_undo=True)
    runs(hand, "h1", 3)


def returns_without_a_word(hand: Hand, *, is_carried: bool, holder: str) -> None:
    """Have a return's answer lost, and the return be undone."""
    hand.write(Crashed(process="api/link"))
    hand.begin()
    hand.step("issue_permit", payload=encode_body(Permit(server=S, number=4, holder=H1)))
    hand.close()
    hand.begin("c2")
    hand.entry(Kind.INTENT, "return_permit", conversation="c2")
    if is_carried:
        hand.carry("c2:0:return_permit:execute")
    hand.entry(Kind.REFUSED, "return_permit", conversation="c2", payload=encode_body(CAUSE))
    restored = encode_body(Permit(server=S, number=5, holder=holder))
    hand.step("return_permit", conversation="c2", payload=restored, is_undo=True)


@STORIES.keeps("permits_rise")
def restores_what_came_back_though_the_answer_was_lost(hand: Hand) -> None:
    returns_without_a_word(hand, is_carried=True, holder=H1)


@STORIES.breaks("permits_rise")
def restores_what_never_came_back(hand: Hand) -> None:
    returns_without_a_word(hand, is_carried=False, holder=H1)


@STORIES.breaks("permits_rise")
def restores_what_came_back_to_another_host(hand: Hand) -> None:
    returns_without_a_word(hand, is_carried=True, holder=H3)


@STORIES.keeps("permits_rise")
def counts_from_the_beginning_after_a_create_that_failed(hand: Hand) -> None:
    for conversation in ("c1", "c2"):
        hand.begin(conversation, goal=Goal.CREATE)
        for holder, is_undo in ((H1, False), (None, True)):
            payload = encode_body(Permit(server=S, number=1, holder=holder))
            hand.step("issue_permit", conversation=conversation, goal=Goal.CREATE, payload=payload, is_undo=is_undo)
        hand.close(conversation=conversation, goal=Goal.CREATE, payload=BADLY)


@STORIES.breaks("one_host")
def runs_on_two_hosts(hand: Hand) -> None:
    hand.begin()
    ledger(hand, "issue_permit", 1, H1)
    runs(hand, "h1", 1)
    ledger(hand, "return_permit", 1, None)
    hand.begin("c2")
    hand.step("issue_permit", conversation="c2", payload=encode_body(Permit(server=S, number=2, holder=H3)))
    runs(hand, "h3", 2)


@STORIES.breaks("permits_rise")
def issues_a_permit_while_the_last_one_is_out(hand: Hand) -> None:
    hand.begin()
    ledger(hand, "issue_permit", 1, H1)
    hand.begin("c2")
    hand.step("issue_permit", conversation="c2", payload=encode_body(Permit(server=S, number=2, holder=H3)))


@STORIES.breaks("permits_rise")
def issues_the_same_number_again(hand: Hand) -> None:
    hand.begin()
    ledger(hand, "return_permit", 1, None)
    ledger(hand, "issue_permit", 1, H3)


@STORIES.breaks("permit_held")
def runs_by_an_old_permit(hand: Hand) -> None:
    hand.begin()
    ledger(hand, "return_permit", 1, None)
    ledger(hand, "issue_permit", 2, H3)
    runs(hand, "h1", 1)


@STORIES.breaks("permit_held")
def runs_by_the_permit_of_another_host(hand: Hand) -> None:
    hand.begin()
    ledger(hand, "issue_permit", 2, H3)
    runs(hand, "h1", 2)


@STORIES.breaks("permit_held")
def runs_by_an_old_permit_of_the_same_host(hand: Hand) -> None:
    hand.begin()
    ledger(hand, "issue_permit", 2, H1)
    runs(hand, "h1", 1)


# --- what is destroyed -------------------------------------------------------------------------------------


def destroys(hand: Hand, host: str) -> None:
    hand.write(Called(process=f"api!eu/host:{host}", where=f"api!eu/host:{host}", call="destroy", about=S))


def bundle() -> ServerBundle:
    """Give the target's record of a server in VERIFY_RESIZE."""
    truth = worlds.verify_resize()
    target = next(row for row in truth.all(Server) if not row.is_hidden)
    moves = tuple(row for row in truth.all(Migration) if row.status is MigrationStatus.FINISHED)
    return ServerBundle(server=target, block_devices=(), migrations=moves, actions=(), events=())


def settling(hand: Hand, goal: Goal, begin: str) -> None:
    """Begin a confirm or a revert."""
    order = SettleMove(server=S, goal=goal, origin=ORIGIN)
    hand.begin(goal=goal, payload=encode_body(Brief(root=ROOT, order=order)))
    mapping = Mapping(server=S, cell=str(worlds.US), generation=2)
    hand.step("take", goal=goal, payload=encode_body(Taken(mapping=mapping)))
    hand.step(begin, goal=goal, at="api!us/cell", payload=encode_body(bundle()))


def creating(hand: Hand) -> None:
    """Create a server on h1, up to the guest."""
    flavor = worlds.SMALL
    order = CreateServer(server=S, name=S, flavor=flavor, image="img", volumes=(), host=None, origin=ORIGIN)
    hand.begin(goal=Goal.CREATE, payload=encode_body(Brief(root=ROOT, order=order)))
    mapping = Mapping(server=S, cell=None, generation=0)
    hand.step("take", goal=Goal.CREATE, payload=encode_body(Taken(mapping=mapping)))
    room = HostRoom(host="h1", cell="api!eu", availability_zone="eu", vcpus=4, memory_mb=4096, disk_gb=40)
    answer = CellAnswer(cell=ROOT, body=encode_body(Room(hosts=(room,))), is_error=False)
    rooms = encode_body(Gathered(answers=(answer,)))
    hand.entry(Kind.INTENT, "choose_target", goal=Goal.CREATE, attempt=1)
    hand.entry(Kind.DONE, "choose_target", goal=Goal.CREATE, attempt=1, payload=rooms)
    hand.entry(Kind.INTENT, "spawn", goal=Goal.CREATE)


@STORIES.keeps("destroy_last")
def destroys_the_source_when_the_user_keeps_the_move(hand: Hand) -> None:
    settling(hand, Goal.CONFIRM, "begin_confirm")
    hand.step("finish_confirm", goal=Goal.CONFIRM)
    hand.entry(Kind.INTENT, "destroy_source_guest", goal=Goal.CONFIRM)
    destroys(hand, "h1")


@STORIES.keeps("destroy_last")
def destroys_the_target_when_the_source_runs_again(hand: Hand) -> None:
    settling(hand, Goal.REVERT, "begin_revert")
    hand.step("start_source", goal=Goal.REVERT, at=H1)
    hand.entry(Kind.INTENT, "destroy_target_guest", goal=Goal.REVERT)
    destroys(hand, "h3")


@STORIES.keeps("destroy_last")
def destroys_what_a_failed_create_has_made(hand: Hand) -> None:
    creating(hand)
    hand.entry(Kind.INTENT, "spawn", goal=Goal.CREATE, is_undo=True)
    destroys(hand, "h1")


@STORIES.breaks("destroy_last")
def destroys_of_its_own_accord(hand: Hand) -> None:
    destroys(hand, "h1")


@STORIES.breaks("destroy_last")
def destroys_the_source_before_the_server_is_its_users(hand: Hand) -> None:
    settling(hand, Goal.CONFIRM, "begin_confirm")
    hand.entry(Kind.INTENT, "destroy_source_guest", goal=Goal.CONFIRM)
    destroys(hand, "h1")


@STORIES.breaks("destroy_last")
def destroys_the_target_before_the_source_runs_again(hand: Hand) -> None:
    settling(hand, Goal.REVERT, "begin_revert")
    hand.entry(Kind.INTENT, "destroy_target_guest", goal=Goal.REVERT)
    destroys(hand, "h3")


@STORIES.breaks("destroy_last")
def destroys_the_guest_that_it_keeps(hand: Hand) -> None:
    settling(hand, Goal.CONFIRM, "begin_confirm")
    hand.step("finish_confirm", goal=Goal.CONFIRM)
    hand.entry(Kind.INTENT, "destroy_source_guest", goal=Goal.CONFIRM)
    destroys(hand, "h3")


@STORIES.breaks("destroy_last")
def destroys_a_guest_that_is_just_being_made(hand: Hand) -> None:
    creating(hand)
    destroys(hand, "h1")


def moving(hand: Hand) -> Called:
    """Move a server up to its spawn; give the deletion of the image that it travels as."""
    hand.begin()
    hand.step("take")
    hand.step("create_snapshot")
    return Called(process="api/image", where="image", call="delete", about=derived_id("c1", "snapshot"))


@STORIES.keeps("snapshot_kept")
def deletes_the_snapshot_when_the_guest_is_made_of_it(hand: Hand) -> None:
    deletion = moving(hand)
    hand.step("spawn_target")
    hand.write(deletion)


@STORIES.keeps("snapshot_kept")
def deletes_the_snapshot_in_an_undo(hand: Hand) -> None:
    deletion = moving(hand)
    hand.entry(Kind.INTENT, "create_snapshot", is_undo=True)
    hand.write(deletion, attrs.evolve(deletion, about="another"))


@STORIES.breaks("snapshot_kept")
def deletes_the_snapshot_before_the_guest_is_made_of_it(hand: Hand) -> None:
    hand.write(moving(hand))


def leaves_and_arrives(hand: Hand, step: str, *, left: int, found: int) -> None:
    """Have a guest stopped where it is, and made where it goes."""
    hand.begin()
    for name, counter in (("stop_guest", left), (step, found)):
        report = GuestReport(power_state=PowerState.RUNNING, permit=1, counter=counter)
        hand.step(name, payload=encode_body(report))


@STORIES.keeps("disk_travels")
def finds_what_it_had_written(hand: Hand) -> None:
    leaves_and_arrives(hand, "spawn_target", left=7, found=7)


@STORIES.breaks("disk_travels")
def finds_an_older_disk_at_the_target(hand: Hand) -> None:
    leaves_and_arrives(hand, "spawn_target", left=7, found=6)


@STORIES.breaks("disk_travels")
def finds_an_older_disk_back_at_the_source(hand: Hand) -> None:
    leaves_and_arrives(hand, "start_source", left=7, found=0)
