"""Small worlds in which all invariants hold: a server that runs, is stopped, or waits for a confirm or a revert."""

import attrs

from protocol.cell_path import CellPath
from protocol.gather import CellAnswer
from protocol.mirroring import mirror_of, mirrored_device
from protocol.records import (
    ActionEvent,
    Allocation,
    Attachment,
    BlockDevice,
    Claim,
    Flavor,
    GroupPlace,
    Host,
    Image,
    Mapping,
    Migration,
    MigrationContext,
    Mirror,
    Permit,
    Port,
    PortBinding,
    Record,
    RequestSpec,
    Server,
    ServerAction,
    ServerGroup,
    Volume,
)
from protocol.requests import Gathered
from protocol.states import Goal, MigrationStatus, PowerState, TaskState, VmState
from protocol.truth import (
    BootTruth,
    CallTruth,
    CellTruth,
    ConversationTruth,
    GatherTruth,
    GuestTruth,
    Memory,
    Truth,
    VolumeTruth,
    Witnessed,
)

ROOT, EU, US = (CellPath.parse(text) for text in ("api", "api!eu", "api!us"))
S, OTHER = "s1", "s2"
MOVE = "resize-1"
SMALL = Flavor(name="small", vcpus=1, memory_mb=512, disk_gb=5)
BIG = Flavor(name="big", vcpus=2, memory_mb=1024, disk_gb=10)
EU_H1, EU_H2, US_H3 = "api!eu/host:h1", "api!eu/host:h2", "api!us/host:h3"

Rows = tuple[Record, ...]


def host(name: str, cell: CellPath) -> Host:
    return Host(name=name, vcpus=4, memory_mb=4096, disk_gb=40, availability_zone=cell.name)


def record(cell: CellPath, at: str, *, runs: bool, is_volume_backed: bool) -> Server:
    return Server(
        uuid=S,
        name="web",
        project="p",
        user="u",
        image="" if is_volume_backed else "img",
        flavor=SMALL,
        host=at,
        availability_zone=cell.name,
        vm_state=VmState.ACTIVE if runs else VmState.STOPPED,
        power_state=PowerState.RUNNING if runs else PowerState.SHUTDOWN,
        version=7,
        created_at_us=1,
        updated_at_us=2,
    )


def mirror(server: Server, cell: CellPath) -> Mirror:
    return mirror_of(server, str(cell))


def told(server: Server, cell: CellPath, device: BlockDevice) -> Rows:
    """Give what the root has heard of a server and its volume."""
    return mirror(server, cell), mirrored_device(device, server, str(cell))


def allocation(consumer: str, at: str, flavor: Flavor, *, is_volume_backed: bool = False) -> Allocation:
    disk_gb = 0 if is_volume_backed else flavor.disk_gb
    return Allocation(
        consumer=consumer, host=at, server=S, vcpus=flavor.vcpus, memory_mb=flavor.memory_mb, disk_gb=disk_gb
    )


def device(attachment: str, *, is_root: bool) -> BlockDevice:
    boot_index = 0 if is_root else None
    return BlockDevice(id="d1", server=S, volume="v1", attachment=attachment, device="/dev/vda", boot_index=boot_index)


def history(action: str) -> Rows:
    return (
        ServerAction(
            id=action,
            server=S,
            action=action,
            request_id="r",
            user="u",
            project="p",
            started_at_us=1,
            finished_at_us=2,
        ),
        ActionEvent(
            id=f"{action}-e",
            action=action,
            server=S,
            name="e",
            host="h1",
            result="Success",
            started_at_us=1,
            finished_at_us=2,
        ),
    )


def migration(status: MigrationStatus) -> Migration:
    return Migration(
        uuid=MOVE,
        server=S,
        kind=Goal.RESIZE,
        status=status,
        source_cell=str(EU),
        source_host="h1",
        target_cell=str(US),
        target_host="h3",
        is_cross_cell=True,
        old_flavor=SMALL.name,
        new_flavor=BIG.name,
        created_at_us=1,
        updated_at_us=2,
    )


