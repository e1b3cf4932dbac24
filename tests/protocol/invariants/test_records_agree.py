"""Records that tell different stories at rest break `records_agree`."""

import attrs
import pytest

from protocol.cell_path import CellPath
from protocol.records import ActionEvent, Migration, MigrationContext, Mirror, RequestSpec, Server, ServerAction
from protocol.states import MigrationStatus, PowerState, TaskState, VmState
from protocol.truth import Truth
from tests.protocol.invariants.killers import (
    Edit,
    Killer,
    add,
    altered,
    at_rest,
    broken,
    change,
    drop,
    guest,
    no_guest,
    prove,
)
from tests.protocol.invariants.worlds import (
    BIG,
    EU,
    MOVE,
    SMALL,
    US,
    active,
    migration,
    stopped,
    verify_resize,
    verify_resize_stopped,
)


def told(cell: CellPath, **fields: object) -> Edit:
    """Change the record that a cell has, and let the root be told of it."""

    def edit(truth: Truth) -> Truth:
        rows = {Server: cell, Mirror: truth.root}
        cells = tuple(
            attrs.evolve(
                each,
                rows=tuple(altered(row, fields) if rows.get(type(row)) == each.path else row for row in each.rows),
            )
            for each in truth.cells
        )
        return attrs.evolve(truth, cells=cells)

    return edit


POWER = (
    at_rest("an active server's guest is off", active, guest("h1", is_running=False)),
    at_rest("a stopped server's guest runs", stopped, guest("h1", is_running=True)),
    at_rest("an active server's power state is off", active, told(EU, power_state=PowerState.SHUTDOWN)),
    at_rest("a stopped server's power state is on", stopped, told(EU, power_state=PowerState.RUNNING)),
    at_rest("a stopped server is called active", stopped, told(EU, vm_state=VmState.ACTIVE)),
    at_rest("a server that was stopped runs after its move", verify_resize_stopped, guest("h3", is_running=True)),
    at_rest("a server that ran is off after its move", verify_resize, guest("h3", is_running=False)),
    at_rest("it rests in building", active, told(EU, vm_state=VmState.BUILDING)),
    at_rest("it rests in error", active, told(EU, vm_state=VmState.ERROR)),
    at_rest("its guest is not defined", stopped, guest("h1", is_defined=False), also=("no_leaks",)),
    at_rest("its guest is on another host", stopped, guest("h1", host="h2"), also=("no_leaks", "no_loss")),
    at_rest("its guest has none of its volumes", active, guest("h1", volumes=())),
    at_rest("its guest would use a volume that it has not", stopped, guest("h1", volumes=("v1", "v2"))),
)

RECORD = (
    at_rest("its task was left", active, told(EU, task_state=TaskState.RESIZE_PREP), also=("progress",)),
    at_rest("its home's record is sealed", active, change(Server, is_sealed=True)),
    at_rest("its old flavor was left", active, change(Server, old_flavor=SMALL)),
    at_rest("its new flavor was left", active, change(Server, new_flavor=BIG)),
    at_rest("its old state was left", active, change(Server, old_vm_state=VmState.ACTIVE)),
    at_rest(
        "its migration context was left",
        active,
        change(Server, migration_context=MigrationContext(migration=MOVE, old_flavor="small", new_flavor="big")),
    ),
    at_rest("its spec has another flavor", active, change(RequestSpec, flavor=BIG)),
    at_rest("its spec has another zone", verify_resize, change(RequestSpec, availability_zone="eu")),
    at_rest("its spec is missing", active, drop(RequestSpec)),
    at_rest("an action is unfinished", active, change(ServerAction, finished_at_us=None)),
    at_rest("an event is unfinished", active, change(ActionEvent, finished_at_us=None)),
    at_rest("an action has no events", active, drop(ActionEvent)),
    at_rest("an event has no action", active, drop(ServerAction)),
    at_rest(
        "the history did not come along",
        verify_resize,
        drop(ServerAction, {"id": "create"}, at=US),
        drop(ActionEvent, {"action": "create"}, at=US),
    ),
    at_rest("an event has no result", active, change(ActionEvent, result=None)),
    at_rest("an event is open in the hidden copy", verify_resize, change(ActionEvent, at=EU, result=None)),
    at_rest("a migration never ended", active, add(migration(MigrationStatus.MIGRATING), at=EU)),
)

IN_VERIFY_RESIZE = (
    at_rest("it is not finished at home", verify_resize, change(Migration, at=US, status=MigrationStatus.CONFIRMING)),
    at_rest("it is finished at the source", verify_resize, change(Migration, at=EU, status=MigrationStatus.FINISHED)),
    at_rest("the source does not know the migration", verify_resize, drop(Migration, at=EU)),
    at_rest("the source knows another target", verify_resize, change(Migration, at=EU, target_host="h4")),
    at_rest("the migration names another flavor", verify_resize, change(Migration, new_flavor="huge")),
    at_rest("it crossed cells, and is not said to", verify_resize, change(Migration, is_cross_cell=False)),
    at_rest("it is resized to a flavor that it has not", verify_resize, change(Server, new_flavor=SMALL)),
    at_rest("a flavor of that name is of another size", verify_resize,
            change(Server, new_flavor=attrs.evolve(BIG, vcpus=3))),
    at_rest("it is resized, and its home knows of no move", active,
            told(EU, vm_state=VmState.RESIZED), change(Server, old_vm_state=VmState.ACTIVE, new_flavor=SMALL)),
    at_rest("it does not know its old flavor", verify_resize, change(Server, at=US, old_flavor=None),
            also=("accounting",)),
    at_rest("it does not know its old state", verify_resize, change(Server, at=US, old_vm_state=None)),
    at_rest("the source forgot the state to go back to", verify_resize, change(Server, at=EU, old_vm_state=None)),
    at_rest("the source's task is over", verify_resize, change(Server, at=EU, task_state=None)),
    at_rest("the source's record can change", verify_resize, change(Server, at=EU, is_sealed=False)),
    at_rest("the source's record has another host", verify_resize, change(Server, at=EU, host="h2")),
    at_rest("the source is said to run", verify_resize, change(Server, at=EU, power_state=PowerState.RUNNING)),
    at_rest("another migration is open too", verify_resize, change(Server, at=EU, migration_context=None)),
)  # fmt: skip

KILLERS = (*POWER, *RECORD, *IN_VERIFY_RESIZE)


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_records_agree(killer: Killer) -> None:
    """The invariant sees each field that tells another story than the rest."""
    prove(killer, "records_agree")


@pytest.mark.parametrize("status", [MigrationStatus.CONFIRMED, MigrationStatus.REVERTED, MigrationStatus.ERROR])
def test_moves_that_are_over_stay_in_the_history(status: MigrationStatus) -> None:
    """A server keeps the record of each move that it made or failed to make."""
    assert broken(add(migration(status), at=EU)(active()), is_at_rest=True) == set()


def test_a_resized_server_without_its_migration_is_no_story() -> None:
    """In VERIFY_RESIZE a server can go nowhere without the record of its move; more than this invariant says so."""
    assert "records_agree" in broken(drop(Migration, at=US)(verify_resize()), is_at_rest=True)


def test_a_server_without_a_guest_is_no_story() -> None:
    """A guest that is gone with its disk is a loss too, but the record contradicts the hypervisor in any case."""
    assert "records_agree" in broken(no_guest("h1")(active()), is_at_rest=True)
