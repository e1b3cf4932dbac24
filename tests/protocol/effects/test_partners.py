"""Capacity, volumes, ports and images: what is given is accounted for, and what is taken back is as it was."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.draft import Changes
from protocol.effects.news import news
from protocol.errors import AlreadyExists, CapacityExceeded, InvalidState, InvalidValue, NotFound, VolumeInUse
from protocol.messages import capacity, partners
from protocol.messages.mirror import DestroyMirror, UpdateMirror
from protocol.messages.root import RegisterHost, UnregisterHost
from protocol.records import Allocation, Attachment, Flavor, Host, Image, Port, PortBinding, Server, Volume
from protocol.states import VmState
from tests.protocol.effects.ledger import MOMENT, Ledger

HOST = Host(name="h1", vcpus=4, memory_mb=4, disk_gb=4, availability_zone="az")
VOLUMES = (Volume(id="v1", name="v1", size_gb=1), Volume(id="v2", name="v2", size_gb=1))


# --- capacity ----------------------------------------------------------------------------------------------


def allocate(consumer: str, size: int, *, is_volume_backed: bool = False) -> capacity.AllocateHost:
    flavor = Flavor(name="f", vcpus=size, memory_mb=size, disk_gb=size)
    return capacity.AllocateHost(
        server=consumer, consumer=consumer, host="h1", flavor=flavor, is_volume_backed=is_volume_backed
    )


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 4), st.booleans()), max_size=10))
def test_a_host_never_gives_more_than_it_has(asked: list[tuple[str, int, bool]]) -> None:
    """Each consumer has what it was given until it is freed; what does not fit is refused and changes nothing."""
    ledger = Ledger(HOST)
    for consumer, size, is_freed in asked:
        before = dict(ledger.rows)
        if is_freed:
            ledger.do(capacity.FreeHost(server=consumer, consumer=consumer, host="h1"))
            assert consumer not in {row.consumer for row in ledger.all(Allocation)}
            continue
        try:
            ledger.do(allocate(consumer, size))
        except CapacityExceeded:
            assert ledger.rows == before
        assert sum(row.vcpus for row in ledger.all(Allocation)) <= HOST.vcpus


def test_a_volume_backed_server_takes_no_disk_of_its_host() -> None:
    """Its disk is a volume."""
    ledger = Ledger(HOST)
    ledger.do(allocate("a", 2, is_volume_backed=True))
    assert [(row.vcpus, row.disk_gb) for row in ledger.all(Allocation)] == [(2, 0)]
    with pytest.raises(NotFound):
        Ledger().do(allocate("a", 1))


def test_room_is_what_is_left_on_hosts_that_are_enabled() -> None:
    """With the cell's name; and freeing another host's allocation frees nothing here."""
    ledger = Ledger(HOST, attrs.evolve(HOST, name="h2", is_enabled=False))
    ledger.do(allocate("a", 3))
    find = capacity.FindRoom(vcpus=1, memory_mb=1, disk_gb=1)
    assert [(room.host, room.cell, room.vcpus) for room in ledger.do(find).hosts] == [("h1", "api", 1)]
    assert ledger.do(attrs.evolve(find, vcpus=2)).hosts == ()
    ledger.do(capacity.FreeHost(server="a", consumer="a", host="h2"))
    assert len(ledger.all(Allocation)) == 1


@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_host_that_announces_itself_again_stays_disabled(*, is_enabled: bool) -> None:
    """Its capacity is what it says; whether it is used is not its own to say."""
    ledger = Ledger(attrs.evolve(HOST, is_enabled=is_enabled))
    add = capacity.AddHost(name="h1", vcpus=9, memory_mb=4, disk_gb=4, availability_zone="az")
    ledger.do(add)
    assert ledger.all(Host) == [attrs.evolve(HOST, vcpus=9, is_enabled=is_enabled)]
    fresh = Ledger()
    fresh.do(add)
    assert fresh.all(Host)[0].is_enabled


def test_a_host_and_a_server_are_news_to_the_root() -> None:
    """Each with an id that follows from the change; a server that is dropped is told to be gone, newer than before."""
    server = Server(
        uuid="s1", name="web", project="p", user="u", flavor=Flavor(name="f", vcpus=1, memory_mb=1, disk_gb=1),
        vm_state=VmState.ACTIVE, version=4, created_at_us=0, updated_at_us=0,
    )  # fmt: skip
    moment = attrs.evolve(MOMENT, cell="api!eu")
    put = news(Changes(puts=(HOST, server)), moment)
    gone = news(Changes(drops=(server, HOST)), moment)
    assert [str(each.target) for each in (*put, *gone)] == ["api/cell"] * 4
    assert put[0].request == RegisterHost(host="h1", cell=CellPath.parse("api!eu"))
    assert isinstance(put[1].request, UpdateMirror)
    assert put[1].request.mirror.version == 4
    assert [each.request for each in gone] == [
        DestroyMirror(server="s1", cell="api!eu", generation=1, version=5),
        UnregisterHost(host="h1", cell=CellPath.parse("api!eu")),
    ]
    # Of one host the last that is to be told is told, in the place of what waits.
    assert put[0].about == gone[1].about
    assert news(Changes(puts=(HOST, server)), moment) == put
    assert len({each.id for each in (*put, *gone)}) == 4


# --- volumes -----------------------------------------------------------------------------------------------


def reserve(server: str, *volumes: str, prefix: str = "a", is_new: bool = False) -> partners.ReserveAttachments:
    rows = tuple(
        partners.NewAttachment(id=f"{prefix}-{volume}", volume=volume, device="/dev/vdb") for volume in volumes
    )
    return partners.ReserveAttachments(server=server, attachments=rows, is_new=is_new)


def test_a_volume_is_one_server_s() -> None:
    """Another server cannot reserve it; the same one can again, unless it must be new to it and is connected."""
    ledger = Ledger(*VOLUMES)
    given_ = ledger.do(reserve("s1", "v1", "v2"))
    assert [row.id for row in given_.attachments] == ["a-v1", "a-v2"]
    assert ledger.do(reserve("s1", "v1", is_new=True)).attachments[0].id == "a-v1"
    assert ledger.do(reserve("s1", "v1", prefix="b")).attachments[0].id == "b-v1"
    assert ledger.do(reserve("s1", "v1", prefix="c", is_new=True)).attachments[0].id == "c-v1"
    ledger.do(partners.ConnectAttachments(server="s1", attachments=("c-v1",), host="h1"))
    for refused in (reserve("s2", "v1", prefix="d"), reserve("s1", "v1", prefix="d", is_new=True)):
        with pytest.raises(VolumeInUse):
            ledger.do(refused)
    with pytest.raises(NotFound):
        ledger.do(reserve("s1", "v3"))


def test_at_most_one_attachment_of_a_volume_is_connected() -> None:
    """The second waits until the first is emptied; connecting it again moves it."""
    ledger = Ledger(*VOLUMES)
    ledger.do(reserve("s1", "v1"))
    ledger.do(reserve("s1", "v1", prefix="b"))
    connect = partners.ConnectAttachments(server="s1", attachments=("a-v1",), host="h1")
    for _ in range(2):
        assert ledger.do(connect).attachments[0].host == "h1"
    other = attrs.evolve(connect, attachments=("b-v1",), host="h2")
    with pytest.raises(VolumeInUse):
        ledger.do(other)
    for _ in range(2):
        ledger.do(partners.DisconnectAttachments(server="s1", attachments=("a-v1", "gone")))
    assert ledger.do(other).attachments[0].host == "h2"
    with pytest.raises(NotFound):
        ledger.do(attrs.evolve(connect, attachments=("gone",)))


def test_attachments_are_emptied_and_refilled_as_they_were() -> None:
    """The new stands before the old goes; the way back gives the very same rows, however often."""
    row = Attachment(id="a", volume="v1", server="s1", host="h1", device="/dev/vdb")
    ledger = Ledger(*VOLUMES, row)
    swap = partners.Swap(volume="v1", device="/dev/vdb", connected="a", empty="e")
    ledger.do(partners.EmptyAttachments(server="s1", swaps=(swap,)))
    assert ledger.all(Attachment) == [attrs.evolve(row, id="e", host=None)]
    for _ in range(2):
        ledger.do(partners.RefillAttachments(server="s1", swaps=(swap,), host="h1"))
        assert ledger.do(partners.ListAttachments(server="s1")).attachments == (row,)


def test_attachments_are_deleted_by_name() -> None:
    """Others of the server stay; those that are gone are no error."""
    ledger = Ledger(*VOLUMES)
    ledger.do(reserve("s1", "v1", "v2"))
    for _ in range(2):
        ledger.do(partners.DeleteAttachments(server="s1", attachments=("a-v1",)))
    assert [row.id for row in ledger.all(Attachment)] == ["a-v2"]


def test_a_volume_is_registered_once() -> None:
    """The same again is the same; another of its name is refused."""
    ledger = Ledger()
    register = partners.RegisterVolume(volume="v1", name="v1", size_gb=1)
    assert ledger.do(register) == ledger.do(register) == VOLUMES[0]
    with pytest.raises(AlreadyExists):
        ledger.do(attrs.evolve(register, size_gb=2))


def test_a_copy_needs_as_much_room_as_its_original() -> None:
    """A smaller volume is refused, and nothing is reserved; one of the same size or larger is not."""
    ledger = Ledger(*VOLUMES, Volume(id="large", name="large", size_gb=2))
    copy_to = partners.NewAttachment(id="a", volume="v1", device="/dev/vdb", copy_of="large")
    with pytest.raises(InvalidValue, match="it has 1 GB, and large has 2 GB"):
        ledger.do(partners.ReserveAttachments(server="s1", attachments=(copy_to,)))
    assert ledger.all(Attachment) == []
    for volume, original in (("v1", "v2"), ("large", "v2")):
        copy_to = attrs.evolve(copy_to, id=volume, volume=volume, copy_of=original)
        assert ledger.do(partners.ReserveAttachments(server="s1", attachments=(copy_to,))).attachments[0].id == volume


# --- ports -------------------------------------------------------------------------------------------------


def test_a_port_has_one_active_binding_through_a_move_and_back() -> None:
    """Bound on the target inactive, activated there, activated back, unbound; the active one cannot be unbound."""
    ledger = Ledger()
    ledger.do(partners.CreatePort(port="abcdef01", server="s1", host="h1"))
    address = ledger.all(Port)[0].address
    assert address == "fa:16:3e:ab:cd:ef"
    for _ in range(2):
        bound = ledger.do(partners.BindPorts(server="s1", host="h2"))
        assert [(row.host, row.is_active) for row in bound.bindings] == [("h1", True), ("h2", False)]
    for host in ("h2", "h1"):
        listed = ledger.do(partners.ActivateBindings(server="s1", host=host))
        assert [row.host for row in listed.bindings if row.is_active] == [host]
    with pytest.raises(InvalidState, match="active on h1"):
        ledger.do(partners.UnbindPorts(server="s1", host="h1"))
    for _ in range(2):
        ledger.do(partners.UnbindPorts(server="s1", host="h2"))
    with pytest.raises(InvalidState, match="one on h2"):
        ledger.do(partners.ActivateBindings(server="s1", host="h2"))
    assert ledger.do(partners.ListPorts(server="s1")).bindings == (
        PortBinding(port="abcdef01", host="h1", server="s1", is_active=True),
    )
    for _ in range(2):
        ledger.do(partners.DeletePorts(server="s1"))
    assert ledger.rows == {}


# --- images ------------------------------------------------------------------------------------------------


def test_a_snapshot_is_queued_then_active_then_gone() -> None:
    """It is deleted by its own server only; an image of the users' is not."""
    ledger = Ledger()
    queued = ledger.do(partners.CreateSnapshot(image="i1", name="snap", server="s1"))
    assert queued.status == "queued"
    verify = partners.VerifyImage(image="i1", server="s1", size_bytes=3, sha256="x")
    for _ in range(2):
        assert ledger.do(verify) == attrs.evolve(queued, status="active", size_bytes=3, sha256="x")
    ledger.do(partners.DeleteImage(image="i1", server="s2"))
    assert ledger.do(partners.ShowImage(image="i1")).status == "active"
    for _ in range(2):
        ledger.do(partners.DeleteImage(image="i1", server="s1"))
    assert ledger.all(Image) == []
    for command in (verify, partners.ShowImage(image="i1")):
        with pytest.raises(NotFound):
            ledger.do(command)


def test_an_image_is_registered_once() -> None:
    """The same again is the same; another of its name is refused."""
    ledger = Ledger()
    register = partners.RegisterImage(image="i1", name="cirros", size_bytes=3, sha256="x")
    assert ledger.do(register) == ledger.do(register)
    with pytest.raises(AlreadyExists):
        ledger.do(attrs.evolve(register, sha256="y"))


def test_the_undo_of_what_never_was_changes_nothing() -> None:
    """`apply` itself stands for it, for every command that answers with `Done`."""
    ledger = Ledger(HOST, Allocation(consumer="a", host="h1", server="a", vcpus=1, memory_mb=1, disk_gb=1))
    before = dict(ledger.rows)
    ledger.do(capacity.FreeHost(server="a", consumer="a", host="h1"), attrs.evolve(MOMENT, undoes_nothing=True))
    assert ledger.rows == before
