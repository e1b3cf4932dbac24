"""Whatever is left of a server where it is not, or of no server, breaks `no_leaks`."""

import attrs
import pytest

from protocol.cell_path import CellPath
from protocol.mirroring import mirrored_fault
from protocol.records import (
    Allocation,
    Attachment,
    Claim,
    Fault,
    Image,
    Permit,
    Port,
    PortBinding,
    Record,
    RequestSpec,
    Server,
)
from protocol.states import Goal, MigrationStatus
from protocol.truth import Memory
from tests.protocol.invariants.killers import (
    Edit,
    Killer,
    add,
    at_rest,
    broken,
    change,
    drop,
    every,
    evolve,
    more_guests,
    no_guest,
    prove,
)
from tests.protocol.invariants.worlds import (
    BIG,
    EU,
    EU_H1,
    MOVE,
    OTHER,
    ROOT,
    SMALL,
    US,
    S,
    active,
    allocation,
    conversation,
    device,
    history,
    kept_disk,
    migration,
    mirror,
    record,
    verify_resize,
    verify_resize_volume_backed,
)

HIDDEN = attrs.evolve(record(US, "h3", runs=True, is_volume_backed=False), is_hidden=True)
SNAPSHOT = Image(id="snap", name="web-resize-temp", status="active", server=S)
EMPTY = Attachment(id="a9", volume="v2", server=S)
FAULT = Fault(id="f", server=S, code="c", message="m", created_at_us=1)


def left(story: str, row: Record, at: CellPath | None = None, *, also: tuple[str, ...] = ()) -> Killer:
    return at_rest(f"left behind: {story}", active, add(row, at=at), also=also)


def memory(*keys: tuple[str, int], waiting: int = 0) -> Edit:
    return evolve(memories=(Memory(actor="api!us/cell", keys=keys, waiting=waiting),))


def parked(epoch: int) -> Edit:
    """Let a confirm wait for somebody."""
    over = conversation("confirm-1", Goal.CONFIRM, epoch=epoch)
    waits = attrs.evolve(over, is_closed=False, waits_for="h1 is silent")
    return lambda truth: attrs.evolve(truth, conversations=(*truth.conversations, waits))


OF_A_SETTLED_SERVER = (
    left("a binding", PortBinding(port="p1", host="h3", server=S, is_active=False)),
    left("an empty attachment", EMPTY),
    left("a snapshot image", SNAPSHOT),
    left("an allocation", allocation(S, "h3", BIG), US, also=("accounting",)),
    left("an allocation that a migration holds", allocation(MOVE, "h1", SMALL), EU, also=("accounting",)),
    left("a claim", Claim(server=S, host="h3", migration=MOVE), US),
    left("a hidden record", HIDDEN, US),
    left("a block device without a record", device("a1", is_root=False), US),
    left("a migration without a record", migration(MigrationStatus.ERROR), US),
    left("an action without a record", history("resize")[0], US),
    left("an event without a record", history("resize")[1], US),
    left("a fault without a record", FAULT, US),
    left("a mirror of a record that is gone", mirror(HIDDEN, US), ROOT),
    at_rest("left behind: a kept disk", active, more_guests(attrs.evolve(kept_disk(), host="h3", cell=US, boots=()))),
    at_rest(
        "left behind: a guest that is off",
        active,
        more_guests(attrs.evolve(kept_disk(), host="h2", is_defined=True, has_disk=False)),
    ),
    at_rest("a claim still names its move", active, change(Claim, migration=MOVE)),
    at_rest("a claim is missing", active, drop(Claim)),
    at_rest("its allocation is on another host", active, change(Allocation, host="h2"), also=("accounting",)),
)

OF_A_WAITING_MOVE = (
    at_rest("the source's record is gone", verify_resize, drop(Server, at=EU), also=("records_agree",)),
    at_rest("a third cell has a hidden record", verify_resize, add(attrs.evolve(HIDDEN, host=None), at=ROOT)),
    at_rest(
        "the source's place is not held", verify_resize, drop(Allocation, {"consumer": MOVE}), also=("accounting",)
    ),
    at_rest("the source's place is the server's", verify_resize, change(Allocation, at=EU, consumer=S)),
    at_rest("the source's claim is gone", verify_resize, drop(Claim, at=EU)),
    at_rest("the source's binding is gone", verify_resize, drop(PortBinding, {"host": "h1"})),
    at_rest("the source's empty attachment is gone", verify_resize, drop(Attachment, {"id": "a2"})),
    at_rest("the source's guest is defined", verify_resize, no_guest("h1"), more_guests(
        attrs.evolve(kept_disk(), is_defined=True)
    )),
    at_rest("a volume-backed server's source has a disk", verify_resize_volume_backed, more_guests(kept_disk())),
)  # fmt: skip

OF_NO_SERVER = (
    left("another server's snapshot", attrs.evolve(SNAPSHOT, server=OTHER)),
    left("a permit", Permit(server=OTHER, number=1, holder=None), ROOT),
    left("a request spec", RequestSpec(server=OTHER, flavor=SMALL), ROOT),
    left("a port", Port(id="p2", server=OTHER, address="x")),
    left("another server's binding", PortBinding(port="p2", host="h1", server=OTHER, is_active=True)),
    left("another server's attachment", attrs.evolve(EMPTY, server=OTHER, host=EU_H1)),
    left("another server's claim", Claim(server=OTHER, host="h1"), EU),
    left("another server's device", attrs.evolve(device("a1", is_root=False), server=OTHER), EU),
    at_rest("an image file without an image", active, evolve(image_files=("img", "snap"))),
    at_rest("a disk of no server", active, more_guests(attrs.evolve(kept_disk(), server=OTHER))),
)

OF_MESSAGES = (
    at_rest("a key of a closed conversation", active, memory(("create-1:1:build:execute", 1))),
    at_rest("a tombstone of one", active, memory(("create-1:1:build:undo", 1))),
    at_rest("a key behind the lowest open epoch", active, memory(("old-1:1:build:execute", 4)), parked(5)),
    at_rest("an outbox that nobody has acknowledged", active, memory(waiting=1)),
)

KILLERS = (*OF_A_SETTLED_SERVER, *OF_A_WAITING_MOVE, *OF_NO_SERVER, *OF_MESSAGES)


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_no_leaks(killer: Killer) -> None:
    """The invariant sees each thing that a move can leave behind or forget to keep."""
    prove(killer, "no_leaks")


NO_LEAKS = {
    "keys at or above the lowest open epoch": every(memory(("later-1:1:build:execute", 5)), parked(5)),
    "keys of an open conversation, from before its takeover": every(memory(("confirm-1:0:take:execute", 4)), parked(5)),
    "news for somebody unreachable": every(memory(waiting=1), parked(5)),
    "the mirror's memory of a record that is gone": add(attrs.evolve(mirror(HIDDEN, US), is_gone=True), at=ROOT),
    "a guest's empty directory": more_guests(attrs.evolve(kept_disk(), host="h2", has_disk=False)),
    "a fault in the history": every(add(FAULT, at=EU), add(mirrored_fault(FAULT, HIDDEN, str(EU)), at=ROOT)),
    "a user's own image": every(add(attrs.evolve(SNAPSHOT, server=None)), evolve(image_files=("img", "snap"))),
}


@pytest.mark.parametrize("edit", NO_LEAKS.values(), ids=NO_LEAKS)
def test_what_must_be_kept_is_no_leak(edit: Edit) -> None:
    """Memory of what is open, history and other people's things stay."""
    assert broken(edit(active()), is_at_rest=True) == set()
