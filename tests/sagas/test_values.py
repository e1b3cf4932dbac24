"""What every party holds at the settled points of a move: the reference's table of values, column by column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import anyio
import attrs
import pytest

from actors.kernel.ports import Queue
from actors.wire.memory import MemoryWire
from protocol.errors import HypervisorFailed
from protocol.messages.orders import Order
from protocol.records import (
    ActionEvent,
    Allocation,
    Attachment,
    Image,
    Mapping,
    Migration,
    Notification,
    PortBinding,
    Server,
    ServerAction,
)
from protocol.states import PowerState
from protocol.truth import CellTruth, Truth
from sim.world import World
from tests import clouds
from tests.clouds import (
    CONFIRM,
    FLAT,
    REVERT,
    SMALL,
    SOURCE,
    SOURCE_HOST,
    TARGET,
    TARGET_HOST,
    TINY,
    Backing,
    broken_promises,
    building,
    cell_of,
    cloud,
    dump,
    guest_on,
    only,
)
from tests.sagas.trouble import Hold, How, Trouble, TroubledInbox, troubled_world

pytestmark = pytest.mark.anyio

#: The reference's words: S and D are the source and the target host, FM and FN the old and the new flavor.
HOSTS: Final = {SOURCE_HOST: "S", TARGET_HOST: "D", None: "-"}
FLAVORS: Final = {TINY.name: "FM", SMALL.name: "FN", None: "-"}

COLUMNS: Final = (
    "SRC vm/task/pwr", "SRC hidden, host, flavor, zone", "SRC old/new, old_vm, mctx", "SRC migration (to)",
    "TGT vm/task/pwr", "TGT hidden, host, flavor, zone", "TGT old/new, old_vm, mctx", "TGT migration (to)",
    "mapping", "bindings", "allocations", "images", "guests S, D", "attachments",
)  # fmt: skip
#: Before {vm}, {pwr} and {run} are filled in, which is how a stopped server differs from an active one.
POINTS: Final = {
    "start": (
        "{vm}/None/{pwr}", "F, S, FM, eu", "-/-, -, no", "-",
        "absent", "", "", "-",
        "SRC", "S ACTIVE", "S:instance(FM)", "0", "{run}, -", "S",
    ),
    "target claimed": (
        "{vm}/resize_prep/{pwr}", "F, S, FM, eu", "-/-, -, yes", "pre-migrating (D)",
        "{vm}/resize_prep/{pwr}", "T, S, FM, us", "-/FN, {vm}, yes", "pre-migrating (D)",
        "SRC", "D INACTIVE, S ACTIVE", "D:instance(FN), S:migration(FM)", "0", "{run}, -", "S empty",
    ),
    "VERIFY_RESIZE": (
        "{vm}/resize_migrated/4", "T, S, FM, eu", "FM/FN, {vm}, yes", "post-migrating (D)",
        "resized/None/{pwr}", "F, D, FN, us", "FM/FN, {vm}, yes", "finished (D)",
        "TGT", "D ACTIVE, S INACTIVE", "D:instance(FN), S:migration(FM)", "0", "-, {run}", "D empty",
    ),
    "confirmed": (
        "absent", "", "", "-",
        "{vm}/None/{pwr}", "F, D, FN, us", "-/-, -, no", "confirmed (D)",
        "TGT", "D ACTIVE", "D:instance(FN)", "0", "-, {run}", "D",
    ),
    "reverted": (
        "{vm}/None/{pwr}", "F, S, FM, eu", "-/-, -, no", "reverted (D)",
        "absent", "", "", "-",
        "SRC", "S ACTIVE", "S:instance(FM)", "0", "{run}, -", "S",
    ),
    "failed": (
        "{vm}/None/{pwr}", "F, S, FM, eu", "-/-, -, no", "error (D)",
        "absent", "", "", "-",
        "SRC", "S ACTIVE", "S:instance(FM)", "0", "{run}, -", "S",
    ),
}  # fmt: skip


def expected(point: str, backing: Backing, order: Order) -> dict[str, str]:
    """Give the reference's values."""
    is_stopped = backing is Backing.STOPPED
    words = {"vm": "stopped", "pwr": "4", "run": "off"} if is_stopped else {"vm": "active", "pwr": "1", "run": "run"}
    values = {name: cell.format(**words) for name, cell in zip(COLUMNS, POINTS[point], strict=True)}
    is_migration = getattr(order, "flavor", None) is None
    return {name: text.replace("FN", "FM") if is_migration else text for name, text in values.items()}


