"""What a server's cell is asked about it outside of moves."""

from typing import Final

import attrs

from protocol.errors import ErrorReport
from protocol.records import (
    ActionEvent,
    BlockDevice,
    CellFreeze,
    Fault,
    Flavor,
    KeyPair,
    Migration,
    Server,
    ServerAction,
)
from protocol.requests import PAGE_MAX, Done, Form, Method, Request, Role
from protocol.states import MigrationStatus, PowerState, TaskState, VmState


@attrs.frozen(kw_only=True)
class Origin:
    """Who asked, as the history of a server tells it."""

    request_id: str
    user: str
    project: str
    is_admin: bool = False


@attrs.frozen(kw_only=True)
class ServerBundle:
    """Everything that one cell knows of a server and that goes with it when it moves."""

    server: Server
    block_devices: tuple[BlockDevice, ...]
    migrations: tuple[Migration, ...]
    actions: tuple[ServerAction, ...]
    events: tuple[ActionEvent, ...]
    faults: tuple[Fault, ...] = ()


@attrs.frozen(kw_only=True)
class ReadServer(Request[ServerBundle]):
    """Give the whole record of a server."""

    METHOD = Method(name="read_server", at=Role.CELL, is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class Sighting:
    """A server's record in a cell, if there is one, and whether that cell is frozen."""

    bundle: ServerBundle | None
    freeze: CellFreeze | None = None


@attrs.frozen(kw_only=True)
class FindServer(Request[Sighting]):
    """Give the whole record of a server, or say that there is none."""

    METHOD = Method(name="find_server", at=Role.CELL, is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class BuildServer(Request[Done]):
    """Write the record of a new server that is about to be spawned."""

    METHOD = Method(name="build_server", at=Role.CELL)

    server: str
    name: str
    flavor: Flavor
    image: str
    host: str
    availability_zone: str
    block_devices: tuple[BlockDevice, ...]
    action: str
    origin: Origin
    key_pair: KeyPair | None = None
    bandwidth_kbps: int = 0


@attrs.frozen(kw_only=True)
class DestroyBuild(Request[Done]):
    """Undo of `BuildServer`: remove the record that this create's action belongs to."""

    METHOD = Method(name="destroy_build", at=Role.CELL)

    server: str
    action: str


@attrs.frozen(kw_only=True)
class FinishBuild(Request[Server]):
    """The guest runs: the server is active."""

    METHOD = Method(name="finish_build", at=Role.CELL)

    server: str
    action: str
    power_state: PowerState


@attrs.frozen(kw_only=True)
class BeginTask(Request[ServerBundle]):
    """Start an operation on a settled server of one of these states: its task, its action."""

    METHOD = Method(name="begin_task", at=Role.CELL)

    server: str
    action: str
    action_name: str
    event: str
    origin: Origin
    vm_states: tuple[VmState, ...]
    task_state: TaskState | None
    needs_own_disk: bool = False  # It is refused when the server's root disk is a volume.


@attrs.frozen(kw_only=True)
class AbortTask(Request[Done]):
    """Undo of `BeginTask`: no task, and the action ended in error with its cause."""

    METHOD = Method(name="abort_task", at=Role.CELL)

    server: str
    action: str
    cause: ErrorReport


@attrs.frozen(kw_only=True)
class FinishTask(Request[Server]):
    """End an operation well; None leaves a state as it is."""

    METHOD = Method(name="finish_task", at=Role.CELL)

    server: str
    action: str
    vm_state: VmState | None
    power_state: PowerState | None


@attrs.frozen(kw_only=True)
class BeginDelete(Request[ServerBundle]):
    """Begin to delete a server in whatever state: its task, its action; gives what it has."""

    METHOD = Method(name="begin_delete", at=Role.CELL)

    server: str
    action: str
    origin: Origin
    is_let_in: bool = False  # A step before it was: a lock that came since is too late, for there is no way back.
    is_soft_deleted: bool = False  # Only if it is softly deleted still.


@attrs.frozen(kw_only=True)
class EraseServer(Request[Done]):
    """Delete the record of a server whose delete of this action has begun, its places on hosts and its history."""

    METHOD = Method(name="erase_server", at=Role.CELL)

    server: str
    action: str


@attrs.frozen(kw_only=True)
class EraseLost(Request[Done]):
    """Delete what a cell has of a server whose own record is lost, for its user has deleted it."""

    METHOD = Method(name="erase_lost", at=Role.CELL)

    server: str


@attrs.frozen(kw_only=True)
class AddBlockDevice(Request[Done]):
    """Write that a server has a volume."""

    METHOD = Method(name="add_block_device", at=Role.CELL)

    server: str
    block_device: BlockDevice


@attrs.frozen(kw_only=True)
class FindBlockDevice(Request[BlockDevice]):
    """Give the block device by which a server has a volume; refused for the root disk."""

    METHOD = Method(name="find_block_device", at=Role.CELL, is_read=True)

    server: str
    volume: str
    action: str = "detach_volume"  # What it is to be found for.


@attrs.frozen(kw_only=True)
class DropBlockDevice(Request[Done]):
    """Write that a server has a volume no more; one that is gone is no error."""

    METHOD = Method(name="drop_block_device", at=Role.CELL)

    server: str
    block_device: str


@attrs.frozen(kw_only=True)
class MigrationPage:
    """Some of a cell's records of moves, newest first."""

    migrations: tuple[Migration, ...]


#: Later than anything was made.
EVER_US: Final = 2**62


@attrs.frozen(kw_only=True)
class ListMigrations(Request[MigrationPage]):
    """Ask one cell, or every one, for its newest records of moves; each filter that is given leaves out others."""

    METHOD = Method(
        name="list_migrations", at=Role.CELL, form=Form.EITHER, reference="get_migrations", is_for_people=True,
        is_read=True,
    )  # fmt: skip

    before_us: int = EVER_US  # Only those that were made before, or then and with a lower id.
    before_id: str = ""
    limit: int = PAGE_MAX
    server: str = ""
    host: str = ""  # That they come from, or go to.
    status: MigrationStatus | None = None
