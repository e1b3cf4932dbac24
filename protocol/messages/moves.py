"""What the source cell and the target cell are asked in the course of a move."""

import attrs

from protocol.cell_path import CellPath
from protocol.errors import ErrorReport
from protocol.messages.servers import Origin, ServerBundle
from protocol.records import Flavor, Migration, Server
from protocol.requests import Done, Method, Request, Role
from protocol.states import Goal, PowerState, TaskState


@attrs.frozen(kw_only=True)
class BeginMove(Request[ServerBundle]):
    """Source: the server is to move.  Task `resize_prep`, action and its events."""

    METHOD = Method(name="begin_move", at=Role.CELL)

    server: str
    goal: Goal
    action: str
    flavor: Flavor | None  # None: as it is.
    origin: Origin
    host: str | None = None  # The target host that was named.
    is_host_fenced: bool = False  # The host that has the server: its machine is off.


@attrs.frozen(kw_only=True)
class AbortMove(Request[Done]):
    """Source, undo of `BeginMove`: no task; action, events, one fault and one notification tell the first cause."""

    METHOD = Method(name="abort_move", at=Role.CELL)

    server: str
    action: str
    cause: ErrorReport


@attrs.frozen(kw_only=True)
class HoldSource(Request[Migration]):
    """Source: write the migration, and let it hold the server's allocation."""

    METHOD = Method(name="hold_source", at=Role.CELL)

    server: str
    migration: str
    goal: Goal
    source: CellPath
    new_flavor: Flavor