# --- reading the same columns off the truth ----------------------------------------------------------------


def found(truth: Truth) -> dict[str, str]:
    """Read the table's columns off the truth."""
    cells = {"SRC": cell_of(truth, SOURCE), "TGT": cell_of(truth, TARGET)}
    values = {name: text for side, cell in cells.items() for name, text in _side(side, cell).items()}
    homes = {str(cell.path): side for side, cell in cells.items()}
    mapping = only(truth.of_root(Mapping))
    return values | {
        "mapping": homes[mapping.cell or ""] if mapping else "-",
        "bindings": _list(f"{HOSTS[row.host]} {'' if row.is_active else 'IN'}ACTIVE" for row in truth.all(PortBinding)),
        "allocations": _list(_allocation(row) for row in truth.all(Allocation)),
        "images": str(len([row for row in truth.all(Image) if row.server])),
        "guests S, D": f"{_guest(truth, SOURCE_HOST)}, {_guest(truth, TARGET_HOST)}",
        "attachments": _attachments(truth),
    }


def _side(side: str, cell: CellTruth) -> dict[str, str]:
    server, migration = only(cell.all(Server)), only(cell.all(Migration))
    values = dict.fromkeys((f"{side} hidden, host, flavor, zone", f"{side} old/new, old_vm, mctx"), "")
    values |= {f"{side} vm/task/pwr": "absent", f"{side} migration (to)": "-"}
    if migration is not None:
        values[f"{side} migration (to)"] = f"{migration.status} ({HOSTS[migration.target_host]})"
    if server is not None:
        old, new = (FLAVORS[flavor.name if flavor else None] for flavor in (server.old_flavor, server.new_flavor))
        zone = (server.availability_zone or "").removeprefix("az-")
        host, flavor = HOSTS[server.host], FLAVORS[server.flavor.name]
        hidden, context = "T" if server.is_hidden else "F", "yes" if server.migration_context else "no"
        values |= {
            f"{side} vm/task/pwr": f"{server.vm_state}/{server.task_state}/{int(server.power_state)}",
            f"{side} hidden, host, flavor, zone": f"{hidden}, {host}, {flavor}, {zone}",
            f"{side} old/new, old_vm, mctx": f"{old}/{new}, {server.old_vm_state or '-'}, {context}",
        }
    return values


def _list(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts))


def _allocation(row: Allocation) -> str:
    consumer = "instance" if row.consumer == row.server else "migration"
    flavor = next(flavor for flavor in (TINY, SMALL) if flavor.memory_mb == row.memory_mb)
    return f"{HOSTS[row.host]}:{consumer}({FLAVORS[flavor.name]})"


def _guest(truth: Truth, host: str) -> str:
    guest = guest_on(truth, host)
    if guest is None or not guest.is_defined:
        return "-"
    return "run" if guest.is_running else "off"


def _attachments(truth: Truth) -> str:
    """Tell where the volumes are attached: alike for all of a server's, or else it is told of each."""
    places: dict[str, list[str]] = {}
    for row in truth.all(Attachment):
        host = row.host.rpartition(":")[2] if row.host else None
        places.setdefault(row.volume, []).append(HOSTS[host] if host else "empty")
    texts = {volume: " ".join(sorted(where)) for volume, where in places.items()}
    return next(iter(texts.values())) if len(set(texts.values())) == 1 else str(texts)


# --- the table ---------------------------------------------------------------------------------------------


@attrs.define
class Observer:
    """Compares the world with the reference at each settled point."""

    world: World
    backing: Backing
    order: Order

    async def see(self, point: str) -> Truth:
        """Compare every column."""
        truth = await self.world.truth()
        assert found(truth) == expected(point, self.backing, self.order), point
        is_volume_backed = self.backing is Backing.VOLUME
        assert all(bool(row.disk_gb) is not is_volume_backed for row in truth.all(Allocation)), "DISK_GB"
        assert all(row.is_cross_cell for row in truth.all(Migration)), "cross_cell_move"
        return truth


