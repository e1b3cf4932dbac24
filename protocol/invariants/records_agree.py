"""Records agree: the home's record, the source's, the root, the hypervisor and the history tell one story at rest."""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import Standing, fenced, located, settled
from protocol.records import ActionEvent, Migration, RequestSpec, Server, ServerAction
from protocol.states import TERMINAL, MigrationStatus, PowerState, TaskState, VmState
from protocol.truth import GuestTruth, Truth

#: What the guest of a server in that state does.  In VERIFY_RESIZE the state before the move tells.
DOES: Final[Mapping[VmState, tuple[PowerState, ...]]] = {
    VmState.ACTIVE: (PowerState.RUNNING,),
    VmState.STOPPED: (PowerState.SHUTDOWN,),
    VmState.PAUSED: (PowerState.PAUSED,),
    VmState.SUSPENDED: (PowerState.SUSPENDED,),
    # What was saved of it is kept until it is restored, or deleted for good.
    VmState.SOFT_DELETED: (PowerState.SHUTDOWN, PowerState.SUSPENDED),
}
#: In words.
DOING: Final[Mapping[PowerState, str]] = {
    PowerState.RUNNING: "runs",
    PowerState.SHUTDOWN: "does not run",
    PowerState.PAUSED: "is paused",
    PowerState.SUSPENDED: "is suspended",
}
#: What a record holds beside the rest while a move is open, and only then.
OF_A_MOVE: Final = ("old_flavor", "new_flavor", "old_vm_state", "migration_context")


@checker("records_agree")
def check_at_rest(truth: Truth) -> Findings:
    """Compare what everybody has of each settled server."""
    guests = {(guest.server, str(guest.cell), guest.host): guest for guest in truth.guests}
    specs = {spec.server: spec for spec in truth.of_root(RequestSpec)}
    migrations: dict[str, list[tuple[str, Migration]]] = {}
    for cell, row in located(truth, Migration):
        migrations.setdefault(row.server, []).append((cell, row))
    standings, off = settled(truth), fenced(truth)
    for standing in standings:
        guest = guests.get((standing.server, *standing.home.place))
        texts = (
            *_record(standing),
            *(() if standing.record.host in off else _guest(standing, guest)),
            *_moves(standing, migrations.get(standing.server, [])),
            *_source(standing),
            *_spec(standing, specs.get(standing.server)),
        )
        for text in texts:
            yield standing.server, text
    yield from _history(truth, standings)


def _former(record: Server) -> VmState | None:
    """Name the state that tells whether the guest runs."""
    return record.old_vm_state if record.vm_state is VmState.RESIZED else record.vm_state


def _record(standing: Standing) -> Iterator[str]:
    """Ask the home's record whether it is at rest."""
    record = standing.record
    if record.task_state is not None:
        yield f"its task is {record.task_state}"
    if record.is_sealed:
        yield "its home's record is sealed"
    if record.vm_state is not VmState.RESIZED:
        for name in OF_A_MOVE:
            if getattr(record, name) is not None:
                yield f"it is {record.vm_state}, and its {name} is {getattr(record, name)}"
    elif record.flavor != record.new_flavor:
        yield f"it is resized to {record.new_flavor}, and has {record.flavor}"


def _guest(standing: Standing, guest: GuestTruth | None) -> Iterator[str]:
    """Compare the record's states and volumes with the hypervisor's."""
    record, former = standing.record, _former(standing.record)
    does = DOES.get(former) if former is not None else None
    if does is None:
        yield f"it rests in {record.vm_state} (before: {record.old_vm_state})"
        return
    # In VERIFY_RESIZE one that stopped by itself stays what it is, for its confirm to make it stopped.
    if record.vm_state is VmState.RESIZED and record.power_state is PowerState.SHUTDOWN:
        does = (PowerState.SHUTDOWN,)
    if record.power_state not in does:
        yield f"it is {former}, and its power state is {record.power_state.name}"
    if guest is None or not guest.is_defined:
        yield f"it has no guest on {record.host}"
        return
    if guest.power is not (record.power_state if record.power_state in does else does[0]):
        yield f"it is {former}, and its guest {DOING[guest.power]}"
    volumes = sorted(device.volume for device in standing.home.devices)
    if sorted(guest.volumes) != volumes:
        yield f"its volumes are {volumes}, and its guest has {sorted(guest.volumes)}"