@attrs.frozen(kw_only=True)
class ReturnSource(Request[Done]):
    """Source, undo of `HoldSource`: migration `error`, the allocation is the server's again."""

    METHOD = Method(name="return_source", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class MarkCrossCell(Request[ServerBundle]):
    """Source: the move leaves the cell.  It stays marked so when it fails.  Gives what is to be copied."""

    METHOD = Method(name="mark_cross_cell", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class CopyServer(Request[Done]):
    """Target: write a hidden copy of the whole record, in one transaction."""

    METHOD = Method(name="copy_server", at=Role.CELL)

    bundle: ServerBundle
    server: str
    migration: str
    generation: int


@attrs.frozen(kw_only=True)
class DestroyServer(Request[Done]):
    """Delete this cell's record of a server that the migration brought here or takes away; gone is no error."""

    METHOD = Method(name="destroy_server", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class RecordAttachments(Request[Done]):
    """Write which attachment each volume has in this cell's record."""

    METHOD = Method(name="record_attachments", at=Role.CELL)

    server: str
    attachments: dict[str, str]


@attrs.frozen(kw_only=True)
class ClaimTarget(Request[Migration]):
    """Target: the copy has its place; where to and what size, in record and migration."""

    METHOD = Method(name="claim_target", at=Role.CELL)

    server: str
    migration: str
    cell: CellPath
    host: str
    new_flavor: Flavor
    action: str


@attrs.frozen(kw_only=True)
class ReleaseTarget(Request[Done]):
    """Target, undo of `ClaimTarget`: no claim."""

    METHOD = Method(name="release_target", at=Role.CELL)

    server: str
    host: str


@attrs.frozen(kw_only=True)
class NoteTarget(Request[Done]):
    """Source: write where to, and that a move is open."""

    METHOD = Method(name="note_target", at=Role.CELL)

    server: str
    migration: str
    cell: CellPath
    host: str


@attrs.frozen(kw_only=True)
class ForgetTarget(Request[Done]):
    """Source, undo of `NoteTarget`."""

    METHOD = Method(name="forget_target", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class PrepareSource(Request[Done]):
    """Source: both flavors and the old state noted, task `resize_migrating`, migration `migrating`."""

    METHOD = Method(name="prepare_source", at=Role.CELL)

    server: str
    migration: str
    new_flavor: Flavor
    action: str


@attrs.frozen(kw_only=True)
class UnprepareSource(Request[Done]):
    """Source, undo of `PrepareSource`."""

    METHOD = Method(name="unprepare_source", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class MarkMigrated(Request[Done]):
    """Source: the guest is off and let go; task `resize_migrated`, migration `post-migrating`, power 4."""

    METHOD = Method(name="mark_migrated", at=Role.CELL)

    server: str
    migration: str
    action: str


@attrs.frozen(kw_only=True)
class UnmarkMigrated(Request[Done]):
    """Source, undo of `MarkMigrated`."""

    METHOD = Method(name="unmark_migrated", at=Role.CELL)

    server: str
    migration: str
    power_state: PowerState


@attrs.frozen(kw_only=True)
class SetTask(Request[Done]):
    """Write a server's task, if it is the expected one (or this one already)."""

    METHOD = Method(name="set_task", at=Role.CELL)

    server: str
    expected: TaskState | None
    task_state: TaskState | None


@attrs.frozen(kw_only=True)
class SealServer(Request[ServerBundle]):
    """Make the record read-only, for its home is about to change; give it as it is now."""

    METHOD = Method(name="seal_server", at=Role.CELL)

    server: str


@attrs.frozen(kw_only=True)
class FinishTarget(Request[Server]):
    """Target: the guest is there.  Take over what changed at the source, become `resized` on the new host."""

    METHOD = Method(name="finish_target", at=Role.CELL)

    server: str
    migration: str
    sealed: ServerBundle
    host: str
    power_state: PowerState
    action: str


@attrs.frozen(kw_only=True)
class ShowCopy(Request[Done]):
    """Target: the copy is the server now."""

    METHOD = Method(name="show_copy", at=Role.CELL)

    server: str


@attrs.frozen(kw_only=True)
class HideSource(Request[Done]):
    """Source: the record is the hidden copy now; its history of the move is closed."""

    METHOD = Method(name="hide_source", at=Role.CELL)

    server: str
    action: str
    target_host: str


# --- confirm -----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class BeginConfirm(Request[ServerBundle]):
    """Target: the user keeps the move; migration `confirming`, action `confirmResize`."""

    METHOD = Method(name="begin_confirm", at=Role.CELL)

    server: str
    action: str
    origin: Origin


@attrs.frozen(kw_only=True)
class AbortConfirm(Request[Done]):
    """Target, undo of `BeginConfirm`: still in VERIFY_RESIZE."""

    METHOD = Method(name="abort_confirm", at=Role.CELL)

    server: str
    action: str
    cause: ErrorReport


@attrs.frozen(kw_only=True)
class ReleaseSource(Request[Done]):
    """Source: migration `confirmed`, nothing held for it any more."""

    METHOD = Method(name="release_source", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class FinishConfirm(Request[Server]):
    """Target: the move is over; the server is active or stopped, with its new flavor only."""

    METHOD = Method(name="finish_confirm", at=Role.CELL)

    server: str
    migration: str
    action: str


# --- revert ------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class BeginRevert(Request[ServerBundle]):
    """Target: the user takes the move back; task `resize_reverting`, migration `reverting`, action `revertResize`."""

    METHOD = Method(name="begin_revert", at=Role.CELL)

    server: str
    action: str
    origin: Origin


@attrs.frozen(kw_only=True)
class AbortRevert(Request[Done]):
    """Target, undo of `BeginRevert`: still in VERIFY_RESIZE."""

    METHOD = Method(name="abort_revert", at=Role.CELL)

    server: str
    action: str
    cause: ErrorReport


@attrs.frozen(kw_only=True)
class BeginReturn(Request[ServerBundle]):
    """Source: the server comes back, and its place is still held; task `resize_reverting`."""

    METHOD = Method(name="begin_return", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class AbortReturn(Request[Done]):
    """Source, undo of `BeginReturn`."""

    METHOD = Method(name="abort_return", at=Role.CELL)

    server: str


@attrs.frozen(kw_only=True)
class ApplyReturn(Request[Done]):
    """Source: take over what changed at the target, with its history; these are the volumes now."""

    METHOD = Method(name="apply_return", at=Role.CELL)

    server: str
    migration: str
    sealed: ServerBundle
    attachments: dict[str, str]
    generation: int
    action: str


@attrs.frozen(kw_only=True)
class RestoreSource(Request[Done]):
    """Source: old flavor, own host, the allocation is the server's again."""

    METHOD = Method(name="restore_source", at=Role.CELL)

    server: str
    migration: str


@attrs.frozen(kw_only=True)
class FinishReturn(Request[Server]):
    """Source: the guest is back; the server is what it was, migration `reverted`."""

    METHOD = Method(name="finish_return", at=Role.CELL)

    server: str
    migration: str
    power_state: PowerState
    action: str
    target_host: str


@attrs.frozen(kw_only=True)
class HideTarget(Request[Done]):
    """Target: the record is the hidden copy now."""

    METHOD = Method(name="hide_target", at=Role.CELL)

    server: str


@attrs.frozen(kw_only=True)
class VacateTarget(Request[Done]):
    """Target: migration `reverted`, the allocation and the claim on the target host are free."""

    METHOD = Method(name="vacate_target", at=Role.CELL)

    server: str
    migration: str
    host: str