MOVES: Final = [
    *(pytest.param(backing, clouds.resize(), id=f"resize {backing}") for backing in Backing),
    pytest.param(Backing.IMAGE, clouds.migrate(), id="migrate"),
]


@pytest.mark.parametrize(("backing", "order"), MOVES)
@pytest.mark.parametrize("ending", ["confirmed", "reverted"])
async def test_a_move_holds_the_reference_values_at_every_settled_point(
    backing: Backing, order: Order, ending: str
) -> None:
    """Start, target claimed, VERIFY_RESIZE, then confirmed or reverted: every column of the table."""
    inbox = TroubledInbox()
    async with cloud(*building(backing), world=troubled_world(inbox)) as world:
        observer = Observer(world, backing, order)
        await observer.see("start")
        inbox.held = hold = Hold("prepare_source")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.client.finish, order)
            await hold.reached.wait()
            await observer.see("target claimed")
            hold.is_let_go = True
        await observer.see("VERIFY_RESIZE")
        await world.client.finish(CONFIRM if ending == "confirmed" else REVERT)
        await observer.see(ending)
        assert broken_promises(await dump(world)) == ()


@pytest.mark.parametrize("backing", Backing)
async def test_a_failed_move_holds_the_reference_values(backing: Backing) -> None:
    """The spawn fails with all before it done: every column is as at the start, but for the migration's error."""
    inbox = TroubledInbox()
    async with cloud(*building(backing), world=troubled_world(inbox)) as world:
        inbox.trouble = Trouble("spawn_target", How.HALF)
        with pytest.raises(HypervisorFailed):
            await world.client.finish(clouds.resize())
        await Observer(world, backing, clouds.resize()).see("failed")


# --- the history -------------------------------------------------------------------------------------------

CONDUCTED: Final = ["cold_migrate", "conductor_migrate_server"]
AT_TARGET: Final = "compute_prep_snapshot_based_resize_at_dest"
AT_SOURCE: Final = "compute_prep_snapshot_based_resize_at_source"
FINISH: Final = "compute_finish_snapshot_based_resize_at_dest"
CONFIRMING: Final = ["compute_confirm_snapshot_based_resize_at_source", "conductor_confirm_snapshot_based_resize"]
REVERTING: Final = [
    "compute_finish_revert_snapshot_based_resize_at_source", "compute_revert_snapshot_based_resize_at_dest",
    "conductor_revert_snapshot_based_resize",
]  # fmt: skip


def events_of(cell: CellTruth, name: str) -> list[str]:
    """List the events of the server's action of that name, all of which must have ended well."""
    action = next(row for row in cell.all(ServerAction) if row.action == name)
    events = [row for row in cell.all(ActionEvent) if row.action == action.id]
    assert action.finished_at_us is not None
    assert action.message is None
    assert [(row.name, row.result) for row in events if row.result != "Success" or not row.finished_at_us] == []
    return sorted(row.name for row in events)


async def test_the_events_of_a_resize_are_closed_in_both_cells() -> None:
    """Nova leaves two open for ever and loses one; here both cells have each event that they had a part in, ended."""
    async with cloud(clouds.create(), clouds.resize()) as world:
        truth = await world.truth()
        source, target = cell_of(truth, SOURCE), cell_of(truth, TARGET)
        assert events_of(source, "resize") == sorted([*CONDUCTED, AT_SOURCE, FINISH])
        assert events_of(target, "resize") == sorted([*CONDUCTED, AT_TARGET, AT_SOURCE, FINISH])
        assert events_of(target, "create") == ["compute__do_build_and_run_instance"]


async def test_a_confirm_has_two_events_and_keeps_those_of_the_move() -> None:
    """The source's record goes, and with it no part of the history."""
    async with cloud(clouds.create(), clouds.resize(), CONFIRM) as world:
        target = cell_of(await world.truth(), TARGET)
        assert events_of(target, "confirmResize") == CONFIRMING
        assert events_of(target, "resize") == sorted([*CONDUCTED, AT_TARGET, AT_SOURCE, FINISH])