def _moves(standing: Standing, migrations: list[tuple[str, Migration]]) -> Iterator[str]:
    """Ask that every move is over, but for the one that waits in VERIFY_RESIZE."""
    move = standing.move
    for cell, row in migrations:
        if (move is None or row.uuid != move.uuid) and row.status not in TERMINAL:
            yield f"its migration {row.uuid} is {row.status} in {cell}"
    if standing.record.vm_state is VmState.RESIZED and move is None:
        yield "it is resized, and by no migration that its home knows"
    if move is None:
        return
    statuses = {cell: row.status for cell, row in migrations if row.uuid == move.uuid}
    left = {move.source_cell: MigrationStatus.POST_MIGRATING} if standing.has_crossed else {}
    if statuses != {**left, standing.home.cell: MigrationStatus.FINISHED}:
        yield f"it is resized, and its migration is {', '.join(f'{on} in {cell}' for cell, on in statuses.items())}"
    for cell, row in migrations:
        if row.uuid == move.uuid and _facts(row) != _facts_of(standing, move):
            yield f"its migration in {cell} tells {_facts(row)}, and it is {_facts_of(standing, move)}"


def _facts(row: Migration) -> tuple[object, ...]:
    return (
        *(row.source_cell, row.source_host, row.target_cell, row.target_host),
        *(row.old_flavor, row.new_flavor, row.is_cross_cell),
    )


def _facts_of(standing: Standing, move: Migration) -> tuple[object, ...]:
    record = standing.record
    old, new = (flavor.name if flavor else None for flavor in (record.old_flavor, record.new_flavor))
    return (move.source_cell, move.source_host, standing.home.cell, record.host, old, new, standing.has_crossed)


def _source(standing: Standing) -> Iterator[str]:
    """Ask that the source's record is what a revert would begin with; after a move inside of a cell, the only one."""
    if standing.move is None:
        return
    if not standing.has_crossed:
        yield from _kept(standing, standing.move)
        return
    move, source = standing.move, standing.source
    if source is None:
        yield f"its source {move.source_cell} has no record of it"
        return
    record = standing.record
    if source.task_state is not TaskState.RESIZE_MIGRATED or not source.is_sealed:
        yield f"its source's record has task {source.task_state}, sealed: {source.is_sealed}"
    if (source.host, source.flavor, source.vm_state) != (move.source_host, record.old_flavor, record.old_vm_state):
        yield f"its source's record is {source.vm_state} on {source.host} with {source.flavor}"
    if source.power_state is not PowerState.SHUTDOWN:
        yield f"its source's record has power state {source.power_state.name}"
    for name in OF_A_MOVE:
        if getattr(source, name) != getattr(record, name):
            yield f"its {name} is {getattr(record, name)} at home and {getattr(source, name)} at the source"


def _kept(standing: Standing, move: Migration) -> Iterator[str]:
    """Ask the only record for what the source's would tell: another host, and a volume once at most."""
    record, context = standing.record, standing.record.migration_context
    if record.is_hidden or record.host == move.source_host:
        yield f"it moved inside of its cell, from {move.source_host} to {record.host}, hidden: {record.is_hidden}"
    here = {device.attachment for device in standing.home.devices}
    if context is not None and here.intersection(context.kept.values()):
        yield f"it keeps for a revert what it uses: {sorted(here.intersection(context.kept.values()))}"


def _spec(standing: Standing, spec: RequestSpec | None) -> Iterator[str]:
    """Ask that a server would be placed again as it is."""
    record = standing.record
    wanted = RequestSpec(server=record.uuid, flavor=record.flavor, availability_zone=record.availability_zone)
    if spec != wanted:
        yield f"its request spec is {spec}, and it has {attrs.asdict(record.flavor)} in {record.availability_zone}"


def _history(truth: Truth, standings: tuple[Standing, ...]) -> Findings:
    """Ask that everything in the histories is over, hangs together, and was not lost on the way."""
    actions: dict[tuple[str, str], set[str]] = {}
    events: dict[tuple[str, str], set[tuple[str, str]]] = {}
    resting = {standing.server for standing in standings}
    for cell, action in located(truth, ServerAction):
        actions.setdefault((cell, action.server), set()).add(action.id)
        if action.finished_at_us is None and action.server in resting:
            yield action.server, f"its action {action.action} is unfinished in {cell}"
    for cell, event in located(truth, ActionEvent):
        events.setdefault((cell, event.server), set()).add((event.action, event.name))
        if (event.result is None or event.finished_at_us is None) and event.server in resting:
            yield event.server, f"its event {event.name} is unfinished in {cell}"
    for standing in standings:
        server, cells = standing.server, [standing.home.cell]
        if standing.move is not None and standing.has_crossed:
            cells.append(standing.move.source_cell)
        own, *earlier = (events.get((cell, server), set()) for cell in cells)
        for cell in cells:
            if actions.get((cell, server), set()) != {action for action, _ in events.get((cell, server), set())}:
                yield server, f"the actions and the events in {cell} are not of each other"
        if any(not known <= own for known in earlier):
            yield server, f"{cells[0]} lacks some of the history that {cells[1]} has"
