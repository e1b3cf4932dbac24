"""No leaks: of a settled server there is what belongs to it, nowhere anything else, and of no server nothing."""

from collections.abc import Iterator
from typing import Final

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import Place, Standing, busy, fenced, located, settled
from protocol.records import (
    PARTS,
    Allocation,
    Attachment,
    Claim,
    Image,
    Mapping,
    Mirror,
    MirroredDevice,
    MirroredFault,
    Permit,
    Port,
    PortBinding,
    RequestSpec,
    Server,
)
from protocol.truth import Truth

#: What there is of a server, in words: `("binding", port, host)`.
Trace = tuple[str, ...]
ON_HOSTS: Final = frozenset({"guest", "disk", "spare disk"})
#: What a server has as long as it has a mapping.
Possession = Permit | RequestSpec | Port
POSSESSIONS: Final[tuple[type[Possession], ...]] = (Permit, RequestSpec, Port)


@checker("no_leaks")
def check_at_rest(truth: Truth) -> Findings:
    """Compare what there is of each server that nobody works on with what there should be."""
    working = busy(truth)
    found = traces(truth)
    standings = {standing.server: standing for standing in settled(truth)}
    off = fenced(truth)
    for server in sorted({*found, *standings} - working):
        due = wanted(standings[server], truth) if server in standings else set[Trace]()
        for trace in sorted(found.get(server, set()) - due):
            if not _is_on(trace, off):
                yield server, f"left behind: {' '.join(trace)}"
        for trace in sorted(due - found.get(server, set())):
            if not _is_on(trace, off):
                yield server, f"missing: {' '.join(trace)}"
    yield from _files(truth)
    yield from memories(truth)


def _is_on(trace: Trace, hosts: frozenset[str]) -> bool:
    """Tell whether a trace is a guest or disk on one of these hosts."""
    return trace[0] in ON_HOSTS and trace[-1] in hosts


# --- what there is -----------------------------------------------------------------------------------------


def traces(truth: Truth) -> dict[str, set[Trace]]:
    """List what there is of each server."""
    found: dict[str, set[Trace]] = {}
    for server, trace in (*_in_cells(truth), *_of_partners(truth), *_on_hosts(truth), *_unmapped(truth)):
        found.setdefault(server, set()).add(trace)
    return found


def _in_cells(truth: Truth) -> Iterator[tuple[str, Trace]]:
    records = {(cell, row.uuid) for cell, row in located(truth, Server)}
    for cell, row in located(truth, Server):
        if row.is_hidden:
            yield row.uuid, ("hidden record", cell)
    # Notifications are no trace: they were told, and stay so.
    for kind in PARTS:
        for cell, part in located(truth, kind):
            if (cell, part.server) not in records:
                yield part.server, ("part of a record", cell, kind.TABLE)
    told: tuple[Mirror | MirroredDevice | MirroredFault, ...] = (
        *(row for row in truth.of_root(Mirror) if not row.is_gone),
        *(row for row in truth.of_root(MirroredDevice) if not row.is_gone),
        *truth.of_root(MirroredFault),
    )
    for heard in told:
        if (heard.cell, heard.server) not in records:
            yield heard.server, ("mirror", heard.cell)
    for cell, allocation in located(truth, Allocation):
        yield allocation.server, ("allocation", cell, allocation.host, allocation.consumer)
    for cell, claim in located(truth, Claim):
        yield claim.server, ("claim", cell, claim.host, claim.migration or "settled")


def _of_partners(truth: Truth) -> Iterator[tuple[str, Trace]]:
    for binding in truth.all(PortBinding):
        yield binding.server, ("binding", binding.port, binding.host)
    for attachment in truth.all(Attachment):
        yield attachment.server, ("attachment", attachment.volume, attachment.id)
    for image in truth.all(Image):
        if image.server is not None:
            yield image.server, ("image", image.id)


def _on_hosts(truth: Truth) -> Iterator[tuple[str, Trace]]:
    for guest in truth.guests:
        place = (str(guest.cell), guest.host)
        if guest.is_defined or guest.is_running:
            yield guest.server, ("guest", *place)
        if guest.has_disk:
            yield guest.server, ("disk", *place)
        if guest.has_spare_disk:
            yield guest.server, ("spare disk", *place)


def _unmapped(truth: Truth) -> Iterator[tuple[str, Trace]]:
    mapped = {mapping.server for mapping in truth.of_root(Mapping)}
    for kind in POSSESSIONS:
        for row in truth.all(kind):
            if row.server not in mapped:
                yield row.server, (kind.TABLE, *row.key)


# --- what there should be ----------------------------------------------------------------------------------


def wanted(standing: Standing, truth: Truth) -> set[Trace]:
    """List what there should be of a settled server."""
    ports = [port.id for port in truth.all(Port) if port.server == standing.server]
    due = set(_wanted_at_home(standing, ports))
    if standing.move is not None:
        due |= set(_wanted_at_source(standing, ports, (standing.move.source_cell, standing.move.source_host)))
    return due


def _wanted_at_home(standing: Standing, ports: list[str]) -> Iterator[Trace]:
    cell, host = standing.home.place
    yield "allocation", cell, host, standing.server
    yield "claim", cell, host, standing.move.uuid if standing.move else "settled"
    yield "guest", cell, host
    if not standing.home.is_volume_backed:
        yield "disk", cell, host
    for device in standing.home.devices:
        yield "attachment", device.volume, device.attachment
    for port in ports:
        yield "binding", port, host


def _wanted_at_source(standing: Standing, ports: list[str], place: Place) -> Iterator[Trace]:
    """Name what is kept for a revert: the place, the record, the disk, and the volumes by empty attachments."""
    cell, host = place
    if standing.has_crossed:
        yield "hidden record", cell
    yield "allocation", cell, host, standing.move.uuid if standing.move else ""
    yield "claim", cell, host, "settled"
    if not standing.home.is_volume_backed:
        yield "disk", cell, host
    for volume, attachment in _kept(standing).items():
        yield "attachment", volume, attachment
    for port in ports:
        yield "binding", port, host


def _kept(standing: Standing) -> dict[str, str]:
    """Name the attachments that are kept for the host which the server has left: its record tells, or the only one."""
    if standing.has_crossed:
        return {device.volume: device.attachment for device in standing.source_devices}
    context = standing.record.migration_context
    return context.kept if context is not None else {}


# --- what is of no server ----------------------------------------------------------------------------------


def _files(truth: Truth) -> Findings:
    images = {image.id for image in truth.all(Image)}
    for file in truth.image_files:
        if file not in images:
            yield file, "an image file without an image"


def memories(truth: Truth) -> Findings:
    """Ask actors to have forgotten what lies behind the lowest open epoch, and to have told what they had to tell."""
    unclosed = [each for each in truth.conversations if not each.is_closed]
    names = {each.conversation for each in unclosed}
    lowest = min((each.epoch for each in unclosed), default=None)
    off = {f"host:{host}" for host in fenced(truth)}
    for memory in truth.memories:
        if memory.actor.rpartition("/")[2] in off:
            continue  # It forgets all of it when its fence is lifted.
        for key, epoch in memory.keys:
            # A takeover raises a conversation's epoch; what it did before that must not be forgotten.
            if key.partition(":")[0] not in names and (lowest is None or epoch < lowest):
                yield memory.actor, f"remembers {key} of epoch {epoch}; the lowest open one is {lowest}"
        # Behind a conversation that waits for somebody unreachable, news for the same may wait too.
        if memory.waiting and not unclosed:
            yield memory.actor, f"{memory.waiting} rows wait in its outbox"