async def test_a_revert_has_three_events_and_brings_the_whole_history_back() -> None:
    """The source has every event of the move, those made at the target too, each once."""
    async with cloud(clouds.create(), clouds.resize(), clouds.attach(), REVERT) as world:
        source = cell_of(await world.truth(), SOURCE)
        assert events_of(source, "revertResize") == REVERTING
        assert events_of(source, "resize") == sorted([*CONDUCTED, AT_TARGET, AT_SOURCE, FINISH])
        assert events_of(source, "attach_volume") == ["compute_attach_volume"]
        hosts = {row.name: row.host for row in source.all(ActionEvent) if row.name in REVERTING}
        assert [hosts[name] for name in REVERTING] == [SOURCE_HOST, TARGET_HOST, "conductor"]


class SlowWire(MemoryWire):
    """A wire on which each frame takes a millisecond, so that times tell the order of what happens."""

    async def send(self, queue: Queue, frame: bytes) -> None:
        await anyio.sleep(0.001)
        await super().send(queue, frame)


RESIZED: Final = [
    {("instance.exists", "D"), ("instance.resize_prep.start", "D"), ("instance.resize_prep.end", "D")},
    {("instance.resize.start", "S")},
    {("instance.resize.end", "S")},
    {("instance.resize_finish.start", "D"), ("instance.resize_finish.end", "D")},
]
CONFIRMED: Final = [{("instance.resize_confirm.start", "-")}, {("instance.resize_confirm.end", "-")}]
REVERTED: Final = [
    {("instance.resize_revert.start", "-")}, {("instance.exists", "D"), ("instance.resize_revert.end", "-")}
]  # fmt: skip


@pytest.mark.parametrize(("ending", "told"), [(CONFIRM, CONFIRMED), (REVERT, REVERTED)], ids=["confirm", "revert"])
async def test_notifications_come_in_the_reference_order(ending: Order, told: list[set[tuple[str, str]]]) -> None:
    """From which host, and when: what one step tells it tells at once."""
    wire = SlowWire()
    async with cloud(clouds.create(), clouds.resize(), ending, world=World(FLAT, wires=lambda _process: wire)) as world:
        groups: dict[int, list[tuple[str, str]]] = {}
        for row in (await world.truth()).all(Notification):
            groups.setdefault(row.created_at_us, []).append((row.event, HOSTS.get(row.publisher, "-")))
        after_create = [groups[at] for at in sorted(groups)][2:]
        assert [set(group) for group in after_create] == [*RESIZED, *told]
        assert all(len(group) == len(set(group)) for group in after_create)


# --- volumes changed in VERIFY_RESIZE ----------------------------------------------------------------------


def volumes(truth: Truth) -> dict[str, str]:
    """Tell of each attached volume on which host, and of a second attachment that it is there too."""
    hosts = [(row.volume, (row.host or "empty").rpartition(":")[2]) for row in truth.all(Attachment)]
    return {volume: " ".join(sorted(host for name, host in hosts if name == volume)) for volume, _ in sorted(hosts)}


@pytest.mark.parametrize(
    ("change", "ending", "left"),
    [
        (clouds.attach(), REVERT, {"data": SOURCE_HOST, "extra": SOURCE_HOST}),
        (clouds.attach(), CONFIRM, {"data": TARGET_HOST, "extra": TARGET_HOST}),
        (clouds.detach(), REVERT, {}),
        (clouds.detach(), CONFIRM, {}),
        (clouds.swap(), REVERT, {"spare": SOURCE_HOST}),
        (clouds.swap(), CONFIRM, {"spare": TARGET_HOST}),
    ],
    ids=["attach, revert", "attach, confirm", "detach, revert", "detach, confirm", "swap, revert", "swap, confirm"],
)
async def test_what_is_changed_in_verify_resize_stays_so(change: Order, ending: Order, left: dict[str, str]) -> None:
    """One connected attachment for each volume that the server has in the end, none for any other, whoever wins."""
    async with cloud(clouds.create(), clouds.resize(), change, ending) as world:
        after = await dump(world)
        assert volumes(after.truth) == left
        assert broken_promises(after) == ()
        [guest] = [guest for guest in after.truth.guests if guest.is_defined]
        assert sorted(guest.volumes) == sorted(left)
        assert only(after.truth.all(Server)) is not None
        assert guest.is_running
        assert after.truth.all(Server)[0].power_state is PowerState.RUNNING
