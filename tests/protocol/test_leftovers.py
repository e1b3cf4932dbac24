"""What a repair removes is what `no_leaks` calls left behind, and never what may still be needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import Address, CellPath
from protocol.draft import Need
from protocol.effects import table
from protocol.effects.registry import Moment, apply, gather
from protocol.messages import hosts, partners
from protocol.messages.hosts import GuestHoldings
from protocol.messages.mirror import UpdateMirror
from protocol.messages.repair import FindHoldings
from protocol.messages.root import FindRootHoldings
from protocol.moves import leftovers
from protocol.moves.leftovers import Findings, Looked, Removal
from protocol.records import (
    Allocation,
    Attachment,
    Claim,
    Fault,
    Host,
    Image,
    Mapping,
    Mirror,
    Permit,
    Port,
    PortBinding,
    Record,
    RequestSpec,
    Server,
)
from protocol.requests import Request
from protocol.truth import CellTruth, GuestTruth, Truth
from tests.protocol.invariants.killers import broken
from tests.protocol.invariants.worlds import (
    BIG,
    EU,
    ROOT,
    US,
    WORLDS,
    S,
    active,
    allocation,
    device,
    kept_disk,
    mirror,
    record,
    verify_resize,
    volume_backed,
)

NOW: Final = Moment(now_us=1, cell="api", key="repair-1:1:clear:execute")
HIDDEN: Final = attrs.evolve(record(US, "h3", runs=True, is_volume_backed=False), is_hidden=True)
AT_ROOT: Final = Address(ROOT, "cell")
#: A host and a cell in which no world has anything of the server.
STRANGE: Final = CellPath.parse("api!sa")
NOBODY: Final = CellTruth(
    path=STRANGE, rows=(Host(name="h9", vcpus=4, memory_mb=4096, disk_gb=40, availability_zone="sa"),)
)


# --- a world that can be asked, and told to remove ------------------------------------------------------------


def owned(truth: Truth, at: Address) -> tuple[Record, ...]:
    if at.mailbox != "cell":
        return truth.partners
    return next(cell.rows for cell in truth.cells if cell.path == at.cell)


def with_rows(truth: Truth, at: Address, rows: tuple[Record, ...]) -> Truth:
    if at.mailbox != "cell":
        return attrs.evolve(truth, partners=rows)
    cells = (attrs.evolve(each, rows=rows) if each.path == at.cell else each for each in truth.cells)
    return attrs.evolve(truth, cells=tuple(cells))


def ask(truth: Truth, at: Address, request: Request[Any]) -> tuple[Truth, Any]:
    """Carry out a request as the actor does, on its rows."""
    assert type(request) in (*table.CELL, *table.ROOT, *table.IMAGE, *table.VOLUME, *table.NETWORK)
    rows = owned(truth, at)

    def load(needs: tuple[Need, ...]) -> tuple[Record, ...]:
        return tuple(row for row in rows if any(_fits(row, need) for need in needs))

    needs, found = gather(request, load)
    changes, reply = apply(found, request, NOW, needs=needs)
    gone = {(type(row), row.key) for row in (*changes.drops, *changes.puts)}
    kept = (row for row in rows if (type(row), row.key) not in gone)
    return with_rows(truth, at, (*kept, *changes.puts)), reply


def _fits(row: Record, need: Need) -> bool:
    return type(row) is need.record and all(getattr(row, name) == value for name, value in need.where)


def look(truth: Truth, *, fenced: tuple[str, ...] = (), silent: tuple[str, ...] = ()) -> Looked:
    """Ask everybody what there is."""

    def told(mailbox: str, request: Request[Any], cell: CellPath = ROOT) -> Any:
        return ask(truth, Address(cell, mailbox), request)[1]

    cells = {str(cell.path): told("cell", FindHoldings(server=S), cell.path) for cell in truth.cells}
    places = [(cell, name) for cell, found in cells.items() for name in found.hosts if name not in (*fenced, *silent)]
    mapping = next((row for row in truth.of_root(Mapping) if row.server == S), None)
    return Looked(
        server=S, root=ROOT, mapping=mapping or Mapping(server=S, cell=None, generation=0), fenced=fenced, cells=cells,
        at_root=told("cell", FindRootHoldings(server=S)), ports=told("network", partners.ListPorts(server=S)),
        attachments=told("volume", partners.ListAttachments(server=S)).attachments,
        images=told("image", partners.ListSnapshots(server=S)).images,
        guests={place: seen(truth, place[1]) for place in places},
    )  # fmt: skip


def seen(truth: Truth, at: str) -> GuestHoldings:
    found = next((each for each in truth.guests if (each.host, each.server) == (at, S)), None)
    if found is None:
        return GuestHoldings()
    return GuestHoldings(is_defined=found.is_defined, is_running=found.is_running, has_disk=found.has_disk)


def remove(truth: Truth, found: Findings) -> Truth:
    """Carry out all removals."""
    for removal in (
        *found.at_hosts, *found.in_cells, *found.at_network, *found.at_volumes, *found.at_images, *found.at_root
    ):  # fmt: skip
        truth = _removed(truth, removal)
    return truth


def _removed(truth: Truth, removal: Removal) -> Truth:
    there = removal.at.mailbox.removeprefix("host:")
    match removal.request:
        case hosts.DestroyGuest():
            return attrs.evolve(truth, guests=tuple(each for each in truth.guests if each.host != there))
        case hosts.DetachGuest():
            detached = (attrs.evolve(e, is_defined=False) if e.host == there else e for e in truth.guests)
            return attrs.evolve(truth, guests=tuple(detached))
        case _:
            return ask(truth, removal.at, removal.request)[0]


# --- what somebody may have left ------------------------------------------------------------------------------


def add(at: CellPath, *rows: Record) -> Callable[[Truth], Truth]:
    def edit(truth: Truth) -> Truth:
        return with_rows(truth, Address(at, "cell"), (*owned(truth, Address(at, "cell")), *rows))

    return edit


def partner(row: Record) -> Callable[[Truth], Truth]:
    return lambda truth: attrs.evolve(truth, partners=(*truth.partners, row))


def guest(*, is_defined: bool = False) -> Callable[[Truth], Truth]:
    stray: GuestTruth = attrs.evolve(kept_disk(), host="h9", cell=STRANGE, is_defined=is_defined)
    return lambda truth: attrs.evolve(truth, guests=(*truth.guests, stray))


LEFT: Final = {
    "a hidden record": add(STRANGE, HIDDEN, device("a1", is_root=False)),
    "a part of a record": add(ROOT, Fault(id="f", server=S, code="c", message="m", created_at_us=1)),
    "an allocation": add(STRANGE, attrs.evolve(allocation("old", "h9", BIG))),
    "a claim": add(STRANGE, Claim(server=S, host="h9", migration="old")),
    "news of a record": add(ROOT, attrs.evolve(mirror(HIDDEN, US), cell="api!sa")),
    "a binding": partner(PortBinding(port="p1", host="h9", server=S, is_active=False)),
    "an attachment": partner(Attachment(id="a9", volume="v2", server=S)),
    "a connected attachment": partner(Attachment(id="a8", volume="v2", server=S, host=f"{STRANGE}/host:h9")),
    "a snapshot": partner(Image(id="snap", name="web", status="active", server=S)),
    "a disk": guest(),
    "a guest": guest(is_defined=True),
}  # fmt: skip


def world(made: Truth, *edits: str) -> Truth:
    """Leave things in a world that has a cell more."""
    truth = attrs.evolve(made, cells=(*made.cells, NOBODY))
    for edit in edits:
        truth = LEFT[edit](truth)
    return truth


def left_behind(truth: Truth) -> bool:
    return "no_leaks" in broken(truth, is_at_rest=True)


@pytest.mark.parametrize("made", WORLDS)
def test_of_a_server_that_is_well_nothing_is_left_over(made: Callable[[], Truth]) -> None:
    """Whether it runs, is stopped, or waits for its user: what a revert needs is no leftover."""
    found = leftovers.find(look(world(made())), has_disks=False)
    assert (found.left, found.kept, found.missing, found.unseen) == ((), (), (), ())


@given(made=st.sampled_from(WORLDS), edits=st.lists(st.sampled_from(sorted(LEFT)), min_size=1, unique=True))
def test_whatever_is_left_is_removed_and_nothing_else(made: Callable[[], Truth], edits: list[str]) -> None:
    """The world is as it was before somebody left things there, by all invariants, and nothing more is found."""
    if {"a disk", "a guest"} <= set(edits):
        edits.remove("a disk")  # It is the guest's.
    if {"a hidden record", "news of a record"} <= set(edits):
        edits.remove("news of a record")  # Its cell tells the root when the record goes.
    truth = world(made(), *edits)
    assert left_behind(truth)
    found = leftovers.find(look(truth), has_disks=False)
    after = remove(truth, found)
    assert not found.kept
    assert broken(after, is_at_rest=True) == set()
    # A record that is gone may be remembered as such.
    assert leftovers.find(look(after), has_disks=False).left == ()
    assert after.guests == made().guests


# --- what stays -----------------------------------------------------------------------------------------------


def kept(truth: Truth, *, has_disks: bool = False, **how: tuple[str, ...]) -> set[str]:
    found = leftovers.find(look(truth, **how), has_disks=has_disks)
    assert not {each.trace for each in found.kept} & set(found.left)
    return {each.trace[0] for each in found.kept}


def test_a_disk_stays_when_the_servers_own_was_not_seen() -> None:
    """It may be the only one: that of a host that does not answer, or that of a host that has lost its own."""
    truth = world(active(), "a disk")
    assert kept(truth) == set()
    assert kept(truth, silent=("h1",)) == {"disk"}
    assert kept(attrs.evolve(truth, guests=truth.guests[1:])) == {"disk"}


def test_what_a_silent_host_may_still_use_stays_and_of_one_whose_machine_is_off_it_goes() -> None:
    """A guest that nobody has seen may write to a volume, and take the room that is allocated."""
    truth = world(active(), "a connected attachment", "a binding", "an allocation", "a claim", "an attachment")
    assert kept(truth, silent=("h9",)) == {"attachment", "binding", "allocation", "claim"}
    assert leftovers.find(look(truth, silent=("h9",)), has_disks=False).left == (("attachment", "v2", "a9"),)
    assert leftovers.find(look(truth, silent=("h9",)), has_disks=False).unseen == ("h9",)
    assert kept(truth, fenced=("h9",)) == set()


def test_news_of_a_cell_that_did_not_answer_stays() -> None:
    """Its record may be there."""
    looked = look(world(active(), "news of a record"))
    silent = attrs.evolve(looked, cells={cell: told for cell, told in looked.cells.items() if cell != str(STRANGE)})
    assert [each.trace for each in leftovers.find(silent, has_disks=False).kept] == [("mirror", "api!sa")]


def gone() -> Truth:
    """A server that is gone, but for its guest, its permit, its specification, its port and its volume."""
    truth = world(active())
    at_root = tuple(row for row in owned(truth, Address(ROOT, "cell")) if isinstance(row, Permit | RequestSpec))
    bare = with_rows(truth, Address(ROOT, "cell"), at_root)
    return with_rows(
        bare, Address(EU, "cell"), tuple(row for row in owned(bare, Address(EU, "cell")) if type(row) is Host)
    )


def test_the_disk_of_a_server_that_is_gone_stays_with_all_its_guest_uses_until_its_removal_is_asked_for() -> None:
    """Nobody can tell whether it was deleted, or its mapping lost."""
    assert kept(gone()) == {"guest", "disk", "permits", "ports", "attachment", "binding"}
    assert leftovers.find(look(gone()), has_disks=False).left == (("request_specs", S),)
    after = remove(gone(), leftovers.find(look(gone()), has_disks=True))
    assert leftovers.find(look(after), has_disks=True) == leftovers.find(look(world_of_nothing()), has_disks=True)
    assert not after.guests
    assert not [row for row in after.all(Port) if row.server == S]


def world_of_nothing() -> Truth:
    truth = gone()
    empty = with_rows(truth, Address(ROOT, "cell"), ())
    return attrs.evolve(empty, guests=(), partners=tuple(row for row in truth.partners if not hasattr(row, "server")))


def test_the_permit_of_a_server_that_is_gone_stays_while_its_holder_is_silent() -> None:
    """Under it a guest may run there."""
    assert "permits" in kept(gone(), has_disks=True, silent=("h1",))


def test_a_guest_over_a_disk_that_is_kept_for_a_revert_is_let_go_of_without_its_disk() -> None:
    """The disk is the way back."""
    truth = verify_resize()
    defined = tuple(attrs.evolve(each, is_defined=True) if each.host == "h1" else each for each in truth.guests)
    found = leftovers.find(look(attrs.evolve(truth, guests=defined)), has_disks=False)
    assert found.left == (("guest", str(EU), "h1"),)
    assert [removal.request for removal in found.at_hosts] == [hosts.DetachGuest(server=S)]


def test_a_disk_below_the_guest_of_a_volume_backed_server_stays() -> None:
    """To destroy it would destroy the guest."""
    truth = volume_backed()
    with_disk = tuple(attrs.evolve(each, has_disk=True) for each in truth.guests)
    assert kept(attrs.evolve(truth, guests=with_disk)) == {"disk"}


def test_traffic_goes_to_the_servers_own_host_before_another_ones_binding_goes() -> None:
    """What is active is not unbound."""
    truth = world(active(), "a binding")
    flipped = tuple(
        attrs.evolve(row, is_active=row.host == "h9") if isinstance(row, PortBinding) else row for row in truth.partners
    )
    found = leftovers.find(look(attrs.evolve(truth, partners=flipped)), has_disks=False)
    assert [type(removal.request) for removal in found.at_network] == [partners.ActivateBindings, partners.UnbindPorts]
    assert broken(remove(attrs.evolve(truth, partners=flipped), found), is_at_rest=True) == set()


def test_what_has_changed_since_it_was_found_stays() -> None:
    """Of rows a cell removes those that it was told of, as they were."""
    truth = world(active(), "an allocation", "a hidden record")
    found = leftovers.find(look(truth), has_disks=False)
    cell = Address(STRANGE, "cell")
    changed = tuple(attrs.evolve(r, vcpus=3) if isinstance(r, Allocation) else r for r in owned(truth, cell))
    after = remove(with_rows(truth, cell, changed), found)
    assert [row.vcpus for row in owned(after, cell) if isinstance(row, Allocation)] == [3]


def test_a_record_that_is_shown_again_since_it_was_found_stays() -> None:
    """Somebody has made that cell the server's home."""
    truth = world(active(), "a hidden record")
    found = leftovers.find(look(truth), has_disks=False)
    cell = Address(STRANGE, "cell")
    shown = tuple(attrs.evolve(row, is_hidden=False) if isinstance(row, Server) else row for row in owned(truth, cell))
    assert owned(remove(with_rows(truth, cell, shown), found), cell) == shown


def test_news_that_comes_late_of_a_record_that_is_gone_comes_too_late() -> None:
    """The root keeps what it was told, as news of what is gone."""
    truth = world(active(), "news of a record")
    told = next(row for row in truth.of_root(Mirror) if row.cell == str(STRANGE))
    after, _ = ask(remove(truth, leftovers.find(look(truth), has_disks=False)), AT_ROOT, UpdateMirror(mirror=told))
    assert not left_behind(after)


def test_what_a_server_should_have_and_has_not_is_told() -> None:
    """It is not made up: only what is left over is a repair's."""
    eu = Address(EU, "cell")
    bare = with_rows(active(), eu, tuple(row for row in owned(active(), eu) if type(row) is not Claim))
    assert leftovers.find(look(bare), has_disks=False).missing == (("claim", str(EU), "h1", "settled"),)
