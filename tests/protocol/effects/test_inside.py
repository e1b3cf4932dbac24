"""Moves inside of a cell, asked step by step: zones that differ, and what is left when a delete comes in between."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from protocol.cell_path import CellPath
from protocol.effects.registry import Moment
from protocol.errors import InvalidState
from protocol.messages import inside, moves, servers
from protocol.messages.servers import Origin
from protocol.records import Allocation, BlockDevice, Claim, Flavor, Host, Migration, Server
from protocol.states import Goal, MigrationStatus, PowerState, TaskState, VmState
from tests.protocol.effects.ledger import Ledger

CELL: Final = CellPath.parse("api!eu")
S, MOVE = "s1", "move-1"
ORIGIN: Final = Origin(request_id="r", user="u", project="p")
SMALL: Final = Flavor(name="small", vcpus=1, memory_mb=512, disk_gb=1)
BIG: Final = Flavor(name="big", vcpus=2, memory_mb=1024, disk_gb=2)


def host(name: str, zone: str) -> Host:
    return Host(name=name, vcpus=9, memory_mb=9999, disk_gb=99, availability_zone=zone)


def room(consumer: str, at: str, flavor: Flavor) -> Allocation:
    return Allocation(
        consumer=consumer, host=at, server=S, vcpus=flavor.vcpus, memory_mb=flavor.memory_mb, disk_gb=flavor.disk_gb
    )


def moving() -> Ledger:
    """A server whose guest is on h2 by now, and whose record does not know it yet."""
    server = Server(
        uuid=S, name="web", project="p", user="u", image="img", flavor=SMALL, host="h1", availability_zone="north",
        vm_state=VmState.ACTIVE, power_state=PowerState.RUNNING, created_at_us=1, updated_at_us=1,
    )  # fmt: skip
    device = BlockDevice(id="d1", server=S, volume="v1", attachment="first", device="/dev/vdb")
    ledger = Ledger(
        server, device, host("h1", "north"), host("h2", "south"), room(S, "h1", SMALL), Claim(server=S, host="h1")
    )
    hold = moves.HoldSource(server=S, migration=MOVE, goal=Goal.RESIZE, source=CELL, new_flavor=BIG)
    begin = moves.BeginMove(server=S, goal=Goal.RESIZE, action="a", flavor=BIG, origin=ORIGIN)
    at = Moment(now_us=2, cell=str(CELL), key="c:0:do:execute")
    for command in (
        begin,
        hold,
        moves.MarkCrossCell(server=S, migration=MOVE),  # An earlier attempt was to leave the cell.
        inside.ClaimInside(server=S, migration=MOVE, host="h2", action="a"),
        moves.NoteTarget(server=S, migration=MOVE, cell=CELL, host="h2"),
        moves.PrepareSource(server=S, migration=MOVE, new_flavor=BIG, action="a"),
        moves.RecordAttachments(server=S, attachments={"v1": "empty"}),
        moves.MarkMigrated(server=S, migration=MOVE, action="a"),
        moves.SetTask(server=S, expected=TaskState.RESIZE_MIGRATED, task_state=TaskState.RESIZE_FINISH),
    ):
        ledger.do(command, at)
    ledger.rows[Allocation, (S, "h2")] = room(S, "h2", BIG)
    return ledger


def moved() -> Ledger:
    """The same, in VERIFY_RESIZE."""
    ledger = moving()
    ledger.do(
        inside.FinishInside(
            server=S,
            migration=MOVE,
            host="h2",
            power_state=PowerState.RUNNING,
            attachments={"v1": "second"},
            action="a",
        )
    )
    return ledger


def one(ledger: Ledger) -> Server:
    [server] = ledger.all(Server)
    assert isinstance(server, Server)
    return server


def places(ledger: Ledger) -> set[tuple[str, str]]:
    """Name the hosts that keep room, and for whom; a claim stands beside each."""
    assert {row.host for row in ledger.all(Allocation)} == {row.host for row in ledger.all(Claim)}
    return {(row.consumer, row.host) for row in ledger.all(Allocation)}


def test_the_record_names_the_first_host_until_the_guest_runs_on_the_second() -> None:
    """Of all that is done before, whoever reads the record sees a task and no other place; the last attempt tells."""
    ledger = moving()
    server, [migration] = one(ledger), ledger.all(Migration)
    assert (server.host, server.flavor, server.availability_zone) == ("h1", SMALL, "north")
    assert (migration.target_host, migration.is_cross_cell) == ("h2", False)
    ledger.do(moves.SetTask(server=S, expected=TaskState.RESIZE_FINISH, task_state=TaskState.RESIZE_MIGRATED))
    assert one(ledger).task_state is TaskState.RESIZE_MIGRATED, "the way back is open"


def test_one_transaction_makes_the_other_host_its_own_and_notes_what_a_revert_gives_back() -> None:
    """Host, flavor, zone and attachments together; the zone and the empty attachments of the first host are kept."""
    ledger = moved()
    server, context = one(ledger), one(ledger).migration_context
    assert (server.host, server.flavor, server.availability_zone) == ("h2", BIG, "south")
    assert (server.vm_state, server.task_state, server.old_flavor) == (VmState.RESIZED, None, SMALL)
    assert context is not None
    assert (context.old_zone, context.kept) == ("north", {"v1": "empty"})
    assert [row.attachment for row in ledger.all(BlockDevice)] == ["second"]
    assert [row.status for row in ledger.all(Migration)] == [MigrationStatus.FINISHED]
    assert places(ledger) == {(MOVE, "h1"), (S, "h2")}


def test_a_revert_brings_the_old_zone_flavor_and_room_back() -> None:
    """The second host keeps its room until it is left; then nothing of the move is in the record."""
    ledger = moved()
    ledger.do(moves.BeginRevert(server=S, action="b", origin=ORIGIN))
    ledger.do(inside.CheckPlace(server=S, migration=MOVE))
    ledger.do(inside.ReturnInside(server=S, migration=MOVE, attachments={"v1": "empty"}))
    server = one(ledger)
    assert (server.host, server.flavor, server.availability_zone) == ("h1", SMALL, "north")
    assert [row.attachment for row in ledger.all(BlockDevice)] == ["empty"]
    assert places(ledger) == {(S, "h1"), (S, "h2")}
    ledger.do(inside.LeaveHost(server=S, host="h2"))
    assert places(ledger) == {(S, "h1")}


def test_a_revert_is_refused_when_the_first_host_keeps_no_room() -> None:
    """Before anything is done: the server goes on where it is."""
    ledger = moved()
    del ledger.rows[Allocation, (MOVE, "h1")]
    before = dict(ledger.rows)
    with pytest.raises(InvalidState):
        ledger.do(inside.CheckPlace(server=S, migration=MOVE))
    assert ledger.rows == before


def test_a_delete_leaves_the_place_that_a_debt_has_still_to_give_back() -> None:
    """The disk there is not gone yet, so its room is not free; and who comes then finds no record, and needs none."""
    ledger = moved()
    ledger.do(moves.BeginConfirm(server=S, action="b", origin=ORIGIN))
    ledger.do(moves.FinishConfirm(server=S, migration=MOVE, action="b"))
    ledger.do(servers.BeginDelete(server=S, action="d", origin=ORIGIN))
    ledger.do(servers.EraseServer(server=S, action="d"))
    assert ledger.all(Server) == []
    assert places(ledger) == {(MOVE, "h1")}
    ledger.do(inside.LeaveHost(server=S, host="h1"))
    ledger.do(inside.LeaveHost(server=S, host="h1"))
    assert places(ledger) == set()


def test_what_is_left_is_left_by_its_host_alone() -> None:
    """Another server's room on that host is none of its business."""
    ledger = moved()
    other = attrs.evolve(room("s2", "h1", SMALL), server="s2")
    ledger.rows[Allocation, other.key] = other
    ledger.do(inside.LeaveHost(server=S, host="h1"))
    assert {(row.server, row.host) for row in ledger.all(Allocation)} == {("s2", "h1"), (S, "h2")}