def guest(cell: CellPath, at: str, *, runs: bool, is_volume_backed: bool, permit: int) -> GuestTruth:
    boots = tuple(BootTruth(host="h1" if n == 1 else at, permit=n, number=n) for n in range(1, permit + 1))
    return GuestTruth(
        server=S,
        host=at,
        cell=cell,
        is_defined=True,
        is_running=runs,
        has_disk=not is_volume_backed,
        permit=permit,
        volumes=("v1",),
        counter=40,
        boots=boots,
    )


def kept_disk() -> GuestTruth:
    """What a source host keeps for a revert."""
    return GuestTruth(
        server=S,
        host="h1",
        cell=EU,
        is_defined=False,
        is_running=False,
        has_disk=True,
        permit=None,
        volumes=(),
        counter=20,
        boots=(BootTruth(host="h1", permit=1, number=1),),
    )


def conversation(name: str, goal: Goal, *, epoch: int) -> ConversationTruth:
    return ConversationTruth(conversation=name, server=S, goal=goal, epoch=epoch, is_ended=True, is_closed=True)


def truth(
    *, root: Rows, eu: Rows, us: Rows, partners: Rows, guests: tuple[GuestTruth, ...], goals: tuple[Goal, ...]
) -> Truth:
    """Put hosts, storage and a little traffic around a server."""
    cells = (ROOT, EU, US)
    return Truth(
        root=ROOT,
        cells=(
            CellTruth(path=ROOT, rows=root),
            CellTruth(path=EU, rows=(host("h1", EU), host("h2", EU), *eu)),
            CellTruth(path=US, rows=(host("h3", US), *us)),
        ),
        partners=(
            Image(id="img", name="img", status="active"),
            Volume(id="v1", name="v1", size_gb=1),
            Volume(id="v2", name="v2", size_gb=1),
            Port(id="p1", server=S, address="fa:16:3e:00:00:01"),
            *partners,
        ),
        image_files=("img",),
        guests=guests,
        volumes=(VolumeTruth(volume="v1", writer=S, counter=40), VolumeTruth(volume="v2", writer=None, counter=0)),
        conversations=tuple(
            conversation(f"{goal}-1", goal, epoch=number) for number, goal in enumerate(goals, start=1)
        ),
        memories=(Memory(actor="api!eu/cell", keys=()), Memory(actor=EU_H1, keys=())),
        calls=(CallTruth(call="c1", answers=1, is_overdue=True), CallTruth(call="c2", answers=0, is_overdue=False)),
        gathers=(GatherTruth(top=ROOT, cells=cells, result=answers(EU, US, ROOT)),),
        witnessed=(Witnessed(server=S, volume=None, counter=30), Witnessed(server=S, volume="v1", counter=30)),
    )


def answers(*cells: CellPath, errors: tuple[CellPath, ...] = ()) -> Gathered:
    return Gathered(answers=tuple(CellAnswer(cell=cell, body=b"", is_error=cell in errors) for cell in cells))


MAPPING = Mapping(
    server=S, cell=str(EU), generation=1, project="p", vcpus=1, memory_mb=512, server_group="g"
)  # fmt: skip


def grouped(*hosts: str) -> Rows:
    """The group that the server is in, and the hosts that are kept for it."""
    kept = (GroupPlace(server=S, host=host, server_group="g", conversation="c") for host in hosts)
    return ServerGroup(id="g", name="g", project="p"), *kept


