"""What there is of a server, read from the truth of a run: as a value to compare, and as a phrase to print."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import attrs

from protocol.records import Fault, Migration, Notification
from protocol.states import VmState
from sim import Scenario
from sim.stages.facts import Facts
from tests.faults.entry import OTHER, SERVER, SOURCE, TARGET

LETTERS = {SOURCE: "S", TARGET: "T", OTHER: "A"}
#: How what is told of a debt begins.
OWED = "the server is free for its user"
Row = tuple[object, ...]


@attrs.frozen(kw_only=True)
class Shape:
    """All that there is of a server but its history: what a failed move may not have changed."""

    records: tuple[Row, ...]
    devices: tuple[Row, ...]
    home: tuple[Row, ...]
    bindings: tuple[Row, ...]
    attachments: tuple[Row, ...]
    allocations: tuple[Row, ...]
    claims: tuple[Row, ...]
    images: tuple[Row, ...]
    guests: tuple[Row, ...]


def shape(facts: Facts) -> Shape:
    """Read what there is; what numbers and times say of the way there is left out."""
    mapping = facts.mapping(SERVER)
    return Shape(
        records=_sorted(
            (cell, row.vm_state, row.task_state, row.power_state, row.host, row.is_hidden, row.is_sealed,
             row.flavor.name, row.old_flavor and row.old_flavor.name, row.new_flavor and row.new_flavor.name,
             row.old_vm_state, row.migration_context is not None, row.name, row.is_locked, row.tags)
            for cell, row in facts.servers(SERVER).items()
        ),
        devices=_sorted((row.volume, row.device, row.boot_index) for row in facts.block_devices(SERVER)),
        home=((mapping.cell, mapping.conversation),) if mapping else (),
        bindings=_sorted((row.host, row.is_active) for row in facts.bindings(SERVER)),
        attachments=_sorted((row.volume, _host(row.host), row.device) for row in facts.attachments(SERVER)),
        allocations=_sorted(
            (row.consumer == SERVER, row.host, row.vcpus, row.memory_mb, row.disk_gb)
            for row in facts.allocations(SERVER)
        ),
        claims=_sorted((row.host,) for row in facts.claims(SERVER)),
        images=_sorted(_images(facts)),
        guests=_sorted(
            (guest.host, guest.is_defined, guest.is_running, guest.has_disk, guest.volumes)
            for guest in facts.guests(SERVER)
        ),
    )  # fmt: skip


def _images(facts: Facts) -> Iterable[Row]:
    """List images and their bytes; how its user calls one that was made of the server is left out."""
    called = {image.id: f"made of {image.source}" for image in facts.images() if image.source}
    yield from ((image.status, image.server, image.backup_type) for image in facts.images())
    yield from ((called.get(name, name),) for name in facts.image_files())


def _sorted(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=repr))


def _host(holder: str | None) -> str:
    return (holder or "").rpartition(":")[2]


@attrs.frozen(kw_only=True)
class Told:
    """What a server's history tells: of faults, error notifications and moves, in its home."""

    faults: tuple[str, ...]
    errors: tuple[str, ...]
    migrations: tuple[str, ...]


def told(facts: Facts) -> Told:
    """Read the history in the cell that is the server's home; notifications of all cells."""
    mapping = facts.mapping(SERVER)
    home = mapping.cell if mapping is not None else None
    faults = facts.in_cell(home, Fault, SERVER) if home else ()
    migrations = facts.in_cell(home, Migration, SERVER) if home else ()
    return Told(
        faults=tuple(row.code for row in sorted(faults, key=lambda row: row.created_at_us)),
        errors=tuple(row.event for row in facts.rows(Notification, SERVER) if row.event.endswith(".error")),
        migrations=tuple(str(row.status) for row in sorted(migrations, key=lambda row: row.created_at_us)),
    )


# --- as a phrase -------------------------------------------------------------------------------------------


def phrase(facts: Facts) -> str:
    """Tell in a line how a server is: its states, who has what of it, and the last words of its history."""
    record = facts.home(SERVER)
    if record is None:
        return "gone"
    task, history = record.task_state or "-", told(facts)
    parts = [f"{record.vm_state} / {task} / {record.power_state.value}", *_places(facts)]
    if history.migrations:
        parts.append(f"migration {history.migrations[-1]}")
    if history.faults:
        parts.append(f"fault {', '.join(f'`{code}`' for code in history.faults)}")
    return "; ".join(parts)


def _places(facts: Facts) -> Iterable[str]:
    record = facts.home(SERVER)
    assert record is not None, "there is a record"
    has = defaultdict[str, list[str]](list)
    for guest in facts.guests(SERVER):
        has[guest.host].append("guest" if guest.is_running else "guest (off)" if guest.is_defined else "disk")
    for binding in facts.bindings(SERVER):
        has[binding.host].append("port" if binding.is_active else "inactive port")
    for host in sorted({_host(row.host) for row in facts.attachments(SERVER)}):
        has[host].append("volumes" if host else "empty attachments")
    for allocation in facts.allocations(SERVER):
        has[allocation.host].append("room")
    # Empty attachments belong to the place that the server has left, which is a host of its other record.
    waiting = has.pop("", [])
    others = [host for host in has if host != record.host]
    for name in waiting:
        has[others[0] if others else SOURCE].append(name)
    for host in sorted(has, key=lambda host: (host != record.host, host)):
        kept = "" if host == record.host or record.vm_state is not VmState.RESIZED else " for a revert"
        yield f"{LETTERS.get(host, host)} has{kept}: {', '.join(sorted(has[host]))}"


def while_it_lasts(s: Scenario) -> str:
    """Tell how it looks now, while the trouble lasts: how the server is, and what its conversation waits for."""
    waiting = [each for each in s.truth.conversations(SERVER) if not each.is_closed]
    assert waiting, "nothing is going on"
    reasons = [f"{each.goal} waits for {each.waits_for.partition(': ')[0]}" for each in waiting if each.waits_for]
    assert reasons, f"{waiting[0].goal} goes on, and says nothing of any trouble"
    record = s.truth.home(SERVER)
    assert record is not None, "the server has a home all the time"
    assert record.vm_state is not VmState.ERROR, "a server is never in error for what will come right by itself"
    assert len(s.truth.running(SERVER)) <= 1, "never two guests"
    mapping = s.truth.mapping(SERVER)
    if mapping is not None and mapping.debt:
        assert (record.task_state, mapping.conversation) == (None, None), "the server is its user's"
        reasons.insert(0, OWED)
    guests = ", ".join(LETTERS[host] for host in s.truth.running(SERVER))
    return f"{'; '.join(reasons)}; " + (f"guest runs at {guests}" if guests else "guest is off")