def settled(*, runs: bool = True, is_volume_backed: bool = False) -> Truth:
    """A server on h1 that nothing is being done to."""
    server = record(EU, "h1", runs=runs, is_volume_backed=is_volume_backed)
    return truth(
        root=(
            MAPPING,
            *grouped("h1"),
            Permit(server=S, number=1, holder=EU_H1),
            RequestSpec(server=S, flavor=SMALL, availability_zone="eu"),
            *told(server, EU, device("a1", is_root=is_volume_backed)),
        ),
        eu=(
            server,
            device("a1", is_root=is_volume_backed),
            allocation(S, "h1", SMALL, is_volume_backed=is_volume_backed),
            Claim(server=S, host="h1"),
            *history("create"),
        ),
        us=(),
        partners=(
            Attachment(id="a1", volume="v1", server=S, host=EU_H1, device="/dev/vda"),
            PortBinding(port="p1", host="h1", server=S, is_active=True),
        ),
        guests=(guest(EU, "h1", runs=runs, is_volume_backed=is_volume_backed, permit=1),),
        goals=(Goal.CREATE,),
    )


def resized(*, runs: bool = True, is_volume_backed: bool = False) -> Truth:
    """A server that went from h1 to h3 in another cell, and waits there: VERIFY_RESIZE."""
    former = record(EU, "h1", runs=runs, is_volume_backed=is_volume_backed)
    open_move = attrs.evolve(
        former,
        old_flavor=SMALL,
        new_flavor=BIG,
        old_vm_state=former.vm_state,
        migration_context=MigrationContext(migration=MOVE, old_flavor=SMALL.name, new_flavor=BIG.name),
    )
    source = attrs.evolve(
        open_move,
        is_hidden=True,
        is_sealed=True,
        task_state=TaskState.RESIZE_MIGRATED,
        power_state=PowerState.SHUTDOWN,
    )
    target = attrs.evolve(
        open_move, host="h3", flavor=BIG, availability_zone="us", vm_state=VmState.RESIZED, generation=2, version=9
    )
    kept = () if is_volume_backed else (kept_disk(),)
    return truth(
        root=(
            attrs.evolve(MAPPING, cell=str(US), generation=2, vcpus=2, memory_mb=1024, is_moved=True),
            *grouped("h1", "h3"),
            Permit(server=S, number=2, holder=US_H3),
            RequestSpec(server=S, flavor=BIG, availability_zone="us"),
            *told(target, US, device("a3", is_root=is_volume_backed)),
            *told(source, EU, device("a2", is_root=is_volume_backed)),
        ),
        eu=(
            source,
            device("a2", is_root=is_volume_backed),
            allocation(MOVE, "h1", SMALL, is_volume_backed=is_volume_backed),
            Claim(server=S, host="h1"),
            migration(MigrationStatus.POST_MIGRATING),
            *history("create"),
            *history("resize"),
        ),
        us=(
            target,
            device("a3", is_root=is_volume_backed),
            allocation(S, "h3", BIG, is_volume_backed=is_volume_backed),
            Claim(server=S, host="h3", migration=MOVE),
            migration(MigrationStatus.FINISHED),
            *history("create"),
            *history("resize"),
        ),
        partners=(
            Attachment(id="a2", volume="v1", server=S, device="/dev/vda"),
            Attachment(id="a3", volume="v1", server=S, host=US_H3, device="/dev/vda"),
            PortBinding(port="p1", host="h1", server=S, is_active=False),
            PortBinding(port="p1", host="h3", server=S, is_active=True),
        ),
        guests=(*kept, guest(US, "h3", runs=runs, is_volume_backed=is_volume_backed, permit=2)),
        goals=(Goal.CREATE, Goal.RESIZE),
    )


def active() -> Truth:
    return settled()


def stopped() -> Truth:
    return settled(runs=False)


def volume_backed() -> Truth:
    return settled(is_volume_backed=True)


def verify_resize() -> Truth:
    return resized()


def verify_resize_stopped() -> Truth:
    return resized(runs=False)


def verify_resize_volume_backed() -> Truth:
    return resized(is_volume_backed=True)


WORLDS = (active, stopped, volume_backed, verify_resize, verify_resize_stopped, verify_resize_volume_backed)
